//! One training step: losses of a batch.

use candle_core::Tensor;
use wseg_core::{Kernels as _, loss::gated_segmentation_loss_mean};

use super::{Recipe, SegmentationLoss, StepReport};
use crate::{
    Result,
    dense::Dense,
    model::{Model, supervise},
    nn::Pass,
};

/// A batch of photos with their image labels.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[n, 3, h, w]`, normalised.
    pub images: Tensor,
    /// `[n, c, 1, 1]` in {0, 1}.
    pub labels: Tensor,
}

impl Batch {
    /// Photos in the batch.
    ///
    /// # Errors
    /// If the images are not of rank four.
    pub fn photos(&self) -> Result<usize> {
        Ok(self.images.dims4()?.0)
    }
}

/// Losses of a batch.
#[derive(Clone, Debug)]
pub struct Losses {
    /// What is minimised.
    pub total: Tensor,
    /// `L_cls` (12).
    pub classification: Tensor,
    /// `L_seg` (21-23), if it is on.
    pub segmentation: Option<Tensor>,
}

/// `L_cls`, and `L_seg` if `segments`: steps 1 to 13 of the method. `step` draws the random numbers.
///
/// # Errors
/// If memory runs out.
pub fn losses(model: &Model, batch: &Batch, recipe: &Recipe, segments: bool, step: usize) -> Result<Losses> {
    let pass = Pass::training(recipe.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(step as u64));
    let labels = Dense::new(batch.labels.clone())?;
    let classified = model.forward(&batch.images, &pass)?;
    let classification = classified.scores.soft_margin(&labels)?.into_tensor();
    let segmentation = match &classified.logits {
        Some(logits) if segments => {
            let own = supervise(&classified.masks, &batch.images, &labels, &recipe.pamr()?, &recipe.cutoff())?;
            Some(match recipe.segmentation_loss {
                SegmentationLoss::Paper => logits.segmentation_loss(&own.pseudo)?.into_tensor(),
                SegmentationLoss::Gated => gated_segmentation_loss_mean(logits, &own.pseudo, &labels)?.into_tensor(),
            })
        }
        _ => None,
    };
    let total = match &segmentation {
        Some(segmentation) => classification.add(&segmentation.affine(recipe.segmentation_weight, 0.0)?)?,
        None => classification.clone(),
    };
    Ok(Losses { total, classification, segmentation })
}

/// `L_cls` in evaluation mode, for validation.
///
/// # Errors
/// If memory runs out.
pub fn classification_loss(model: &Model, batch: &Batch) -> Result<f64> {
    let classified = model.forward(&batch.images, &Pass::evaluation())?;
    scalar(classified.scores.soft_margin(&Dense::new(batch.labels.clone())?)?.tensor())
}

impl Losses {
    /// The losses as numbers.
    ///
    /// # Errors
    /// If the device fails.
    pub fn report(&self, epoch: usize, step: usize, photos: usize, rate: f64) -> Result<StepReport> {
        Ok(StepReport {
            epoch,
            step,
            photos,
            rate,
            classification: scalar(&self.classification)?,
            segmentation: self.segmentation.as_ref().map(scalar).transpose()?,
        })
    }
}

fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.detach().flatten_all()?.get(0)?.to_dtype(candle_core::DType::F64)?.to_scalar()?)
}
