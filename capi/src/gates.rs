//! The stochastic gate, in training and in evaluation.

use wseg_core::slices;

use crate::{
    constants::{WsegShape, gate},
    memory::{Lent, Scratch, finite, lend},
    status::{WsegStatus, status},
};

/// Elements of scratch memory for `wseg_stochastic_gate`: 0.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_stochastic_gate_scratch(shape: WsegShape) -> usize {
    shape.check().map_or(usize::MAX, |_| 0)
}

/// The gate in training: where `keep_deep`, drawn by the caller, is 1 (with probability `1 - psi`) the compensated
/// deep feature, where it is 0 the shallow one. `psi` is in 0..1, below 1; the paper's is 0.3.
///
/// deep, shallow, keep_deep and out `[n, c, h, w]` of `shape`.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_stochastic_gate(
    shape: WsegShape,
    deep: *const f32,
    shallow: *const f32,
    keep_deep: *const f32,
    psi: f64,
    out: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        let (shape, gate) = (shape.check()?, gate(psi)?);
        let inputs = [deep, shallow, keep_deep].map(|pointer| (pointer, shape.count()));
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend(inputs, [(out, shape.count())], Scratch::new(scratch, scratch_len, 0))? };
        let Lent { inputs: [deep, shallow, keep_deep], outputs: [out], .. } = lent;
        slices::stochastic_gate(shape, deep, shallow, keep_deep, gate, out)?;
        finite(&[out])
    };
    status(run())
}

/// Elements of scratch memory for `wseg_deterministic_gate`: 0.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_deterministic_gate_scratch(shape: WsegShape) -> usize {
    shape.check().map_or(usize::MAX, |_| 0)
}

/// The gate in evaluation: `(1 - psi) deep + psi shallow`. `psi` is in 0..1, below 1; the paper's is 0.3.
///
/// deep, shallow and out `[n, c, h, w]` of `shape`.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_deterministic_gate(
    shape: WsegShape,
    deep: *const f32,
    shallow: *const f32,
    psi: f64,
    out: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        let (shape, gate) = (shape.check()?, gate(psi)?);
        let inputs = [deep, shallow].map(|pointer| (pointer, shape.count()));
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend(inputs, [(out, shape.count())], Scratch::new(scratch, scratch_len, 0))? };
        let Lent { inputs: [deep, shallow], outputs: [out], .. } = lent;
        slices::deterministic_gate(shape, deep, shallow, gate, out)?;
        finite(&[out])
    };
    status(run())
}
