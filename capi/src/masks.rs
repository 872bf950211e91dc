//! Calls that make masks: classification head, class activation maps, pseudo labels.

use wseg_core::slices;

use crate::{
    constants::{WsegCam, WsegCutoff, WsegPooling, WsegShape},
    memory::{Lent, Scratch, finite, lend},
    status::{WsegStatus, status},
};

/// Elements of scratch memory for `wseg_classify`: 0.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_classify_scratch(shape: WsegShape) -> usize {
    shape.check().map_or(usize::MAX, |_| 0)
}

/// Masks and class scores of logits: softmax beside a constant background, nGWP and the size-focal penalty.
///
/// logits `[n, c, h, w]` of `shape`; masks `[n, c + 1, h, w]`, scores `[n, c]`.
///
/// # Safety
/// Each pointer is null, or misaligned, or points to as many elements as its shape says, which are readable, and
/// writable where it is not `const`, and which nobody else writes, or reads where they are written, during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_classify(
    shape: WsegShape,
    logits: *const f32,
    pooling: *const WsegPooling,
    masks: *mut f32,
    scores: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        // SAFETY: the caller's promise is the same.
        let (shape, pooling) = (shape.check()?, unsafe { WsegPooling::at(pooling)? });
        let outputs = [(masks, shape.with_channels(shape.c + 1).count()), (scores, shape.n * shape.c)];
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend([(logits, shape.count())], outputs, Scratch::new(scratch, scratch_len, 0))? };
        let Lent { inputs: [logits], outputs: [masks, scores], .. } = lent;
        slices::classify(shape, logits, &pooling, masks, scores)?;
        finite(&[masks, scores])
    };
    status(run())
}

/// Elements of scratch memory for `wseg_cam_masks`: 0.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_cam_masks_scratch(shape: WsegShape) -> usize {
    shape.check().map_or(usize::MAX, |_| 0)
}

/// Normalised class activation maps: each positive part divided by its largest value, a constant background before.
///
/// activations `[n, c, h, w]` of `shape`; masks `[n, c + 1, h, w]` in 0..1.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_cam_masks(
    shape: WsegShape,
    activations: *const f32,
    cam: *const WsegCam,
    masks: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        // SAFETY: the caller's promise is the same.
        let (shape, cam) = (shape.check()?, unsafe { WsegCam::at(cam)? });
        let outputs = [(masks, shape.with_channels(shape.c + 1).count())];
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend([(activations, shape.count())], outputs, Scratch::new(scratch, scratch_len, 0))? };
        let Lent { inputs: [activations], outputs: [masks], .. } = lent;
        slices::cam_masks(shape, activations, &cam, masks)?;
        finite(&[masks])
    };
    status(run())
}

/// Elements of scratch memory for `wseg_drop_absent`: 0.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_drop_absent_scratch(shape: WsegShape) -> usize {
    shape.check().map_or(usize::MAX, |_| 0)
}

/// Zeroes the masks of classes that the image labels exclude; the background, channel 0, stays.
///
/// masks and out `[n, c, h, w]` of `shape`; labels `[n, c - 1]`, 1 for a class that is there, else 0.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_drop_absent(
    shape: WsegShape,
    masks: *const f32,
    labels: *const f32,
    out: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        let shape = shape.check()?;
        let inputs = [(masks, shape.count()), (labels, shape.n * (shape.c - 1))];
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend(inputs, [(out, shape.count())], Scratch::new(scratch, scratch_len, 0))? };
        let Lent { inputs: [masks, labels], outputs: [out], .. } = lent;
        slices::drop_absent(shape, masks, labels, out)?;
        finite(&[out])
    };
    status(run())
}

/// Elements of scratch memory for `wseg_pseudo_labels`: a threshold a channel.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_pseudo_labels_scratch(shape: WsegShape) -> usize {
    shape.check().map_or(usize::MAX, slices::pseudo_labels_scratch)
}

/// One-hot pseudo labels of masks: 1 where a class, channel 0 being the background, claims the pixel alone, else 0.
///
/// masks and pseudo `[n, c, h, w]` of `shape`, absent classes zeroed before.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_pseudo_labels(
    shape: WsegShape,
    masks: *const f32,
    cutoff: *const WsegCutoff,
    pseudo: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        // SAFETY: the caller's promise is the same.
        let (shape, cutoff) = (shape.check()?, unsafe { WsegCutoff::at(cutoff)? });
        let scratch = Scratch::new(scratch, scratch_len, slices::pseudo_labels_scratch(shape));
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend([(masks, shape.count())], [(pseudo, shape.count())], scratch)? };
        let Lent { inputs: [masks], outputs: [pseudo], scratch } = lent;
        slices::pseudo_labels(shape, masks, &cutoff, pseudo, scratch)?;
        finite(&[pseudo])
    };
    status(run())
}
