//! Gradient accumulation: a large batch in parts that fit into memory, with the large batch's gradient.
//!
//! The classification loss and the reference's segmentation loss are means over photos, so a part counts by its photos.
//! The paper's segmentation loss (23) weighs photos by their claimed pixels and divides by all claimed pixels of the
//! batch: a part counts by its claimed pixels, and these are known only once every part has gone through the network.
//! So each part goes through it twice: once for its pseudo labels, which are kept, once for its gradient. (To
//! keep the gradients of both losses apart instead would take a second backward pass, which costs about two forward
//! ones, and the memory of a second gradient.)
//!
//! The gradient equals the large batch's where batch norms are frozen and nothing is dropped; norms that learn see a
//! part's statistics, and random numbers are drawn for each part.

use candle_core::{DType, Tensor, backprop::GradStore};
use wseg_core::{Axes, Tensor as _};

use super::{
    Batch, Losses, Position, Recipe, SegmentationLoss, StepReport,
    step::{pseudo_labels, scalar},
};
use crate::{
    Error, Result,
    dense::Dense,
    model::Model,
    nn::{Kind, Pass},
};

/// Losses of a step, those of its batches as if they were one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepLosses {
    /// Photos in all batches.
    pub photos: usize,
    /// Classification loss.
    pub classification: f64,
    /// Segmentation loss; `None` if it is off.
    pub segmentation: Option<f64>,
}

impl StepLosses {
    /// What the step at `at` did.
    #[must_use]
    pub fn report(&self, at: Position, rate: f64, gradient_norm: Option<f64>) -> StepReport {
        let Self { photos, classification, segmentation } = *self;
        StepReport { epoch: at.epoch, step: at.step, photos, rate, classification, segmentation, gradient_norm }
    }
}

/// What a batch contributes to its step.
#[derive(Clone, Debug)]
struct Share {
    /// Factor of its classification loss.
    classification: f64,
    /// Factor of its segmentation loss.
    segmentation: f64,
    /// Its pseudo labels as bytes, where they have been made already.
    pseudo: Option<Tensor>,
}

/// Losses and gradient of one step over `batches`, as if they were one batch. `pass` gives the random numbers of each.
///
/// # Errors
/// [`Error::Config`] without a batch; else if memory runs out.
pub fn gradients(
    model: &Model,
    batches: &[Batch],
    recipe: &Recipe,
    segments: bool,
    pass: &dyn Fn(usize) -> Pass,
) -> Result<(StepLosses, GradStore)> {
    let by_claims = batches.len() > 1 && segments && recipe.segmentation_loss == SegmentationLoss::Paper;
    let mut shares = by_photos(batches)?;
    if by_claims {
        keeping_statistics(model, || claim(model, batches, recipe, pass, &mut shares))?;
    }
    let (mut sums, mut sum) = (StepLosses::default(), None::<GradStore>);
    for (index, (batch, share)) in batches.iter().zip(shares).enumerate() {
        let classified = model.forward(&batch.images, &pass(index))?;
        let pseudo = match share.pseudo {
            Some(bytes) => Some(Dense::new(bytes.to_dtype(batch.images.dtype())?)?),
            None if segments => pseudo_labels(&classified, batch, recipe)?,
            None => None,
        };
        let losses = Losses::of(&classified, batch, pseudo.as_ref(), recipe)?;
        drop((classified, pseudo));
        sums.photos += batch.photos()?;
        sums.classification += share.classification * scalar(&losses.classification)?;
        if let Some(segmentation) = &losses.segmentation {
            *sums.segmentation.get_or_insert(0.0) += share.segmentation * scalar(segmentation)?;
        }
        let total = match batches.len() {
            1 => losses.total,
            _ => losses.weighted(share.classification, share.segmentation * recipe.segmentation_weight)?,
        };
        let gradients = total.backward()?;
        sum = Some(match sum {
            None => gradients,
            Some(mut sum) => {
                sum.extend(gradients)?;
                sum
            }
        });
    }
    sum.map(|sum| (sums, sum)).ok_or_else(|| Error::Config("a step needs a batch".to_owned()))
}

/// Every batch counts by its photos.
fn by_photos(batches: &[Batch]) -> Result<Vec<Share>> {
    let photos = batches.iter().map(Batch::photos).collect::<Result<Vec<_>>>()?;
    let all = photos.iter().sum::<usize>().max(1) as f64;
    let share = |photos| Share { classification: photos / all, segmentation: photos / all, pseudo: None };
    Ok(photos.into_iter().map(|photos| share(photos as f64)).collect())
}

/// Makes the pseudo labels of every batch; its segmentation loss then counts by the pixels they claim.
fn claim(
    model: &Model,
    batches: &[Batch],
    recipe: &Recipe,
    pass: &dyn Fn(usize) -> Pass,
    shares: &mut [Share],
) -> Result<()> {
    let mut all = 0.0;
    for (index, (batch, share)) in batches.iter().zip(shares.iter_mut()).enumerate() {
        let classified = model.forward(&batch.images, &pass(index))?;
        let Some(pseudo) = pseudo_labels(&classified, batch, recipe)? else { continue };
        // A map's sum is exact in f32; the sum of many maps need not be.
        let claimed = pseudo.sum(Axes::Spatial)?.into_tensor().to_dtype(DType::F64)?;
        share.segmentation = claimed.sum_all()?.to_scalar::<f64>()?;
        share.pseudo = Some(pseudo.tensor().to_dtype(DType::U8)?);
        all += share.segmentation;
    }
    for share in shares {
        share.segmentation /= all.max(1.0);
    }
    Ok(())
}

/// Runs `work`, after which the running statistics of batch norms are what they were.
fn keeping_statistics<R>(model: &Model, work: impl FnOnce() -> Result<R>) -> Result<R> {
    let mut kept = Vec::new();
    for (_, entry) in model.params.borrow().iter().filter(|(_, entry)| entry.kind == Kind::Buffer) {
        kept.push((entry.var.clone(), entry.var.as_detached_tensor().copy()?));
    }
    let done = work();
    for (var, value) in &kept {
        var.set(value)?;
    }
    done
}
