//! Batches for training: photos, with their masks where these supervise, decoded and varied by worker threads, ahead of the
//! step, each with a seed of its own.

mod ahead;
mod epoch;
mod samples;
mod speed;
mod survey;
#[cfg(test)]
mod tests;

pub use epoch::Epoch;
pub use speed::Speed;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use wseg_cuda_runner::train::{Batch, Source};

use super::{
    GivenMask, ImageLabels,
    augment::{Augment, Frame},
};
use crate::{Error, Result};
use samples::Samples;
use speed::Meter;

/// A photo to learn from.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Where it is.
    pub photo: PathBuf,
    /// What is to be learned from it.
    pub annotation: Annotation,
}

/// What is said of a photo that is learned from. All photos of a loader have the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Annotation {
    /// Which classes the whole photo shows, background left out.
    Labels(ImageLabels),
    /// The class of each pixel.
    Mask(GivenMask),
}

/// What batches are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Photos in a batch.
    pub batch: usize,
    /// What a varied photo is.
    pub frame: Frame,
}

/// How photos are read. None of it changes what is learned from the photos that are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Worker threads; by default [`Loading::default_workers`].
    pub workers: Option<usize>,
    /// Leave out photos that cannot be read, instead of refusing to train.
    pub skip_bad: bool,
}

impl Loading {
    /// One worker for four cores, up to eight: the computing threads use every core, and a worker prepares several dozen
    /// photos a second beside them.
    #[must_use]
    pub fn default_workers() -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores / 4).clamp(1, 8)
    }
}

/// Random batches of a split. What is drawn depends on the seed, the epoch and the photo, never on timing or on the number
/// of workers.
#[derive(Debug)]
pub struct Loader {
    samples: Arc<Samples>,
    workers: usize,
    skipped: Vec<Error>,
    meter: Mutex<Meter>,
}

impl Loader {
    /// Looks at every photo: at its header only, or, if bad ones are to be skipped, at all of it.
    ///
    /// # Errors
    /// If photos cannot be used, which are all named, or none is left.
    pub fn new(samples: Vec<Labelled>, augment: Augment, shape: Shape, seed: u64, loading: Loading) -> Result<Self> {
        let (samples, skipped) = match loading.skip_bad {
            true => survey::usable(samples),
            false => {
                survey::all_usable(&samples)?;
                (samples, Vec::new())
            }
        };
        if samples.is_empty() {
            return Err(match skipped.first() {
                None => Error::Input("there is no photo to train on".to_owned()),
                Some(first) => Error::Input(format!("none of the training photos can be used; the first: {first}")),
            });
        }
        Ok(Self {
            samples: Arc::new(Samples::new(samples, augment, shape, seed)),
            workers: loading.workers.unwrap_or_else(Loading::default_workers),
            skipped,
            meter: Mutex::new(Meter::start()),
        })
    }

    /// What was wrong with the photos that were skipped, one error a photo.
    #[must_use]
    pub fn skipped(&self) -> &[Error] {
        &self.skipped
    }

    /// How the current epoch goes, or how the last one went.
    #[must_use]
    pub fn speed(&self) -> Speed {
        self.meter().speed()
    }

    /// The photos of batch `batch` of an epoch, counted from 0, in their order.
    #[must_use]
    pub fn photos(&self, epoch: usize, batch: usize) -> Vec<&Path> {
        let order = self.samples.order(epoch);
        let indices = order.chunks(self.samples.shape.batch).nth(batch).unwrap_or_default();
        indices.iter().map(|&index| self.samples.get(index).photo.as_path()).collect()
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Loader {
    fn batches(&self) -> usize {
        self.samples.batches()
    }

    fn epoch<'a>(&'a self, epoch: usize) -> Box<dyn Iterator<Item = wseg_cuda_runner::Result<Batch>> + 'a> {
        Box::new(Epoch::start(self, epoch, 0))
    }

    fn epoch_from<'a>(
        &'a self,
        epoch: usize,
        first: usize,
    ) -> Box<dyn Iterator<Item = wseg_cuda_runner::Result<Batch>> + 'a> {
        Box::new(Epoch::start(self, epoch, first))
    }

    fn files(&self, epoch: usize, batch: usize) -> Vec<String> {
        self.photos(epoch, batch).into_iter().map(|photo| photo.display().to_string()).collect()
    }
}
