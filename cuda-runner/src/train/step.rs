//! One training step: losses of a batch.

use candle_core::{Device, Tensor};
use wseg_core::{
    Corners, Kernels as _, Tensor as _,
    loss::{cross_entropy, gated_segmentation_loss_mean},
};

use super::{Recipe, SegmentationLoss};
use crate::{
    Error, Result,
    dense::Dense,
    model::{Classified, Model, supervise},
    ops,
};

/// A batch of photos with what is to be learned from them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[n, 3, h, w]`, normalised.
    pub images: Tensor,
    /// What supervises.
    pub target: Target,
}

/// What supervises a batch.
#[derive(Clone, Debug)]
pub enum Target {
    /// Which classes each image shows: `[n, c, 1, 1]` in {0, 1}.
    Labels(Tensor),
    /// The class of each pixel, 0 for the background, [`ops::IGNORED`] for none: `[n, 1, h, w]` of bytes.
    Masks(Tensor),
}

impl Batch {
    /// The batch on a device. Masks stay where they are: [`mask_loss`] reads them there.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let target = match &self.target {
            Target::Labels(labels) => Target::Labels(labels.to_device(device)?),
            Target::Masks(masks) => Target::Masks(masks.clone()),
        };
        Ok(Self { images: self.images.to_device(device)?, target })
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
    /// `L_cls` (12); `None` against masks.
    pub classification: Option<Tensor>,
    /// `L_seg` (21-23) if it is on, or the cross entropy against masks.
    pub segmentation: Option<Tensor>,
}

/// The losses of a batch: against image labels `L_cls`, and `L_seg` if `segments` (steps 1 to 13 of the method); against
/// masks the cross entropy. `step` draws the random numbers.
///
/// # Errors
/// [`Error::Config`] if the network does not learn from such a target; or if memory runs out.
pub fn losses(model: &Model, batch: &Batch, recipe: &Recipe, segments: bool, step: usize) -> Result<Losses> {
    let classified = model.forward(&batch.images, &recipe.pass(step, 0))?;
    let pseudo = if segments { pseudo_labels(&classified, batch, recipe)? } else { None };
    Losses::of(&classified, batch, pseudo.as_ref(), recipe)
}

/// The pseudo labels of a batch's own masks, `[n, c + 1, h, w]`; `None` for CAM, which learns nothing from them, and where
/// masks are given.
pub(super) fn pseudo_labels(classified: &Classified, batch: &Batch, recipe: &Recipe) -> Result<Option<Dense>> {
    let (Target::Labels(labels), Some(_)) = (&batch.target, &classified.logits) else { return Ok(None) };
    let labels = Dense::new(labels.clone())?;
    let own = supervise(&classified.masks, &batch.images, &labels, &recipe.pamr()?, &recipe.cutoff())?;
    Ok(Some(own.pseudo))
}

/// The cross entropy of a network's scores against given masks, over the scores brought to the masks' size.
///
/// # Shapes
/// logits with background `[n, c + 1, h', w']`, masks `[n, 1, h, w]` of bytes -> `[1, 1, 1, 1]`
///
/// # Errors
/// [`Error::Config`] if a class weight is missing; or if shapes do not match, a label is no class, or memory runs out.
pub fn mask_loss(logits: &Dense, masks: &Tensor, recipe: &Recipe) -> Result<Dense> {
    let (_, _, h, w) = masks.dims4()?;
    let weights = recipe.weights(logits.shape().c)?;
    let logits = logits.resize(h, w, Corners::Aligned)?;
    if logits.tensor().device().is_cpu() {
        return Dense::new(ops::pixel_cross_entropy(logits.tensor(), masks, &weights)?);
    }
    // A GPU has no kernel of its own for it: the definition, on targets that the CPU spreads over the channels.
    let there =
        |tensor: Tensor| Dense::new(tensor.to_device(logits.tensor().device())?.to_dtype(logits.tensor().dtype())?);
    let target = there(one_hot(masks, weights.len())?)?;
    let shape = (1, weights.len(), 1, 1);
    let weights = there(Tensor::from_vec(weights, shape, &Device::Cpu)?)?;
    cross_entropy(&logits, &target, &weights)
}

/// Masks `[n, 1, h, w]` of bytes on the CPU as `[n, classes, h, w]`, one-hot, and all zero where a label is [`ops::IGNORED`].
fn one_hot(masks: &Tensor, classes: usize) -> Result<Tensor> {
    let (n, _, h, w) = masks.dims4()?;
    let labels: Vec<u8> = masks.flatten_all()?.to_vec1()?;
    let mut target = vec![0_u8; n * classes * h * w];
    for (labels, target) in labels.chunks_exact((h * w).max(1)).zip(target.chunks_exact_mut((classes * h * w).max(1))) {
        for (pixel, &label) in labels.iter().enumerate().filter(|(_, label)| **label != ops::IGNORED) {
            match target.get_mut(usize::from(label) * h * w + pixel) {
                Some(place) => *place = 1,
                None => return Err(Error::Config(format!("a mask holds {label}, but there are {classes} classes"))),
            }
        }
    }
    Ok(Tensor::from_vec(target, (n, classes, h, w), &Device::Cpu)?)
}

