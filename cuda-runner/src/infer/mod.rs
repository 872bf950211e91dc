//! Prediction: views of one photo, merged.

mod resize;
mod tile;

pub use resize::{Window, bicubic};
pub use tile::{Tile, tiles};

use candle_core::Tensor;
use wseg_core::{
    Tensor as _,
    activation::sigmoid,
    merge::{finish_merge, restore_view},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    dense::Dense,
    model::{Classified, Model},
    nn::Pass,
};

/// What scale 1 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The photo's own size: the paper's, whose crops are about as large as its photos.
    Photo,
    /// The size at which the photo covers the area of a training crop: for networks trained on photos made smaller.
    Crop,
}

/// How photos are predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inference {
    /// What scale 1 means.
    pub base: Base,
    /// Scales at which a photo is looked at.
    pub scales: Vec<f64>,
    /// Whether the mirrored photo is looked at as well.
    pub flip: bool,
    /// A class is present if its confidence in any view exceeds this.
    pub threshold: f64,
    /// The power the merged background goes to; above 1, objects grow.
    pub background_power: f64,
}

impl Base {
    /// What a photo of this height and width is scaled by at scale 1, for a network trained on crops of `crop` pixels.
    #[must_use]
    pub fn unit(self, (height, width): (usize, usize), crop: usize) -> f64 {
        match self {
            Self::Photo => 1.0,
            Self::Crop => crop as f64 / ((height * width).max(1) as f64).sqrt(),
        }
    }
}

impl Default for Inference {
    /// The paper's for WideResNet-38.
    fn default() -> Self {
        Self { base: Base::Photo, scales: vec![1.0, 0.5, 1.5, 2.0], flip: true, threshold: 0.1, background_power: 3.0 }
    }
}

impl Inference {
    /// Height and width of the view of a photo at `scale`, for a network trained on crops of `crop` pixels.
    #[must_use]
    pub fn view(&self, (height, width): (usize, usize), crop: usize, scale: f64) -> (usize, usize) {
        let unit = self.base.unit((height, width), crop);
        let side = |pixels: usize| ((pixels as f64 * unit * scale).round() as usize).max(1);
        (side(height), side(width))
    }

    /// Refuses what cannot be predicted with.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key and its range.
    pub fn check(&self) -> Result<()> {
        let bad = |key: &str, range: &str| Err(Error::Config(format!("`{key}` must be {range}")));
        match self {
            _ if self.scales.is_empty() || self.scales.len() > 64 => bad("scales", "1 to 64 numbers"),
            _ if self.scales.iter().any(|s| !(0.05..=16.0).contains(s)) => bad("scales", "numbers from 0.05 to 16"),
            _ if !(0.0..=1.0).contains(&self.threshold) => bad("threshold", "0 to 1"),
            _ if !(0.01..=100.0).contains(&self.background_power) => bad("background_power", "0.01 to 100"),
            _ => Ok(()),
        }
    }
}

/// The views of one photo so far.
#[derive(Debug)]
pub struct Merge<'a> {
    model: &'a Model,
    height: usize,
    width: usize,
    sum: Option<Dense>,
    confidence: Option<Dense>,
    views: usize,
}

/// What was predicted for one photo.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Merged masks with background `[1, c + 1, h, w]`.
    pub masks: Dense,
    /// The most likely channel of each pixel, row-major, 0 = background.
    pub labels: Vec<u8>,
    /// Largest `sigmoid(score)` over the views, of each class; `None` from a network without class scores.
    pub confidence: Option<Vec<f32>>,
}

impl<'a> Merge<'a> {
    /// Starts a photo of `height` x `width` pixels.
    #[must_use]
    pub const fn new(model: &'a Model, height: usize, width: usize) -> Self {
        Self { model, height, width, sum: None, confidence: None, views: 0 }
    }

