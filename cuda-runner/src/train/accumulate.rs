//! Gradient accumulation: a large batch in parts that fit into memory, with the large batch's gradient.
//!
//! The classification loss and the reference's segmentation loss are means over photos, so a part counts by its photos.
//! The paper's segmentation loss (23) weighs photos by their claimed pixels and divides by all claimed pixels of the
//! batch: a part counts by its claimed pixels, and these are known only once every part has gone through the network.
//! So each part goes through it twice: once for its pseudo labels, which are kept, once for its gradient. (To
//! keep the gradients of both losses apart instead would take a second backward pass, which costs about two forward
//! ones, and the memory of a second gradient.)
//!
//! Against masks that are given, a part counts by its labelled pixels and their classes' weights, which need no network.
//!
//! The gradient equals the large batch's where batch norms are frozen and nothing is dropped; norms that learn see a
//! part's statistics, and random numbers are drawn for each part.

use candle_core::{DType, backprop::GradStore};
use wseg_core::{Axes, Tensor as _};

use super::{
    Batch, Losses, Position, Recipe, SegmentationLoss, StepReport, Target,
    step::{Share, pseudo_labels, scalar},
};
use crate::{
    Error, Result,
    dense::Dense,
    model::Model,
    nn::{Kind, Pass},
    ops,
};

/// Losses of a step, those of its batches as if they were one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepLosses {
    /// Photos in all batches.
    pub photos: usize,
    /// Classification loss; `None` against masks.
    pub classification: Option<f64>,
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
    let mut shares = by_photos(batches)?;
    if batches.len() > 1 && !by_labels(batches, model.config.classes.len() + 1, recipe, &mut shares)? {
        // Image labels alone: what is claimed has yet to be seen.
        let by_claims = segments && recipe.segmentation_loss == SegmentationLoss::Paper;
        if by_claims {
            keeping_statistics(model, || claim(model, batches, recipe, pass, &mut shares))?;
        }
    }
    let (mut sums, mut sum) = (StepLosses::default(), None::<GradStore>);
    for (index, (batch, share)) in batches.iter().zip(shares).enumerate() {
        let classified = model.forward(&batch.images, &pass(index))?;
        let pseudo = match &share.pseudo {
            Some(bytes) => Some(Dense::new(bytes.to_dtype(batch.images.dtype())?)?),
            None if segments => pseudo_labels(&classified, batch, recipe)?,
            None => None,
        };
        let losses = Losses::of(&classified, batch, pseudo.as_ref(), recipe)?;
        drop((classified, pseudo));
        sums.photos += batch.photos()?;
        let parts = [
            (&losses.classification, share.classification, &mut sums.classification),
            (&losses.segmentation, share.segmentation, &mut sums.segmentation),
        ];
        for (loss, factor, sum) in parts {
            if let Some(loss) = loss {
                *sum.get_or_insert(0.0) += factor * scalar(loss)?;
            }
        }
        let total = match batches.len() {
            1 => losses.total,
            _ => losses.share(&share, recipe)?,
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

/// Where masks are given, lets every batch count by the weight of its labelled pixels; `false` where they are not.
fn by_labels(batches: &[Batch], channels: usize, recipe: &Recipe, shares: &mut [Share]) -> Result<bool> {
    let weights = recipe.weights(channels)?;
    let mut labelled = Vec::with_capacity(batches.len());
    for batch in batches {
        let Target::Masks(masks) = &batch.target else { return Ok(false) };
        labelled.push(ops::pixel_weight(masks, &weights)?);
    }
    let all: f64 = labelled.iter().sum();
    for (share, labelled) in shares.iter_mut().zip(labelled) {
        share.segmentation = if all > 0.0 { labelled / all } else { 0.0 };
    }
    Ok(true)
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
