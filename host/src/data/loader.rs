//! Batches for training: photos decoded once, varied by seeds of their own, prepared ahead of the step.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
};

use candle_core::{Device, Tensor};
use image::RgbImage;
use rand::{SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use wseg_cuda_runner::train::{Batch, Source};

use super::augment::Augment;
use crate::{Error, Result, picture};

/// Decoded photos are kept in memory up to this many bytes; beyond it they are read again in every epoch.
const KEPT_BYTES: usize = 1 << 30;
/// Batches prepared ahead of the step.
const AHEAD: usize = 3;

/// A photo to learn from.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Where it is.
    pub photo: PathBuf,
    /// Which classes it shows, background left out.
    pub present: Vec<bool>,
}

#[derive(Debug)]
struct Shared {
    samples: Vec<Labelled>,
    kept: Vec<Option<RgbImage>>,
    augment: Augment,
    batch: usize,
    side: usize,
    seed: u64,
}

/// Random batches of a split. What is drawn depends on the seed, the epoch and the place in it, never on timing.
#[derive(Clone, Debug)]
pub struct Loader {
    shared: Arc<Shared>,
}

impl Loader {
    /// Reads the photos.
    ///
    /// # Errors
    /// If there is none, or one cannot be read; the error names the file.
    pub fn new(samples: Vec<Labelled>, augment: Augment, batch: usize, side: usize, seed: u64) -> Result<Self> {
        if samples.is_empty() {
            return Err(Error::Input("there is no photo to train on".to_owned()));
        }
        let mut kept = Vec::with_capacity(samples.len());
        let mut bytes = 0;
        for sample in &samples {
            // Every photo is read once here, so that a broken one is named before hours are spent.
            let photo = picture::read_photo(&sample.photo)?;
            bytes += photo.as_raw().len();
            kept.push((bytes <= KEPT_BYTES).then_some(photo));
        }
        Ok(Self { shared: Arc::new(Shared { samples, kept, augment, batch, side, seed }) })
    }
}

impl Shared {
    /// The samples of an epoch, in its order. The last, smaller batch is left out, unless it is the only one.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.shuffle(&mut self.rng(epoch, u32::MAX as usize));
        order.truncate(self.batches() * self.batch.min(order.len()));
        order
    }

    fn batches(&self) -> usize {
        (self.samples.len() / self.batch).max(1)
    }

    fn rng(&self, epoch: usize, place: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(((epoch as u64) << 32) | place as u64);
        rng
    }

    fn batch(&self, epoch: usize, first: usize, indices: &[usize]) -> Result<Batch> {
        let (n, side) = (indices.len(), self.side);
        let mut images = Vec::with_capacity(n * 3 * side * side);
        let mut labels = Vec::new();
        for (place, &index) in indices.iter().enumerate() {
            let mut rng = self.rng(epoch, first + place);
            let sample = &self.samples[index];
            let varied = match &self.kept[index] {
                Some(photo) => self.augment.vary(photo, side, &mut rng)?,
                None => self.augment.vary(&picture::read_photo(&sample.photo)?, side, &mut rng)?,
            };
            images.extend_from_slice(&varied);
            labels.extend(sample.present.iter().map(|&present| if present { 1f32 } else { 0.0 }));
        }
        let classes = labels.len() / n.max(1);
        let tensor = |values, shape: (usize, usize, usize, usize)| {
            Tensor::from_vec(values, shape, &Device::Cpu).map_err(wseg_cuda_runner::Error::from)
        };
        Ok(Batch { images: tensor(images, (n, 3, side, side))?, labels: tensor(labels, (n, classes, 1, 1))? })
    }
}

impl Source for Loader {
    fn batches(&self) -> usize {
        self.shared.batches()
    }

    fn files(&self, epoch: usize, batch: usize) -> Vec<String> {
        let order = self.shared.order(epoch);
        let indices = order.chunks(self.shared.batch).nth(batch).unwrap_or_default();
        indices.iter().map(|&index| self.shared.samples[index].photo.display().to_string()).collect()
    }

    fn epoch<'a>(&'a self, epoch: usize) -> Box<dyn Iterator<Item = wseg_cuda_runner::Result<Batch>> + 'a> {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            let order = shared.order(epoch);
            for (index, indices) in order.chunks(shared.batch).enumerate() {
                // The other end is gone when training has stopped.
                if sender.send(shared.batch(epoch, index * shared.batch, indices)).is_err() {
                    return;
                }
            }
        });
        Box::new(receiver.into_iter().map(|batch| {
            batch.map_err(|error| match error {
                Error::Runner(error) => error,
                other => wseg_cuda_runner::Error::Training(other.to_string()),
            })
        }))
    }
}
