//! The stochastic gate on slices.

use super::{Real, SliceError, error::length};
use crate::{Gate, Shape};

/// The gate in training, as [`gate::stochastic_gate`](crate::gate::stochastic_gate) defines it.
///
/// # Shapes
/// deep, shallow, keep_deep and out of `shape`
///
/// # Errors
/// [`SliceError::Length`] or [`SliceError::Empty`].
pub fn stochastic_gate<F: Real>(
    shape: Shape,
    deep: &[F],
    shallow: &[F],
    keep_deep: &[F],
    gate: Gate,
    out: &mut [F],
) -> Result<(), SliceError> {
    for given in [deep.len(), shallow.len(), keep_deep.len(), out.len()] {
        length(shape, given)?;
    }
    let (psi, scale) = (F::from_f64(gate.psi), F::from_f64(1.0 / (1.0 - gate.psi)));
    for ((out, &keep), (&deep, &shallow)) in out.iter_mut().zip(keep_deep).zip(deep.iter().zip(shallow)) {
        *out = keep * ((deep - psi * shallow) * scale) + (F::ONE - keep) * shallow;
    }
    Ok(())
}

/// The gate in evaluation, as [`gate::deterministic_gate`](crate::gate::deterministic_gate) defines it.
///
/// # Shapes
/// deep, shallow and out of `shape`
///
/// # Errors
/// [`SliceError::Length`] or [`SliceError::Empty`].
pub fn deterministic_gate<F: Real>(
    shape: Shape,
    deep: &[F],
    shallow: &[F],
    gate: Gate,
    out: &mut [F],
) -> Result<(), SliceError> {
    for given in [deep.len(), shallow.len(), out.len()] {
        length(shape, given)?;
    }
    let (rest, psi) = (F::from_f64(1.0 - gate.psi), F::from_f64(gate.psi));
    for (out, (&deep, &shallow)) in out.iter_mut().zip(deep.iter().zip(shallow)) {
        *out = rest * deep + psi * shallow;
    }
    Ok(())
}
