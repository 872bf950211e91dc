//! The losses: multi-label soft margin for image labels, class-balanced cross entropy for pseudo labels, plain cross
//! entropy for masks that are given.

use crate::{
    Axes, Corners, Tensor,
    activation::{log_softmax, softplus},
    shape::{Shape, ShapeError, expect},
};

/// Multi-label soft-margin loss, mean over classes and batch.
///
/// `-(z ln sigmoid(y) + (1 - z) ln sigmoid(-y))` equals `softplus(y) - z y`, which is finite for any finite score.
///
/// # Shapes
/// scores `[n, c, 1, 1]`, labels `[n, c, 1, 1]` in {0, 1} -> `[1, 1, 1, 1]`
///
/// # Errors
/// [`ShapeError`] if the shapes differ.
///
/// # Reference
/// Equation (12).
pub fn soft_margin<T: Tensor>(scores: &T, labels: &T) -> Result<T, T::Error> {
    let shape = scores.shape();
    expect(shape, labels.shape())?;
    let per_class = softplus(scores)?.sub(&labels.mul(scores)?)?;
    mean(&per_class, shape.n * shape.c)
}

/// Sum of all elements divided by `count`.
fn mean<T: Tensor>(x: &T, count: usize) -> Result<T, T::Error> {
    x.sum(Axes::Spatial)?.sum(Axes::Channel)?.sum(Axes::Batch)?.affine(1.0 / count.max(1) as f64, 0.0)
}

/// Balancing weight of each class: `q_c = (M_total - M_c) / (1 + M_total)`, M counting claimed pixels of a sample.
///
/// # Shapes
/// pseudo `[n, c, h, w]`, one-hot or all zero at each pixel -> `[n, c, 1, 1]`
///
/// # Errors
/// The backend's.
///
/// # Reference
/// Equation (22).
pub fn class_weights<T: Tensor>(pseudo: &T) -> Result<T, T::Error> {
    let per_class = pseudo.sum(Axes::Spatial)?;
    let total = per_class.sum(Axes::Channel)?;
    total.sub(&per_class)?.div(&total.affine(1.0, 1.0)?)
}

/// `sum over classes and pixels of -q_c log m_c` of each sample, the logits brought to the pseudo labels' size.
///
/// Pseudo labels are one-hot or all zero, so that the cross entropy needs neither argmax nor an ignore index.
fn balanced_cross_entropy<T: Tensor>(logits: &T, pseudo: &T) -> Result<T, T::Error> {
    let (from, to) = (logits.shape(), pseudo.shape());
    expect(from.with_size(to.h, to.w), to)?;
    let logits = match from == to {
        true => logits.clone(),
        false => logits.resize(to.h, to.w, Corners::Aligned)?,
    };
    // Weights first: `pseudo * q` is a constant, and its zeros fall on every pixel that is not claimed.
    let pseudo = pseudo.detach();
    let weights = pseudo.mul(&class_weights(&pseudo)?)?;
    weights.mul(&log_softmax(&logits)?)?.sum(Axes::Spatial)?.sum(Axes::Channel)?.affine(-1.0, 0.0)
}

/// Class-balanced cross entropy of the scores against pseudo labels, samples weighted by their claimed pixels.
/// 0 if no pixel of the batch is claimed.
///
/// # Shapes
/// logits with background `[n, c + 1, h', w']` (resized to the pseudo labels, corners aligned),
/// pseudo `[n, c + 1, h, w]`, one-hot or all zero at each pixel -> `[1, 1, 1, 1]`
///
/// # Errors
/// [`ShapeError`] if batch or channels differ.
///
/// # Reference
/// Equations (21) to (23).
pub fn segmentation_loss<T: Tensor>(logits: &T, pseudo: &T) -> Result<T, T::Error> {
    let shape = pseudo.shape();
    let per_sample = balanced_cross_entropy(logits, pseudo)?.affine(1.0 / pixels(shape)?, 0.0)?;
    let claimed = pseudo.sum(Axes::Spatial)?.sum(Axes::Channel)?;
    let total = claimed.sum(Axes::Batch)?;
    // Without a claimed pixel the numerator is 0 as well; any positive divisor gives 0 and not NaN.
    let divisor = total.maximum(&total.fill(Shape::SCALAR, 1.0)?)?;
    claimed.mul(&per_sample)?.sum(Axes::Batch)?.div(&divisor)
}