    /// Adds a view.
    ///
    /// # Shapes
    /// view `[1, 3, h', w']`, normalised, mirrored if `mirrored`
    ///
    /// # Errors
    /// If memory runs out.
    pub fn add(&mut self, view: &Tensor, mirrored: bool) -> Result<()> {
        Self::add_batch(std::slice::from_mut(self), view, mirrored)
    }

    /// Adds a view of each of several photos, which go through the network together.
    ///
    /// # Shapes
    /// views `[n, 3, h', w']` for n photos, normalised, mirrored if `mirrored`
    ///
    /// # Errors
    /// [`Error::Config`] if there are not as many views as photos; or if memory runs out.
    pub fn add_batch(photos: &mut [Self], views: &Tensor, mirrored: bool) -> Result<()> {
        let (n, _, h, w) = views.dims4()?;
        if n != photos.len() || n == 0 {
            return Err(Error::Config(format!("{n} views cannot be those of {} photos", photos.len())));
        }
        let classified = photos[0].model.forward(views, &Pass::evaluation())?;
        for (index, photo) in photos.iter_mut().enumerate() {
            photo.add_classified(&classified.of(index)?, (h, w), mirrored)?;
        }
        Ok(())
    }

    /// Adds what the network said of a view of `h` x `w` pixels, mirrored if `mirrored`.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn add_classified(&mut self, classified: &Classified, (h, w): (usize, usize), mirrored: bool) -> Result<()> {
        let masks = self.model.masks_at(classified, h, w)?;
        let masks = restore_view(&masks, self.height, self.width, mirrored)?;
        let confidence = classified.scores.as_ref().map(sigmoid).transpose()?;
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum.add(&masks)?,
            None => masks,
        });
        self.confidence = match (self.confidence.take(), confidence) {
            (Some(best), Some(confidence)) => Some(best.maximum(&confidence)?),
            (best, confidence) => best.or(confidence),
        };
        self.views += 1;
        Ok(())
    }

    /// Merges the views so far. A class is kept if `present` says so, or, without it, if its confidence in any view exceeds
    /// `threshold` (every class, if the network has no class scores); the background goes to the power
    /// `background_power`.
    ///
    /// # Errors
    /// [`Error::Config`] if there was no view; or if memory runs out.
    pub fn finish(&self, present: Option<&[bool]>, threshold: f64, background_power: f64) -> Result<Prediction> {
        let Some(sum) = &self.sum else {
            return Err(Error::Config("a prediction needs at least one view".to_owned()));
        };
        let confidence: Option<Vec<f32>> = match &self.confidence {
            Some(best) => Some(best.tensor().flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1()?),
            None => None,
        };
        let classes = sum.shape().c.saturating_sub(1);
        let kept = kept_classes(classes, present, confidence.as_deref(), threshold);
        let kept: Vec<f32> = kept.into_iter().map(|kept| if kept { 1.0 } else { 0.0 }).collect();
        let kept = Tensor::from_vec(kept, (1, classes, 1, 1), sum.tensor().device())?;
        let kept = Dense::new(kept.to_dtype(sum.tensor().dtype())?)?;
        let masks = finish_merge(sum, self.views, &kept, background_power)?;
        let labels = masks.tensor().argmax(1)?.flatten_all()?.to_dtype(candle_core::DType::U8)?.to_vec1()?;
        Ok(Prediction { masks, labels, confidence })
    }
}

/// Which classes are kept: those that `present` names, or, without it, those whose confidence exceeds `threshold`; all of
/// them where there is neither.
#[must_use]
pub fn kept_classes(classes: usize, present: Option<&[bool]>, confidence: Option<&[f32]>, threshold: f64) -> Vec<bool> {
    let is_kept = |class: usize| match (present, confidence) {
        (Some(present), _) => present.get(class).copied().unwrap_or(false),
        (None, Some(confidence)) => confidence.get(class).is_some_and(|&confidence| f64::from(confidence) > threshold),
        (None, None) => true,
    };
    (0..classes).map(is_kept).collect()
}
