//! The two ends of the loop: where batches come from, and who is told how training goes.

use std::ops::ControlFlow;

use super::{Batch, Training};
use crate::{Result, model::Model};

/// Where batches come from.
pub trait Source {
    /// Batches of one epoch. The same in every epoch.
    fn batches(&self) -> usize;

    /// The batches of epoch `epoch`, counted from 0. The same epoch gives the same batches.
    fn epoch<'a>(&'a self, epoch: usize) -> Box<dyn Iterator<Item = Result<Batch>> + 'a>;

    /// The batches of an epoch from batch `first` on, counted from 0: how a training goes on within an epoch.
    /// By default the batches before it are made and thrown away.
    fn epoch_from<'a>(&'a self, epoch: usize, first: usize) -> Box<dyn Iterator<Item = Result<Batch>> + 'a> {
        Box::new(self.epoch(epoch).skip(first))
    }

    /// What a person calls the photos of batch `batch` of an epoch; by default nothing is known of them.
    fn files(&self, epoch: usize, batch: usize) -> Vec<String> {
        let _ = (epoch, batch);
        Vec::new()
    }
}

/// What one step did.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step since the start of training, from 0.
    pub step: usize,
    /// Photos in the step's batches.
    pub photos: usize,
    /// Base learning rate of the step.
    pub rate: f64,
    /// Classification loss; `None` where masks supervise.
    pub classification: Option<f64>,
    /// Segmentation loss, or the cross entropy against masks; `None` in classification-only epochs and for CAM.
    pub segmentation: Option<f64>,
    /// Euclidean norm of the whole gradient before it was clipped; `None` where the recipe does not clip.
    pub gradient_norm: Option<f64>,
}

/// Who is told how training goes. An error stops it.
pub trait Observer {
    /// After each step.
    ///
    /// # Errors
    /// Whatever should stop the training.
    fn step(&mut self, report: &StepReport) -> Result<()>;

    /// After each epoch, with the model as it would be used (averaged weights, if the recipe averages).
    ///
    /// # Errors
    /// Whatever should stop the training.
    fn epoch(&mut self, epoch: usize, model: &Model) -> Result<()>;

    /// After each step and after each epoch, when the training can be saved. `Break` ends it here.
    ///
    /// # Errors
    /// Whatever should stop the training.
    fn between(&mut self, training: &Training<'_>) -> Result<ControlFlow<()>> {
        let _ = training;
        Ok(ControlFlow::Continue(()))
    }
}
