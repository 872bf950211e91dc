//! From score maps to class scores: normalised global weighted pooling and the size-focal penalty.

use crate::{Axes, Tensor, activation::with_background, shape::expect};

/// Constants of the class scores, equations (13) to (16).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooling {
    /// `epsilon` of (14): keeps the score of an absent class near 0. With 0, the score of a class without any mass
    /// is NaN: by Lemma 1 it does not exist.
    pub epsilon: f64,
    /// `p` of (15): how quickly the penalty fades as a mask grows; 0 (it does not fade) or at least 1.
    pub p: f64,
    /// `lambda` of (15): bounds the penalty of an empty mask at `ln lambda`.
    pub lambda: f64,
    /// The constant background score `y_0`.
    pub background: f64,
}

impl Default for Pooling {
    /// The paper's: epsilon 1, p 3, lambda 0.01, background 1.
    fn default() -> Self {
        Self { epsilon: 1.0, p: 3.0, lambda: 0.01, background: 1.0 }
    }
}

/// What the classification head makes of a score map.
#[derive(Clone, Debug)]
pub struct Classification<T> {
    /// Softmax over background and classes, `[n, c + 1, h, w]`.
    pub masks: T,
    /// Class scores (13), `[n, c, 1, 1]`.
    pub scores: T,
}

/// Normalised global weighted pooling: `sum(m_c y_c) / (epsilon + sum(m_c))`.
///
/// # Shapes
/// scores `[n, c, h, w]`, masks `[n, c, h, w]` (no background) -> `[n, c, 1, 1]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes differ.
///
/// # Reference
/// Equation (14).
pub fn ngwp<T: Tensor>(scores: &T, masks: &T, epsilon: f64) -> Result<T, T::Error> {
    expect(scores.shape(), masks.shape())?;
    masks.mul(scores)?.sum(Axes::Spatial)?.div(&masks.sum(Axes::Spatial)?.affine(1.0, epsilon)?)
}

/// Size-focal penalty: `(1 - m)^p ln(lambda + m)` of the mean mask m.
///
/// # Shapes
/// masks `[n, c, h, w]` -> `[n, c, 1, 1]`, at most about 0 for lambda near 0
///
/// # Errors
/// The backend's.
///
/// # Reference
/// Equations (15) and (16).
pub fn focal_penalty<T: Tensor>(masks: &T, p: f64, lambda: f64) -> Result<T, T::Error> {
    let shape = masks.shape();
    let pixels = (shape.h * shape.w).max(1) as f64;
    let mean = masks.sum(Axes::Spatial)?.affine(1.0 / pixels, 0.0)?;
    let penalty = mean.affine(1.0, lambda)?.ln()?;
    if p == 0.0 {
        // The factor is 1, but the slope of a power 0 is 0 / 0 where the mask is full.
        return Ok(penalty);
    }
    // Rounding may lift the mean of a full mask above 1, where a fractional power has no value.
    let rest = crate::activation::relu(&mean.affine(-1.0, 1.0)?)?;
    rest.powf(p)?.mul(&penalty)
}

/// Class score: nGWP plus size-focal penalty.
///
/// # Shapes
/// scores `[n, c, h, w]`, masks `[n, c, h, w]` (no background) -> `[n, c, 1, 1]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes differ.
///
/// # Reference
/// Equation (13).
pub fn class_scores<T: Tensor>(scores: &T, masks: &T, pooling: &Pooling) -> Result<T, T::Error> {
    ngwp(scores, masks, pooling.epsilon)?.add(&focal_penalty(masks, pooling.p, pooling.lambda)?)
}

/// Masks and class scores of a score map: background prepended, softmax, nGWP, focal penalty. Gradients flow
/// through the masks.
///
/// # Shapes
/// scores `[n, c, h, w]` -> masks `[n, c + 1, h, w]`, class scores `[n, c, 1, 1]`
///
/// # Errors
/// The backend's.
///
/// # Reference
/// Section B.1, equations (13) to (16).
pub fn classify<T: Tensor>(scores: &T, pooling: &Pooling) -> Result<Classification<T>, T::Error> {
    let masks = crate::activation::softmax(&with_background(scores, pooling.background)?)?;
    let foreground = masks.narrow_channels(1, scores.shape().c)?;
    let scores = class_scores(scores, &foreground, pooling)?;
    Ok(Classification { masks, scores })
}
