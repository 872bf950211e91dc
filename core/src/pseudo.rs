//! Pseudo labels: the confident part of refined masks becomes the supervision of the same network.

use crate::{Axes, Shape, Tensor, activation::with_background, shape::expect};

/// When a class claims a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cutoff {
    /// No claim at or below this confidence.
    pub low: f64,
    /// Share of the background's largest confidence that a pixel must exceed.
    pub background: f64,
    /// Share of a class's largest confidence that a pixel must exceed.
    pub class: f64,
}

impl Default for Cutoff {
    /// The paper's: 0.2, 0.7, 0.6.
    fn default() -> Self {
        Self { low: 0.2, background: 0.7, class: 0.6 }
    }
}

/// Zeroes the masks of classes that the image labels exclude; the background stays.
///
/// # Shapes
/// masks `[n, c + 1, h, w]`, labels `[n, c, 1, 1]` in {0, 1} -> `[n, c + 1, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if labels and masks do not match.
pub fn drop_absent<T: Tensor>(masks: &T, labels: &T) -> Result<T, T::Error> {
    let kept = with_background(labels, 1.0)?;
    expect(kept.shape(), masks.shape().with_size(1, 1))?;
    masks.mul(&kept)
}

/// One-hot pseudo labels: class c claims a pixel if `m > max(low, t_c * max m_c)`, strictly; a pixel claimed by no
/// class or by several is all zero, which the losses ignore.
///
/// # Shapes
/// masks with background `[n, c + 1, h, w]`, absent classes zeroed -> `[n, c + 1, h, w]` in {0, 1}
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if there is no channel.
///
/// # Reference
/// METHOD.md, step 11; the authors' public PyTorch code.
pub fn pseudo_labels<T: Tensor>(masks: &T, cutoff: &Cutoff) -> Result<T, T::Error> {
    let masks = masks.detach();
    let shape = masks.shape();
    let peak = masks.max(Axes::Spatial)?;
    let share =
        with_background(&peak.fill(Shape::new(1, shape.c.saturating_sub(1), 1, 1), cutoff.class)?, cutoff.background)?;
    let threshold = peak.mul(&share)?.maximum(&peak.fill(Shape::SCALAR, cutoff.low)?)?;
    let claims = masks.gt(&threshold)?;
    let contested = claims.sum(Axes::Channel)?.gt(&claims.fill(Shape::SCALAR, 1.0)?)?;
    claims.mul(&contested.affine(-1.0, 1.0)?)
}
