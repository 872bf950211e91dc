//! Class activation maps, the baseline's masks.

use crate::{
    Axes, Tensor,
    activation::{relu, with_background},
};

/// Constants of the class activation maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cam {
    /// The constant background confidence.
    pub background: f64,
    /// Added to the largest activation before dividing by it.
    pub epsilon: f64,
}

impl Default for Cam {
    /// The reference's: background 0.1, epsilon 1e-5.
    fn default() -> Self {
        Self { background: 0.1, epsilon: 1e-5 }
    }
}

/// `ReLU(a) / (epsilon + max ReLU(a))` for each class, with a constant background channel prepended.
///
/// # Shapes
/// activations `[n, c, h, w]`, already at image size -> `[n, c + 1, h, w]` in 0..=1
///
/// # Errors
/// The backend's.
///
/// # Reference
/// METHOD.md, "Baseline CAM"; the authors' public PyTorch code.
pub fn cam_masks<T: Tensor>(activations: &T, cam: &Cam) -> Result<T, T::Error> {
    let positive = relu(activations)?;
    let scale = positive.max(Axes::Spatial)?.affine(1.0, cam.epsilon)?;
    with_background(&positive.div(&scale)?, cam.background)
}
