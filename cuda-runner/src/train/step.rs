//! One training step: losses of a batch.

use candle_core::{Device, Tensor};
use wseg_core::{Kernels as _, loss::gated_segmentation_loss_mean};

use super::{Recipe, SegmentationLoss};
use crate::{
    Result,
    dense::Dense,
    model::{Classified, Model, supervise},
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
    /// The batch on a device.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self { images: self.images.to_device(device)?, labels: self.labels.to_device(device)? })
    }

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
    let classified = model.forward(&batch.images, &recipe.pass(step, 0))?;
    let pseudo = if segments { pseudo_labels(&classified, batch, recipe)? } else { None };
    Losses::of(&classified, batch, pseudo.as_ref(), recipe)
}

/// The pseudo labels of a batch's own masks, `[n, c + 1, h, w]`; `None` for CAM, which learns nothing from them.
pub(super) fn pseudo_labels(classified: &Classified, batch: &Batch, recipe: &Recipe) -> Result<Option<Dense>> {
    if classified.logits.is_none() {
        return Ok(None);
    }
    let labels = Dense::new(batch.labels.clone())?;
    let own = supervise(&classified.masks, &batch.images, &labels, &recipe.pamr()?, &recipe.cutoff())?;
    Ok(Some(own.pseudo))
}

impl Losses {
    /// The losses of what a network said of a batch; without pseudo labels, of the image labels alone.
    pub(super) fn of(classified: &Classified, batch: &Batch, pseudo: Option<&Dense>, recipe: &Recipe) -> Result<Self> {
        let labels = Dense::new(batch.labels.clone())?;
        let classification = classified.scores.soft_margin(&labels)?.into_tensor();
        let segmentation = match (&classified.logits, pseudo) {
            (Some(logits), Some(pseudo)) => Some(match recipe.segmentation_loss {
                SegmentationLoss::Paper => logits.segmentation_loss(pseudo)?.into_tensor(),
                SegmentationLoss::Gated => gated_segmentation_loss_mean(logits, pseudo, &labels)?.into_tensor(),
            }),
            _ => None,
        };
        let total = match &segmentation {
            Some(segmentation) => classification.add(&segmentation.affine(recipe.segmentation_weight, 0.0)?)?,
            None => classification.clone(),
        };
        Ok(Self { total, classification, segmentation })
    }

    /// The sum of the losses, each times its factor.
    pub(super) fn weighted(&self, classification: f64, segmentation: f64) -> Result<Tensor> {
        let total = self.classification.affine(classification, 0.0)?;
        Ok(match &self.segmentation {
            Some(loss) => total.add(&loss.affine(segmentation, 0.0)?)?,
            None => total,
        })
    }
}

/// A loss as a number.
pub(super) fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.detach().flatten_all()?.get(0)?.to_dtype(candle_core::DType::F64)?.to_scalar()?)
}
