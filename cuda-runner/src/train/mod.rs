//! Training: one loop that reads top to bottom, and what it is made of.

mod average;
pub mod checkpoint;
mod optimiser;
mod recipe;
mod step;

pub use average::WeightAverage;
pub use optimiser::{Group, Sgd};
pub use recipe::{Recipe, Schedule, SegmentationLoss};
pub use step::{Batch, Losses, classification_loss, losses};

use crate::{
    Error, Result,
    model::{Model, ModelKind},
};

/// Where batches come from.
pub trait Source {
    /// Batches of one epoch. The same in every epoch.
    fn batches(&self) -> usize;

    /// The batches of epoch `epoch`, counted from 0. The same epoch gives the same batches.
    fn epoch<'a>(&'a self, epoch: usize) -> Box<dyn Iterator<Item = Result<Batch>> + 'a>;
}

/// What one step did.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step since the start of training, from 0.
    pub step: usize,
    /// Photos in the batch.
    pub photos: usize,
    /// Base learning rate of the step.
    pub rate: f64,
    /// Classification loss.
    pub classification: f64,
    /// Segmentation loss; `None` in classification-only epochs and for CAM.
    pub segmentation: Option<f64>,
}

/// Who is told how training goes. An error stops it.
pub trait Observer {
    /// After each step.
    ///
    /// # Errors
    /// Whatever should stop the training.
    fn step(&mut self, report: &StepReport) -> Result<()>;

    /// After each epoch, with the model as it would be saved (averaged weights, if the recipe averages).
    ///
    /// # Errors
    /// Whatever should stop the training.
    fn epoch(&mut self, epoch: usize, model: &Model) -> Result<()>;
}

/// Trains `model` for the recipe's epochs.
///
/// # Errors
/// If a batch cannot be had, memory runs out, the loss is not finite, or the observer says stop.
pub fn train(model: &Model, recipe: &Recipe, source: &dyn Source, observer: &mut dyn Observer) -> Result<()> {
    let mut optimiser = Sgd::new(&model.params.borrow(), recipe);
    let mut average = WeightAverage::new(&model.params.borrow(), recipe.average)?;
    let total = recipe.epochs * source.batches();
    let mut step = 0;
    for epoch in 0..recipe.epochs {
        let segments = epoch >= recipe.classification_epochs && model.config.model == ModelKind::SingleStage;
        for batch in source.epoch(epoch) {
            let batch = batch?;
            let rate = recipe.rate(step, total);
            let losses = losses(model, &batch, recipe, segments, step)?;
            let report = losses.report(epoch, step, batch.photos()?, rate)?;
            finite(&report)?;
            let gradients = losses.total.backward()?;
            optimiser.step(&gradients, rate)?;
            average.follow()?;
            observer.step(&report)?;
            step += 1;
        }
        average.with_averaged(|| observer.epoch(epoch, model))?;
    }
    average.keep()
}

/// Refuses to go on once a loss is NaN or infinite: every further step would be lost.
fn finite(report: &StepReport) -> Result<()> {
    match report.classification.is_finite() && report.segmentation.is_none_or(f64::is_finite) {
        true => Ok(()),
        false => Err(Error::Training(format!(
            "the loss is no longer finite at step {} (classification {}, segmentation {}); \
             a lower learning rate or a warm-up usually helps",
            report.step + 1,
            report.classification,
            report.segmentation.map_or_else(|| "-".to_owned(), |loss| loss.to_string()),
        ))),
    }
}
