//! Calls for training: losses and gradients.

use wseg_core::{Shape, slices};

use crate::{
    constants::{WsegPooling, WsegShape},
    memory::{Lent, Scratch, finite, lend},
    status::{WsegStatus, status},
};

/// Elements of scratch memory for `wseg_class_scores_gradient`: two a class.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_class_scores_gradient_scratch(shape: WsegShape) -> usize {
    shape.check().map_or(usize::MAX, slices::class_scores_gradient_scratch)
}

/// How a loss moves with the logits, given how it moves with the class scores of `wseg_classify` (the cotangent, such
/// as the gradient of `wseg_soft_margin`).
///
/// logits and gradient `[n, c, h, w]` of `shape`; cotangent `[n, c]`.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_class_scores_gradient(
    shape: WsegShape,
    logits: *const f32,
    cotangent: *const f32,
    pooling: *const WsegPooling,
    gradient: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        // SAFETY: the caller's promise is the same.
        let (shape, pooling) = (shape.check()?, unsafe { WsegPooling::at(pooling)? });
        let inputs = [(logits, shape.count()), (cotangent, shape.n * shape.c)];
        let scratch = Scratch::new(scratch, scratch_len, slices::class_scores_gradient_scratch(shape));
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend(inputs, [(gradient, shape.count())], scratch)? };
        let Lent { inputs: [logits, cotangent], outputs: [gradient], scratch } = lent;
        slices::class_scores_gradient(shape, logits, cotangent, &pooling, gradient, scratch)?;
        finite(&[gradient])
    };
    status(run())
}

/// An output that may be left out: no elements where the pointer is null.
fn optional(pointer: *mut f32, len: usize) -> (*mut f32, usize) {
    (pointer, if pointer.is_null() { 0 } else { len })
}

/// Elements of scratch memory for `wseg_soft_margin`: 0.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_soft_margin_scratch(count: usize) -> usize {
    WsegShape { n: 1, c: count, h: 1, w: 1 }.check().map_or(usize::MAX, |_| 0)
}

/// Multi-label soft-margin loss of `count` class scores, their mean, and its gradient.
///
/// scores, labels (1 for a class that is there, else 0) and gradient of `count` elements, loss of one; gradient may be
/// NULL.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_soft_margin(
    count: usize,
    scores: *const f32,
    labels: *const f32,
    loss: *mut f32,
    gradient: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        WsegShape { n: 1, c: count, h: 1, w: 1 }.check()?;
        let outputs = [(loss, 1), optional(gradient, count)];
        let scratch = Scratch::new(scratch, scratch_len, 0);
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend([(scores, count), (labels, count)], outputs, scratch)? };
        let Lent { inputs: [scores, labels], outputs: [loss, gradient], .. } = lent;
        loss.fill(slices::soft_margin(scores, labels)?);
        if !gradient.is_empty() {
            slices::soft_margin_gradient(scores, labels, gradient)?;
        }
        finite(&[loss, gradient])
    };
    status(run())
}

/// Shapes of logits and pseudo labels, which agree in all but the size.
fn sizes(logits: WsegShape, pseudo: WsegShape) -> Result<(Shape, Shape), WsegStatus> {
    let (from, to) = (logits.check()?, pseudo.check()?);
    if from.with_size(to.h, to.w) != to {
        return Err(WsegStatus::Shape);
    }
    Ok((from, to))
}

/// Elements of scratch memory for `wseg_segmentation_loss`: a weight a channel and a row of resized logits.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_segmentation_loss_scratch(logits_shape: WsegShape, pseudo_shape: WsegShape) -> usize {
    sizes(logits_shape, pseudo_shape).map_or(usize::MAX, |(_, to)| slices::segmentation_loss_scratch(to))
}

/// Class-balanced cross entropy of logits against pseudo labels, and its gradient.
///
/// logits and gradient `[n, c, h', w']` of `logits_shape`, the background's channel first; pseudo `[n, c, h, w]` of
/// `pseudo_shape`, one-hot or all 0 at each pixel; loss one element. Logits of another size are resized on the way
/// (bilinear, corners aligned); gradient may be NULL.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_segmentation_loss(
    logits_shape: WsegShape,
    logits: *const f32,
    pseudo_shape: WsegShape,
    pseudo: *const f32,
    loss: *mut f32,
    gradient: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        let (from, to) = sizes(logits_shape, pseudo_shape)?;
        let outputs = [(loss, 1), optional(gradient, from.count())];
        let scratch = Scratch::new(scratch, scratch_len, slices::segmentation_loss_scratch(to));
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend([(logits, from.count()), (pseudo, to.count())], outputs, scratch)? };
        let Lent { inputs: [logits, pseudo], outputs: [loss, gradient], scratch } = lent;
        loss.fill(slices::segmentation_loss(from, logits, to, pseudo, scratch)?);
        if !gradient.is_empty() {
            slices::segmentation_loss_gradient(from, logits, to, pseudo, gradient, scratch)?;
        }
        finite(&[loss, gradient])
    };
    status(run())
}

/// Elements of scratch memory for `wseg_gated_segmentation_loss`: as for `wseg_segmentation_loss`.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_gated_segmentation_loss_scratch(logits_shape: WsegShape, pseudo_shape: WsegShape) -> usize {
    gated_sizes(logits_shape, pseudo_shape).map_or(usize::MAX, |(_, to, _)| slices::segmentation_loss_scratch(to))
}

/// As [`sizes`], with the number of labels; at least one class beside the background.
fn gated_sizes(logits: WsegShape, pseudo: WsegShape) -> Result<(Shape, Shape, usize), WsegStatus> {
    let (from, to) = sizes(logits, pseudo)?;
    match to.n.saturating_mul(to.c.saturating_sub(1)) {
        0 => Err(WsegStatus::Empty),
        labels => Ok((from, to, labels)),
    }
}

/// The segmentation loss of the authors' code, its mean over the samples, and its gradient: a sample counts only if the
/// classes that it claims are the labelled ones and the background, all of them and no others.
///
/// labels `[n, c - 1]`, 1 for a class that is there, else 0; all else as for `wseg_segmentation_loss`.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_gated_segmentation_loss(
    logits_shape: WsegShape,
    logits: *const f32,
    pseudo_shape: WsegShape,
    pseudo: *const f32,
    labels: *const f32,
    loss: *mut f32,
    gradient: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        let (from, to, classes) = gated_sizes(logits_shape, pseudo_shape)?;
        let inputs = [(logits, from.count()), (pseudo, to.count()), (labels, classes)];
        let outputs = [(loss, 1), optional(gradient, from.count())];
        let scratch = Scratch::new(scratch, scratch_len, slices::segmentation_loss_scratch(to));
        // SAFETY: the caller's promise is the same.
        let Lent { inputs, outputs: [loss, gradient], scratch } = unsafe { lend(inputs, outputs, scratch)? };
        let [logits, pseudo, labels] = inputs;
        loss.fill(slices::gated_segmentation_loss(from, logits, to, pseudo, labels, scratch)?);
        if !gradient.is_empty() {
            slices::gated_segmentation_loss_gradient(from, logits, to, pseudo, labels, gradient, scratch)?;
        }
        finite(&[loss, gradient])
    };
    status(run())
}
