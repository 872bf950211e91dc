//! The photos of a split: their order in an epoch, their random numbers, their pixels.

use std::{
    borrow::Cow,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use image::RgbImage;
use rand::{SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{Labelled, Shape};
use crate::{
    Result,
    data::augment::{Augment, Varied},
    picture,
};

/// Decoded photos are kept in memory up to this many bytes; beyond it they are read again in every epoch.
const KEPT_BYTES: usize = 256 << 20;

/// The random stream that shuffles an epoch; those below belong to the photos.
const SHUFFLE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Samples {
    labelled: Vec<Labelled>,
    kept: Vec<OnceLock<RgbImage>>,
    kept_bytes: AtomicUsize,
    augment: Augment,
    pub(super) shape: Shape,
    seed: u64,
}

impl Samples {
    pub(super) fn new(labelled: Vec<Labelled>, augment: Augment, shape: Shape, seed: u64) -> Self {
        let kept = labelled.iter().map(|_| OnceLock::new()).collect();
        let shape = Shape { batch: shape.batch.max(1), ..shape };
        Self { labelled, kept, kept_bytes: AtomicUsize::new(0), augment, shape, seed }
    }

    pub(super) fn get(&self, index: usize) -> &Labelled {
        &self.labelled[index]
    }

    pub(super) fn batches(&self) -> usize {
        (self.labelled.len() / self.shape.batch).max(1)
    }

    /// The samples of an epoch, in its order. The last, smaller batch is left out, unless it is the only one.
    pub(super) fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.labelled.len()).collect();
        order.shuffle(&mut self.rng(epoch, SHUFFLE));
        order.truncate(self.batches() * self.shape.batch.min(order.len()));
        order
    }

    /// The varied photo of a sample in an epoch.
    pub(super) fn varied(&self, epoch: usize, index: usize) -> Result<Varied> {
        let photo = self.photo(index)?;
        let mut rng = self.rng(epoch, index as u32);
        let size = (photo.width() as usize, photo.height() as usize);
        self.augment.draw(size, &mut rng).apply(&photo, self.shape.side)
    }

    fn photo(&self, index: usize) -> Result<Cow<'_, RgbImage>> {
        if let Some(photo) = self.kept[index].get() {
            return Ok(Cow::Borrowed(photo));
        }
        let photo = picture::read_photo(&self.labelled[index].photo)?;
        let bytes = photo.as_raw().len();
        // Which photos are kept may depend on timing; what they look like does not.
        if self.kept_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= KEPT_BYTES {
            return Ok(Cow::Borrowed(self.kept[index].get_or_init(|| photo)));
        }
        self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(Cow::Owned(photo))
    }

    fn rng(&self, epoch: usize, stream: u32) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(((epoch as u64) << 32) | u64::from(stream));
        rng
    }
}
