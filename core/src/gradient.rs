//! Analytic gradients of the losses, for backends without automatic differentiation.
//!
//! A network's last scores are where a runtime's own backward pass starts: these functions say how a loss moves with
//! them. Each is a definition, generic over the backend; [`slices`](crate::slices) has the same on plain memory, with
//! the resizing of the segmentation loss. `m` are the masks, `y` the scores, a dash is a derivative.

use crate::{
    Axes, Tensor,
    activation::{relu, sigmoid, softmax, with_background},
    loss::{claims_what_is_labelled, class_weights},
    pooling::{Pooling, ngwp},
    shape::{Shape, expect},
};

/// Slope of the size-focal penalty with the mean mask: `(1 - m)^p / (lambda + m) - p (1 - m)^(p - 1) ln(lambda + m)`.
///
/// # Shapes
/// mean `[n, c, 1, 1]` -> `[n, c, 1, 1]`
///
/// # Errors
/// The backend's.
///
/// # Reference
/// Derivative of equations (15) and (16).
pub fn focal_penalty<T: Tensor>(mean: &T, p: f64, lambda: f64) -> Result<T, T::Error> {
    let shifted = mean.affine(1.0, lambda)?;
    let one = mean.fill(mean.shape(), 1.0)?;
    if p == 0.0 {
        return one.div(&shifted);
    }
    let rest = relu(&mean.affine(-1.0, 1.0)?)?;
    rest.powf(p)?.div(&shifted)?.sub(&rest.powf(p - 1.0)?.mul(&shifted.ln()?)?.affine(p, 0.0)?)
}

/// How a loss moves with the scores `y`, given how it moves with the class scores (the cotangent).
///
/// Through the masks, class c's score moves with `g_c = (y_c - nGWP_c) / (epsilon + M_c) + penalty' / pixels` at each
/// pixel, and the softmax turns that into `m_k (g_k - sum_c m_c g_c)`; `m_k / (epsilon + M_k)` is the direct way.
///
/// # Shapes
/// scores `[n, c, h, w]`, cotangent `[n, c, 1, 1]` -> `[n, c, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes do not match.
///
/// # Reference
/// Derivative of equations (13) to (16) and the softmax of section B.1.
pub fn class_scores<T: Tensor>(scores: &T, cotangent: &T, pooling: &Pooling) -> Result<T, T::Error> {
    let shape = scores.shape();
    expect(cotangent.shape(), shape.with_size(1, 1))?;
    let masks = softmax(&with_background(scores, pooling.background)?)?.narrow_channels(1, shape.c)?;
    let each = 1.0 / (shape.h * shape.w).max(1) as f64;
    let mass = masks.sum(Axes::Spatial)?;
    let direct = cotangent.div(&mass.affine(1.0, pooling.epsilon)?)?;
    let penalty = focal_penalty(&mass.affine(each, 0.0)?, pooling.p, pooling.lambda)?.affine(each, 0.0)?;
    let level = cotangent.mul(&penalty)?.sub(&direct.mul(&ngwp(scores, &masks, pooling.epsilon)?)?)?;
    let through = direct.mul(scores)?.add(&level)?;
    let spread = masks.mul(&through)?.sum(Axes::Channel)?;
    masks.mul(&through.add(&direct)?.sub(&spread)?)
}

/// Gradient of the soft-margin loss with the class scores: `(sigmoid(y) - z) / (n c)`.
///
/// # Shapes
/// scores, labels `[n, c, 1, 1]` -> `[n, c, 1, 1]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes differ.
///
/// # Reference
/// Derivative of equation (12).
pub fn soft_margin<T: Tensor>(scores: &T, labels: &T) -> Result<T, T::Error> {
    let shape = scores.shape();
    expect(shape, labels.shape())?;
    sigmoid(scores)?.sub(labels)?.affine(1.0 / (shape.n * shape.c).max(1) as f64, 0.0)
}

/// Gradient of the segmentation loss with logits of the pseudo labels' size: `m_k sum_c w_c - w_k` with the weights
/// `w_c = q_c` where c claims the pixel and 0 elsewhere, times the sample's share of the loss.
///
/// # Shapes
/// logits, pseudo `[n, c, h, w]` -> `[n, c, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes differ: logits of another size are resized before, and the
/// gradient goes back through that.
///
/// # Reference
/// Derivative of equations (21) to (23).
pub fn segmentation_loss<T: Tensor>(logits: &T, pseudo: &T) -> Result<T, T::Error> {
    let shape = pseudo.shape();
    expect(logits.shape(), shape)?;
    let claimed = pseudo.sum(Axes::Spatial)?.sum(Axes::Channel)?;
    let total = claimed.sum(Axes::Batch)?;
    let divisor = total.maximum(&total.fill(Shape::SCALAR, 1.0)?)?;
    let share = claimed.div(&divisor)?.affine(1.0 / (shape.h * shape.w).max(1) as f64, 0.0)?;
    cross_entropy(logits, pseudo)?.mul(&share)
}

/// Gradient of the class-balanced cross entropy, summed over the pixels, with logits of the pseudo labels' size.
fn cross_entropy<T: Tensor>(logits: &T, pseudo: &T) -> Result<T, T::Error> {
    let weights = pseudo.mul(&class_weights(pseudo)?)?;
    softmax(logits)?.mul(&weights.sum(Axes::Channel)?)?.sub(&weights)
}

/// Gradient of the mean of the reference's gated segmentation loss with logits of the pseudo labels' size: that of the
/// cross entropy for a sample that claims what is labelled, 0 for another.
///
/// # Shapes
/// logits, pseudo `[n, c + 1, h, w]`, labels `[n, c, 1, 1]` -> `[n, c + 1, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes do not match, as for [`segmentation_loss`].
///
/// # Reference
/// Derivative of [`loss::gated_segmentation_loss_mean`](crate::loss::gated_segmentation_loss_mean).
pub fn gated_segmentation_loss<T: Tensor>(logits: &T, pseudo: &T, labels: &T) -> Result<T, T::Error> {
    let shape = pseudo.shape();
    expect(logits.shape(), shape)?;
    expect(labels.shape().with_channels(labels.shape().c + 1), shape.with_size(1, 1))?;
    let elements = shape.n.saturating_mul(shape.h.saturating_mul(shape.w)).max(1);
    let share = claims_what_is_labelled(pseudo, labels)?.affine(1.0 / elements as f64, 0.0)?;
    cross_entropy(logits, pseudo)?.mul(&share)
}
