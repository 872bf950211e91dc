//! The photos of a split and their masks: their order in an epoch, their random numbers, their pixels.

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

use super::{Annotation, Labelled, Shape};
use crate::{
    Result,
    data::augment::{Augment, Varied},
    picture::{self, LabelMap},
};

/// Decoded photos and masks are kept in memory up to this many bytes; beyond it they are read again in every epoch.
const KEPT_BYTES: usize = 256 << 20;

/// The random stream that shuffles an epoch; those below belong to the photos.
const SHUFFLE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Samples {
    labelled: Vec<Labelled>,
    kept: Vec<OnceLock<Decoded>>,
    kept_bytes: AtomicUsize,
    augment: Augment,
    pub(super) shape: Shape,
    seed: u64,
}

/// A photo as its file has it, with its mask if that supervises.
#[derive(Clone, Debug)]
struct Decoded {
    photo: RgbImage,
    mask: Option<LabelMap>,
}

/// A photo as an epoch shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) photo: Varied,
    /// Labels of the square's pixels, mirrored already.
    pub(super) mask: Option<Vec<u8>>,
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

    /// A sample as an epoch shows it, photo and mask varied in step.
    pub(super) fn varied(&self, epoch: usize, index: usize) -> Result<Drawn> {
        let decoded = self.decoded(index)?;
        let (photo, frame) = (&decoded.photo, self.shape.frame);
        let mut rng = self.rng(epoch, index as u32);
        let size = (photo.width() as usize, photo.height() as usize);
        let variation = self.augment.draw(size, frame, &mut rng);
        let mask = decoded.mask.as_ref().map(|mask| variation.apply_mask(mask, frame.side));
        Ok(Drawn { photo: variation.apply(photo, frame.side)?, mask })
    }

    fn decoded(&self, index: usize) -> Result<Cow<'_, Decoded>> {
        if let Some(decoded) = self.kept[index].get() {
            return Ok(Cow::Borrowed(decoded));
        }
        let Labelled { photo, annotation } = &self.labelled[index];
        let photo = picture::read_photo(photo)?;
        let mask = match annotation {
            Annotation::Mask(mask) => Some(mask.read(photo.dimensions())?),
            Annotation::Labels(_) => None,
        };
        let bytes = photo.as_raw().len() + mask.as_ref().map_or(0, |mask| mask.labels.len());
        let decoded = Decoded { photo, mask };
        // Which photos are kept may depend on timing; what they look like does not.
        if self.kept_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= KEPT_BYTES {
            return Ok(Cow::Borrowed(self.kept[index].get_or_init(|| decoded)));
        }
        self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(Cow::Owned(decoded))
    }

    fn rng(&self, epoch: usize, stream: u32) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(((epoch as u64) << 32) | u64::from(stream));
        rng
    }
}