impl Losses {
    /// The losses of what a network said of a batch; against image labels without pseudo labels, of these alone.
    pub(super) fn of(classified: &Classified, batch: &Batch, pseudo: Option<&Dense>, recipe: &Recipe) -> Result<Self> {
        match (&batch.target, &classified.scores, &classified.logits) {
            (Target::Labels(labels), Some(scores), logits) => {
                Self::against_labels(scores, logits.as_ref().zip(pseudo), &Dense::new(labels.clone())?, recipe)
            }
            (Target::Masks(masks), _, Some(logits)) => {
                let loss = mask_loss(logits, masks, recipe)?.into_tensor();
                Ok(Self { total: loss.clone(), classification: None, segmentation: Some(loss) })
            }
            (Target::Labels(_), None, _) => {
                Err(Error::Config("this network learns from masks, not from image labels".to_owned()))
            }
            (Target::Masks(_), _, None) => {
                Err(Error::Config("this network learns from image labels, not from masks".to_owned()))
            }
        }
    }

    fn against_labels(
        scores: &Dense,
        segments: Option<(&Dense, &Dense)>,
        labels: &Dense,
        recipe: &Recipe,
    ) -> Result<Self> {
        let classification = scores.soft_margin(labels)?.into_tensor();
        let segmentation = match segments {
            Some((logits, pseudo)) => Some(match recipe.segmentation_loss {
                SegmentationLoss::Paper => logits.segmentation_loss(pseudo)?.into_tensor(),
                SegmentationLoss::Gated => gated_segmentation_loss_mean(logits, pseudo, labels)?.into_tensor(),
            }),
            None => None,
        };
        let total = match &segmentation {
            Some(segmentation) => classification.add(&segmentation.affine(recipe.segmentation_weight, 0.0)?)?,
            None => classification.clone(),
        };
        Ok(Self { total, classification: Some(classification), segmentation })
    }

    /// The losses of a batch that is a part of a step, as they count in it.
    pub(super) fn share(&self, share: &Share, recipe: &Recipe) -> Result<Tensor> {
        let (classification, segmentation) = (&self.classification, &self.segmentation);
        // Beside a classification loss, the segmentation loss has its weight.
        let weight = if classification.is_some() { recipe.segmentation_weight } else { 1.0 };
        let parts = [(classification, share.classification), (segmentation, share.segmentation * weight)];
        let mut total = None::<Tensor>;
        for (loss, factor) in parts {
            let Some(loss) = loss else { continue };
            let part = loss.affine(factor, 0.0)?;
            total = Some(match total {
                Some(total) => total.add(&part)?,
                None => part,
            });
        }
        Ok(total.unwrap_or_else(|| self.total.clone()))
    }
}

/// What a batch contributes to its step.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// Factor of its classification loss.
    pub(super) classification: f64,
    /// Factor of its segmentation loss.
    pub(super) segmentation: f64,
    /// Its pseudo labels as bytes, where they have been made already.
    pub(super) pseudo: Option<Tensor>,
}

/// A loss as a number.
pub(super) fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.detach().flatten_all()?.get(0)?.to_dtype(candle_core::DType::F64)?.to_scalar()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_on_spread_targets_is_the_cross_entropy_of_labels() {
        let labels = vec![0_u8, 2, 255, 1, 1, 0, 2, 255];
        let masks = Tensor::from_vec(labels, (2, 1, 2, 2), &Device::Cpu).unwrap();
        let logits = Tensor::arange(0_f64, 24.0, &Device::Cpu).unwrap().sin().unwrap().reshape((2, 3, 2, 2)).unwrap();
        let weights = [1.0, 0.5, 2.0];
        let fast = ops::pixel_cross_entropy(&logits, &masks, &weights).unwrap();
        let target = one_hot(&masks, 3).unwrap().to_dtype(candle_core::DType::F64).unwrap();
        let weights = Tensor::from_vec(weights.to_vec(), (1, 3, 1, 1), &Device::Cpu).unwrap();
        let [logits, target, weights] = [logits, target, weights].map(|tensor| Dense::new(tensor).unwrap());
        let defined = cross_entropy(&logits, &target, &weights).unwrap();
        assert!((scalar(&fast).unwrap() - scalar(defined.tensor()).unwrap()).abs() < 1e-12);
        assert!(one_hot(&masks, 2).is_err(), "a label beyond the classes");
    }
}
