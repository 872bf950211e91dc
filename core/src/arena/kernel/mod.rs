//! Fused kernels of the arena, behind [`Kernels`].
//!
//! Each reads its inputs, writes its result, and needs no map in between; what scratch memory it does need is told
//! by the `*_scratch` function beside it. Shapes without elements are left to the definitions.

pub(crate) mod cam;
pub(crate) mod classify;
pub(crate) mod gradient;
pub(crate) mod loss;
pub(crate) mod pamr;
pub(crate) mod pseudo;
mod softmax;

pub use gradient::class_scores_gradient_scratch;
pub use loss::segmentation_loss_scratch;
pub use pamr::{pamr_stored_scratch, pamr_streamed_scratch};
pub use pseudo::pseudo_labels_scratch;

use super::{ArenaError, ArenaTensor, Real};
use crate::{
    Kernels,
    cam::Cam,
    pamr::Pamr,
    pooling::{Classification, Pooling},
    pseudo::Cutoff,
};

/// Pixels that are worked on side by side, their running values on the stack.
const TILE: usize = 64;

/// [`TILE`]s of a map of `pixels` pixels: first pixel and width.
fn tiles(pixels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..pixels).step_by(TILE).map(move |first| (first, TILE.min(pixels - first)))
}

impl<F: Real> Kernels for ArenaTensor<'_, '_, F> {
    fn softmax(&self) -> Result<Self, ArenaError> {
        self.softmax_fused()
    }

    fn log_softmax(&self) -> Result<Self, ArenaError> {
        self.log_softmax_fused()
    }

    fn classify(&self, pooling: &Pooling) -> Result<Classification<Self>, ArenaError> {
        self.classify_fused(pooling)
    }

    fn soft_margin(&self, labels: &Self) -> Result<Self, ArenaError> {
        self.soft_margin_fused(labels)
    }

    fn segmentation_loss(&self, pseudo: &Self) -> Result<Self, ArenaError> {
        self.segmentation_loss_fused(pseudo)
    }

    /// [`pamr_stored`](ArenaTensor::pamr_stored) where the arena has room for the weights, else
    /// [`pamr_streamed`](ArenaTensor::pamr_streamed); both give the same bits.
    fn pamr(&self, image: &Self, pamr: &Pamr) -> Result<Self, ArenaError> {
        match self.pamr_stored(image, pamr) {
            Err(ArenaError::Full { .. }) => self.pamr_streamed(image, pamr),
            result => result,
        }
    }

    fn pseudo_labels(&self, cutoff: &Cutoff) -> Result<Self, ArenaError> {
        self.pseudo_labels_fused(cutoff)
    }

    fn cam_masks(&self, cam: &Cam) -> Result<Self, ArenaError> {
        self.cam_masks_fused(cam)
    }
}
