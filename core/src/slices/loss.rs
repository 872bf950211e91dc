//! The losses and their gradients on slices.

use super::{
    Real, SliceError,
    error::{enough, length},
    segmentation_loss_scratch,
};
use crate::{
    Shape,
    arena::kernel::{gradient, loss},
    shape::expect,
};

/// Lengths of scores and labels: equal, and not 0.
fn scores_and(scores: usize, others: &[usize]) -> Result<(), SliceError> {
    let shape = Shape::new(1, scores, 1, 1);
    length(shape, scores)?;
    others.iter().try_for_each(|&given| length(shape, given))
}

/// Multi-label soft-margin loss (12), as [`loss::soft_margin`](crate::loss::soft_margin) defines it.
///
/// # Shapes
/// scores, labels `[n, c]` in {0, 1}
///
/// # Errors
/// [`SliceError::Length`] or [`SliceError::Empty`].
pub fn soft_margin<F: Real>(scores: &[F], labels: &[F]) -> Result<F, SliceError> {
    scores_and(scores.len(), &[labels.len()])?;
    Ok(loss::soft_margin(scores, labels, scores.len()))
}

/// Its gradient, as [`gradient::soft_margin`](crate::gradient::soft_margin) defines it.
///
/// # Shapes
/// scores, labels, gradient `[n, c]`
///
/// # Errors
/// [`SliceError::Length`] or [`SliceError::Empty`].
pub fn soft_margin_gradient<F: Real>(scores: &[F], labels: &[F], gradient: &mut [F]) -> Result<(), SliceError> {
    scores_and(scores.len(), &[labels.len(), gradient.len()])?;
    gradient::soft_margin_gradient(gradient, scores, labels, scores.len());
    Ok(())
}

/// The checks that loss and gradient share but for the memory.
fn check<F>(from: Shape, logits: &[F], to: Shape, pseudo: &[F]) -> Result<(), SliceError> {
    expect(from.with_size(to.h, to.w), to)?;
    length(from, logits.len())?;
    length(to, pseudo.len())
}

/// Class-balanced cross entropy (21) to (23), as [`loss::segmentation_loss`](crate::loss::segmentation_loss) defines
/// it.
///
/// # Shapes
/// logits of shape `from` `[n, c, h', w']`, pseudo of shape `to` `[n, c, h, w]`
///
/// # Errors
/// [`SliceError`], of any kind but the last.
pub fn segmentation_loss<F: Real>(
    from: Shape,
    logits: &[F],
    to: Shape,
    pseudo: &[F],
    scratch: &mut [F],
) -> Result<F, SliceError> {
    check(from, logits, to, pseudo)?;
    let scratch = enough(scratch, segmentation_loss_scratch(to))?;
    Ok(loss::segmentation_loss(logits, from, pseudo, to, scratch))
}

/// Its gradient with the logits, as [`gradient::segmentation_loss`](crate::gradient::segmentation_loss) defines it at
/// the pseudo labels' size, brought back through the resizing.
///
/// # Shapes
/// logits and gradient of shape `from` `[n, c, h', w']`, pseudo of shape `to` `[n, c, h, w]`
///
/// # Errors
/// [`SliceError`], of any kind but the last.
pub fn segmentation_loss_gradient<F: Real>(
    from: Shape,
    logits: &[F],
    to: Shape,
    pseudo: &[F],
    gradient: &mut [F],
    scratch: &mut [F],
) -> Result<(), SliceError> {
    check(from, logits, to, pseudo)?;
    length(from, gradient.len())?;
    let scratch = enough(scratch, segmentation_loss_scratch(to))?;
    gradient::segmentation_loss_gradient(gradient, (logits, from), (pseudo, to), scratch);
    Ok(())
}

/// As [`check`], with labels `[n, c - 1]` of at least one class.
fn check_gated<F>(from: Shape, logits: &[F], to: Shape, pseudo: &[F], labels: &[F]) -> Result<(), SliceError> {
    check(from, logits, to, pseudo)?;
    length(Shape::new(to.n, to.c.saturating_sub(1), 1, 1), labels.len())
}

/// The mean of the reference's gated segmentation loss, as
/// [`loss::gated_segmentation_loss_mean`](crate::loss::gated_segmentation_loss_mean) defines it: a sample counts only if
/// it claims the labelled classes and the background, all of them and no others.
///
/// # Shapes
/// logits of shape `from` `[n, c, h', w']`, pseudo of shape `to` `[n, c, h, w]`, labels `[n, c - 1]`
///
/// # Errors
/// [`SliceError`], of any kind but the last.
pub fn gated_segmentation_loss<F: Real>(
    from: Shape,
    logits: &[F],
    to: Shape,
    pseudo: &[F],
    labels: &[F],
    scratch: &mut [F],
) -> Result<F, SliceError> {
    check_gated(from, logits, to, pseudo, labels)?;
    let scratch = enough(scratch, segmentation_loss_scratch(to))?;
    Ok(loss::gated_segmentation_loss((logits, from), (pseudo, to), labels, scratch))
}

/// Its gradient with the logits, as [`gradient::gated_segmentation_loss`](crate::gradient::gated_segmentation_loss)
/// defines it at the pseudo labels' size, brought back through the resizing.
///
/// # Shapes
/// logits and gradient of shape `from` `[n, c, h', w']`, pseudo of shape `to` `[n, c, h, w]`, labels `[n, c - 1]`
///
/// # Errors
/// [`SliceError`], of any kind but the last.
pub fn gated_segmentation_loss_gradient<F: Real>(
    from: Shape,
    logits: &[F],
    to: Shape,
    pseudo: &[F],
    labels: &[F],
    gradient: &mut [F],
    scratch: &mut [F],
) -> Result<(), SliceError> {
    check_gated(from, logits, to, pseudo, labels)?;
    length(from, gradient.len())?;
    let scratch = enough(scratch, segmentation_loss_scratch(to))?;
    gradient::gated_segmentation_loss_gradient(gradient, (logits, from), (pseudo, to), labels, scratch);
    Ok(())
}
