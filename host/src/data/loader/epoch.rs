//! The batches of one epoch.

use std::{path::Path, sync::Arc, time::Instant};

use candle_core::{Device, Tensor};
use wseg_cuda_runner::{
    Error as RunnerError,
    train::{Batch, Target},
};

use super::{
    Annotation, Labelled, Loader,
    ahead::{Ahead, Panicked},
    samples::Drawn,
};
use crate::{
    Error, Result,
    data::augment::{Varied, normalise_into},
};

/// Batches prepared ahead of the step.
const AHEAD: usize = 2;
/// Varied photos waiting for the step take at most this many bytes, however large batches are.
const AHEAD_BYTES: usize = 256 << 20;

/// The batches of one epoch, or the rest of them. After an error there are no more.
///
/// Dropping it ends the worker threads, each after at most one more photo.
#[derive(Debug)]
pub struct Epoch<'a> {
    loader: &'a Loader,
    order: Arc<[usize]>,
    /// Photos handed over so far, counted from the start of the epoch.
    taken: usize,
    /// Why there are no workers, if so.
    broken: Option<RunnerError>,
    varied: Option<Ahead<Result<Drawn>>>,
}

impl<'a> Epoch<'a> {
    pub(super) fn start(loader: &'a Loader, epoch: usize, batch: usize) -> Self {
        let order: Arc<[usize]> = loader.samples.order(epoch).into();
        let shape = loader.samples.shape;
        let taken = batch.saturating_mul(shape.batch).min(order.len());
        let room = AHEAD_BYTES / (4 * shape.frame.side * shape.frame.side).max(1);
        let limit = (AHEAD * shape.batch).min(room).max(loader.workers);
        let (samples, places) = (Arc::clone(&loader.samples), Arc::clone(&order));
        let vary = move |place: usize| samples.varied(epoch, places[place]);
        *loader.meter() = super::Meter::start();
        let started = Ahead::start(taken..order.len(), loader.workers, limit, vary);
        let (varied, broken) = match started {
            Ok(varied) => (Some(varied), None),
            Err(error) => (None, Some(RunnerError::Training(format!("no worker thread can be started: {error}")))),
        };
        Self { loader, order, taken, broken, varied }
    }

    fn batch(&mut self) -> wseg_cuda_runner::Result<Option<Batch>> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let shape = self.loader.samples.shape;
        let (n, side) = (shape.batch.min(self.order.len() - self.taken), shape.frame.side);
        let mut images = Vec::with_capacity(n * 3 * side * side);
        let (mut labels, mut masks) = (Vec::new(), Vec::new());
        for varied in self.varied.iter_mut().flatten().take(n) {
            let sample = self.loader.samples.get(self.order[self.taken]);
            let Drawn { photo: Varied { pixels, mirrored }, mask } = match varied {
                Ok(drawn) => drawn.map_err(|error| of_files(sample, &error))?,
                Err(Panicked { .. }) => {
                    let told = format!("{}: reading it panicked, a defect of this program", sample.photo.display());
                    return Err(RunnerError::Training(told));
                }
            };
            normalise_into(&mut images, &pixels, side, mirrored);
            if let Annotation::Labels(present) = &sample.annotation {
                labels.extend(present.iter().map(|&present| if present { 1f32 } else { 0.0 }));
            }
            masks.extend(mask.into_iter().flatten());
            self.taken += 1;
        }
        if images.is_empty() {
            return Ok(None);
        }
        let target = if masks.is_empty() {
            let classes = labels.len() / n;
            Target::Labels(Tensor::from_vec(labels, (n, classes, 1, 1), &Device::Cpu)?)
        } else {
            Target::Masks(Tensor::from_vec(masks, (n, 1, side, side), &Device::Cpu)?)
        };
        Ok(Some(Batch { images: Tensor::from_vec(images, (n, 3, side, side), &Device::Cpu)?, target }))
    }
}

/// An error of the runner that names the photo, or its mask if it is of that, once.
fn of_files(sample: &Labelled, error: &Error) -> RunnerError {
    let told = error.to_string();
    let rest = |path: &Path| told.strip_prefix(&format!("{}: ", path.display())).map(str::to_owned);
    let of_mask = match &sample.annotation {
        Annotation::Mask(mask) => rest(&mask.path).map(|problem| (mask.path.clone(), problem)),
        Annotation::Labels(_) => None,
    };
    let (path, problem) = of_mask.unwrap_or_else(|| {
        let problem = rest(&sample.photo);
        (sample.photo.clone(), problem.unwrap_or_else(|| told.clone()))
    });
    RunnerError::File { path, problem }
}

impl Iterator for Epoch<'_> {
    type Item = wseg_cuda_runner::Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let (asked, before) = (Instant::now(), self.taken);
        let batch = self.batch().transpose();
        if matches!(batch, None | Some(Err(_))) {
            // No photo is decoded in vain.
            self.varied = None;
        }
        self.loader.meter().count(self.taken - before, asked.elapsed());
        batch
    }
}
