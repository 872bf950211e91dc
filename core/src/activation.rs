//! Softmax and its relatives, over channels.

use crate::{Axes, Tensor};

/// Prepends a background channel with the constant `score`: `y_0` of section B.1.
///
/// # Shapes
/// scores `[n, c, h, w]` -> `[n, c + 1, h, w]`
///
/// # Errors
/// The backend's.
pub fn with_background<T: Tensor>(scores: &T, score: f64) -> Result<T, T::Error> {
    scores.fill(scores.shape().with_channels(1), score)?.cat_channels(scores)
}

/// `logits - max`, the shift that keeps every exponential at most 1. The maximum is a constant to the gradient:
/// it cancels in softmax and log-softmax.
fn centred<T: Tensor>(logits: &T) -> Result<T, T::Error> {
    logits.sub(&logits.detach().max(Axes::Channel)?)
}

/// `exp(y_c) / sum_k exp(y_k)`: the masks `m` of a score map.
///
/// # Shapes
/// logits `[n, c, h, w]` -> `[n, c, h, w]`, each pixel's channels summing to 1
///
/// # Errors
/// The backend's.
///
/// # Reference
/// Supplement, section B.1: "a softmax on y, where we include an additional background channel".
pub fn softmax<T: Tensor>(logits: &T) -> Result<T, T::Error> {
    let weights = centred(logits)?.exp()?;
    weights.div(&weights.sum(Axes::Channel)?)
}

/// `y_c - ln sum_k exp(y_k)`, finite for any finite logits.
///
/// # Shapes
/// logits `[n, c, h, w]` -> `[n, c, h, w]`
///
/// # Errors
/// The backend's.
pub fn log_softmax<T: Tensor>(logits: &T) -> Result<T, T::Error> {
    let centred = centred(logits)?;
    centred.sub(&centred.exp()?.sum(Axes::Channel)?.ln()?)
}

/// `max(x, 0)`.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// The backend's.
pub fn relu<T: Tensor>(x: &T) -> Result<T, T::Error> {
    x.maximum(&x.fill(crate::Shape::SCALAR, 0.0)?)
}

/// `ln(1 + exp(x))` as `r + ln(1 + exp(x - 2 r))` with `r = max(x, 0)`, finite for any finite x.
///
/// `x - 2 r` is `-|x|`, written so that the slope at 0 is 1/2 whichever slope a backend gives `max` where its
/// arguments are equal.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// The backend's.
pub fn softplus<T: Tensor>(x: &T) -> Result<T, T::Error> {
    let positive = relu(x)?;
    let decay = x.sub(&positive.affine(2.0, 0.0)?)?.exp()?;
    positive.add(&decay.affine(1.0, 1.0)?.ln()?)
}

/// `1 / (1 + exp(-x))` as `exp(-softplus(-x))`: the confidence that a class is present.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// The backend's.
pub fn sigmoid<T: Tensor>(x: &T) -> Result<T, T::Error> {
    softplus(&x.affine(-1.0, 0.0)?)?.affine(-1.0, 0.0)?.exp()
}
