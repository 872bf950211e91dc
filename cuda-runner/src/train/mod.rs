//! Training: one loop that reads top to bottom, and what it is made of.

mod accumulate;
mod average;
pub mod checkpoint;
mod observe;
mod optimiser;
mod recipe;
mod saved;
mod step;

pub use accumulate::{StepLosses, gradients};
pub use average::WeightAverage;
pub use observe::{Observer, Source, StepReport};
pub use optimiser::{Group, Sgd};
pub use recipe::{Recipe, Schedule, SegmentationLoss};
pub use saved::{Position, Saved};
pub use step::{Batch, Losses, Target, losses, mask_loss};

use crate::{
    Error, Result,
    model::{Model, ModelKind},
};

/// A training: the model, and everything that is carried from one step to the next.
#[derive(Debug)]
pub struct Training<'a> {
    model: &'a Model,
    recipe: &'a Recipe,
    optimiser: Sgd,
    average: WeightAverage,
    position: Position,
}

impl<'a> Training<'a> {
    /// A training that has not begun.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(model: &'a Model, recipe: &'a Recipe) -> Result<Self> {
        let optimiser = Sgd::new(&model.params.borrow(), recipe);
        let average = WeightAverage::new(&model.params.borrow(), recipe.average)?;
        Ok(Self { model, recipe, optimiser, average, position: Position::default() })
    }

    /// Trains from where it stands to the end of the recipe's epochs, or to where the observer ends it. At the end of an
    /// epoch the averaged weights are left in the model, if the recipe averages.
    ///
    /// # Errors
    /// If a batch cannot be had, memory runs out, the loss is not finite, or the observer fails.
    pub fn run(&mut self, source: &dyn Source, observer: &mut dyn Observer) -> Result<()> {
        let (model, recipe) = (self.model, self.recipe);
        let total = recipe.epochs * recipe.steps(source.batches());
        while self.position.epoch < recipe.epochs {
            let epoch = self.position.epoch;
            let segments = epoch >= recipe.classification_epochs && model.config.model == ModelKind::SingleStage;
            for batches in steps(source, recipe, self.position) {
                let (batches, at) = (batches?, self.position);
                let rate = recipe.rate(at.step, total);
                let pass = |batch| recipe.pass(at.step, batch);
                let (losses, mut gradients) = gradients(model, &batches, recipe, segments, &pass)?;
                finite(&losses, source, at, batches.len())?;
                let gradient_norm = self.optimiser.clip(&mut gradients, recipe.clip)?;
                self.optimiser.step(&gradients, rate)?;
                self.average.follow()?;
                self.position.pass_step(batches.len());
                observer.step(&losses.report(at, rate, gradient_norm))?;
                if observer.between(self)?.is_break() {
                    return Ok(());
                }
            }
            self.average.with_averaged(|| observer.epoch(epoch, model))?;
            self.position.pass_epoch();
            if observer.between(self)?.is_break() {
                break;
            }
        }
        self.average.keep()
    }
}

/// Trains `model` for the recipe's epochs, from the start.
///
/// # Errors
/// As [`Training::run`].
pub fn train(model: &Model, recipe: &Recipe, source: &dyn Source, observer: &mut dyn Observer) -> Result<()> {
    Training::new(model, recipe)?.run(source, observer)
}

/// The batches of each step that is left of the epoch. What does not fill a step is left out.
fn steps<'a>(
    source: &'a dyn Source,
    recipe: &Recipe,
    at: Position,
) -> impl Iterator<Item = Result<Vec<Batch>>> + use<'a> {
    let each = recipe.batches_in_step(source.batches());
    let mut batches = source.epoch_from(at.epoch, at.batch);
    std::iter::from_fn(move || match batches.by_ref().take(each).collect::<Result<Vec<_>>>() {
        Ok(step) if step.len() < each => None,
        step => Some(step),
    })
}

/// Refuses to go on once a loss is NaN or infinite: every further step would be lost.
fn finite(losses: &StepLosses, source: &dyn Source, at: Position, batches: usize) -> Result<()> {
    if [losses.classification, losses.segmentation].into_iter().flatten().all(f64::is_finite) {
        return Ok(());
    }
    Err(Error::NotFinite {
        step: at.step + 1,
        classification: losses.classification,
        segmentation: losses.segmentation,
        files: (at.batch..at.batch + batches).flat_map(|batch| source.files(at.epoch, batch)).collect(),
    })
}
