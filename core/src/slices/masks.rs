//! Masks on slices: how they are made, scored, refined and turned into pseudo labels.

use super::{
    Real, SliceError, class_scores_gradient_scratch,
    error::{enough, length},
    pamr_stored_scratch, pamr_streamed_scratch, pseudo_labels_scratch,
};
use crate::{
    Cam, Cutoff, Pamr, Pooling, Shape, ShapeError,
    arena::{
        kernel::{cam, classify as head, gradient, pamr as refinement, pseudo},
        part::{rows, rows_mut},
    },
};

/// The shape of masks with a background: one channel more.
const fn with_background(shape: Shape) -> Shape {
    shape.with_channels(shape.c.saturating_add(1))
}

/// Masks and class scores (13) of score maps, as [`pooling::classify`](crate::pooling::classify) defines them.
///
/// # Shapes
/// logits of `shape` `[n, c, h, w]`, masks `[n, c + 1, h, w]`, scores `[n, c]`
///
/// # Errors
/// [`SliceError::Length`] or [`SliceError::Empty`].
pub fn classify<F: Real>(
    shape: Shape,
    logits: &[F],
    pooling: &Pooling,
    masks: &mut [F],
    scores: &mut [F],
) -> Result<(), SliceError> {
    length(shape, logits.len())?;
    length(with_background(shape), masks.len())?;
    length(shape.with_size(1, 1), scores.len())?;
    head::masks(masks, logits, shape, pooling.background);
    head::class_scores(scores, logits, masks, shape, pooling);
    Ok(())
}

/// How a loss moves with the logits, given how it moves with the class scores, as
/// [`gradient::class_scores`](crate::gradient::class_scores) defines it.
///
/// # Shapes
/// logits and gradient of `shape` `[n, c, h, w]`, cotangent `[n, c]`
///
/// # Errors
/// [`SliceError::Length`], [`SliceError::Empty`] or [`SliceError::Scratch`].
pub fn class_scores_gradient<F: Real>(
    shape: Shape,
    logits: &[F],
    cotangent: &[F],
    pooling: &Pooling,
    gradient: &mut [F],
    scratch: &mut [F],
) -> Result<(), SliceError> {
    length(shape, logits.len())?;
    length(shape.with_size(1, 1), cotangent.len())?;
    length(shape, gradient.len())?;
    let scratch = enough(scratch, class_scores_gradient_scratch(shape))?;
    gradient::class_scores_gradient(gradient, logits, cotangent, shape, pooling, scratch);
    Ok(())
}

/// Normalised class activation maps, as [`cam::cam_masks`](crate::cam::cam_masks) defines them.
///
/// # Shapes
/// activations of `shape` `[n, c, h, w]`, masks `[n, c + 1, h, w]`
///
/// # Errors
/// [`SliceError::Length`] or [`SliceError::Empty`].
pub fn cam_masks<F: Real>(shape: Shape, activations: &[F], cam: &Cam, masks: &mut [F]) -> Result<(), SliceError> {
    length(shape, activations.len())?;
    length(with_background(shape), masks.len())?;
    cam::cam_masks(masks, activations, shape, cam);
    Ok(())
}

/// Masks refined along the edges of an image, as [`pamr::refine`](crate::pamr::refine) defines it. With
/// [`pamr_stored_scratch`] elements of scratch memory the weights are computed once, with fewer in every iteration;
/// both give the same bits.
///
/// # Shapes
/// masks of shape `from` `[n, c, h', w']`, image of shape `guide` `[n, k, h, w]` in 0..=1, out `[n, c, h, w]`
///
/// # Errors
/// [`SliceError`], of any kind.
pub fn pamr<F: Real>(
    (from, masks): (Shape, &[F]),
    (guide, image): (Shape, &[F]),
    pamr: &Pamr,
    out: &mut [F],
    scratch: &mut [F],
) -> Result<(), SliceError> {
    if from.n != guide.n {
        return Err(ShapeError { lhs: from, rhs: guide }.into());
    }
    if pamr.dilations.is_empty() {
        return Err(SliceError::NoDilation);
    }
    length(from, masks.len())?;
    length(guide, image.len())?;
    length(from.with_size(guide.h, guide.w), out.len())?;
    let (streamed, stored) = (pamr_streamed_scratch(from, guide), pamr_stored_scratch(from, guide, pamr));
    let keeps = scratch.len() >= stored;
    let scratch = enough(scratch, if keeps { stored } else { streamed })?;
    refinement::refine(out, (masks, from), (image, guide), pamr, scratch, keeps);
    Ok(())
}

/// Zeroes the masks of classes that the image labels exclude, as
/// [`pseudo::drop_absent`](crate::pseudo::drop_absent) defines it.
///
/// # Shapes
/// masks and out of `shape` `[n, c + 1, h, w]`, labels `[n, c]` in {0, 1}
///
/// # Errors
/// [`SliceError::Length`] or [`SliceError::Empty`].
pub fn drop_absent<F: Real>(shape: Shape, masks: &[F], labels: &[F], out: &mut [F]) -> Result<(), SliceError> {
    length(shape, masks.len())?;
    length(shape, out.len())?;
    // Masks of the background alone have no labels.
    if shape.c > 1 || !labels.is_empty() {
        length(shape.with_channels(shape.c.saturating_sub(1)).with_size(1, 1), labels.len())?;
    }
    let plane = shape.h * shape.w;
    let mut labels = labels.iter();
    for (out, masks) in rows_mut(out, shape.c * plane).zip(rows(masks, shape.c * plane)) {
        for (c, (out, mask)) in rows_mut(out, plane).zip(rows(masks, plane)).enumerate() {
            let kept = if c == 0 { F::ONE } else { labels.next().copied().unwrap_or(F::ONE) };
            out.iter_mut().zip(mask).for_each(|(out, &mask)| *out = mask * kept);
        }
    }
    Ok(())
}

/// One-hot pseudo labels, as [`pseudo::pseudo_labels`](crate::pseudo::pseudo_labels) defines them.
///
/// # Shapes
/// masks and out of `shape` `[n, c + 1, h, w]`
///
/// # Errors
/// [`SliceError::Length`], [`SliceError::Empty`] or [`SliceError::Scratch`].
pub fn pseudo_labels<F: Real>(
    shape: Shape,
    masks: &[F],
    cutoff: &Cutoff,
    out: &mut [F],
    scratch: &mut [F],
) -> Result<(), SliceError> {
    length(shape, masks.len())?;
    length(shape, out.len())?;
    let thresholds = enough(scratch, pseudo_labels_scratch(shape))?;
    pseudo::pseudo_labels(out, masks, shape, cutoff, thresholds);
    Ok(())
}