/// The reference's segmentation loss of each sample: a sample counts only if the classes claimed somewhere in its
/// pseudo labels are the labelled classes and the background, all of them and no others. The batch's loss is the
/// plain mean.
///
/// # Shapes
/// logits with background `[n, c + 1, h', w']`, pseudo `[n, c + 1, h, w]`, labels `[n, c, 1, 1]` -> `[n, 1, 1, 1]`
///
/// # Errors
/// [`ShapeError`] if batch or channels do not match.
///
/// # Reference
/// The authors' public PyTorch code; METHOD.md, "where paper, supplement and reference differ".
pub fn gated_segmentation_loss<T: Tensor>(logits: &T, pseudo: &T, labels: &T) -> Result<T, T::Error> {
    let shape = pseudo.shape();
    expect(labels.shape().with_channels(labels.shape().c + 1), Shape::new(shape.n, shape.c, 1, 1))?;
    let per_sample = balanced_cross_entropy(logits, pseudo)?.affine(1.0 / pixels(shape)?, 0.0)?;
    let zero = pseudo.fill(Shape::SCALAR, 0.0)?;
    let present = pseudo.max(Axes::Spatial)?.gt(&zero)?;
    let wanted = crate::activation::with_background(labels, 1.0)?.gt(&zero)?;
    let differs = wanted.sub(&present)?.abs()?.max(Axes::Channel)?;
    per_sample.mul(&differs.affine(-1.0, 1.0)?)
}

/// Mean of [`gated_segmentation_loss`] over the batch.
///
/// # Shapes
/// as [`gated_segmentation_loss`] -> `[1, 1, 1, 1]`
///
/// # Errors
/// [`ShapeError`] if batch or channels do not match.
pub fn gated_segmentation_loss_mean<T: Tensor>(logits: &T, pseudo: &T, labels: &T) -> Result<T, T::Error> {
    mean(&gated_segmentation_loss(logits, pseudo, labels)?, pseudo.shape().n)
}

/// Cross entropy against masks that are given: the mean over the labelled pixels of the batch, weighted by class. 0 if no
/// pixel is labelled.
///
/// # Shapes
/// logits `[n, c, h, w]`, target `[n, c, h, w]`, one-hot or all zero at each pixel, weights `[1, c, 1, 1]`
/// -> `[1, 1, 1, 1]`
///
/// # Errors
/// [`ShapeError`] if the shapes do not match.
///
/// # Reference
/// The second stage's, supplement, section E: DeepLabv3+ (Chen et al., ECCV 2018) on pseudo labels.
pub fn cross_entropy<T: Tensor>(logits: &T, target: &T, weights: &T) -> Result<T, T::Error> {
    expect(logits.shape(), target.shape())?;
    let all = |x: &T| x.sum(Axes::Spatial)?.sum(Axes::Channel)?.sum(Axes::Batch);
    let weights = target.detach().mul(weights)?;
    let total = all(&weights)?;
    // Without a labelled pixel the numerator is 0 as well; any positive divisor gives 0 and not NaN.
    let labelled = total.gt(&total.fill(Shape::SCALAR, 0.0)?)?;
    let divisor = total.add(&labelled.affine(-1.0, 1.0)?)?;
    all(&weights.mul(&log_softmax(logits)?)?)?.affine(-1.0, 0.0)?.div(&divisor)
}

/// Pixels of a map, refusing an empty one.
fn pixels(shape: Shape) -> Result<f64, ShapeError> {
    match shape.h * shape.w {
        0 => Err(ShapeError { lhs: shape, rhs: shape.with_size(1, 1) }),
        pixels => Ok(pixels as f64),
    }
}
