//! A trained network applied to photos.

use std::{borrow::Cow, path::Path};

use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use wseg_cuda_runner::{
    infer::{Inference, Merge, Prediction},
    model::Model,
    train::checkpoint,
};

use crate::{
    Error, Result,
    data::{Classes, augment},
    picture::LabelMap,
};

/// A network and how it is applied.
#[derive(Debug)]
pub struct Predictor<'a> {
    model: &'a Model,
    inference: Inference,
}

/// Reads a checkpoint.
///
/// # Errors
/// If the file cannot be read or is no checkpoint of this program; the error names it.
pub fn load(path: &Path) -> Result<Model> {
    checkpoint::load(path, DType::F32, &Device::Cpu)?.ok_or_else(|| {
        Error::input(path, "is not a wseg checkpoint; weights from elsewhere need --preset, the name of their network")
    })
}

/// The network's class names with the background's.
#[must_use]
pub fn class_names(model: &Model) -> Vec<String> {
    std::iter::once("background".to_owned()).chain(model.config.classes.iter().cloned()).collect()
}

/// The network's classes.
///
/// # Errors
/// If the checkpoint's names cannot be class names.
pub fn classes(model: &Model) -> Result<Classes> {
    Classes::new(class_names(model))
        .map_err(|problem| crate::Error::Input(format!("the checkpoint's classes: {problem}")))
}

impl<'a> Predictor<'a> {
    /// Applies `model` as `inference` says.
    ///
    /// # Errors
    /// If a value of `inference` is out of range.
    pub fn new(model: &'a Model, inference: Inference) -> Result<Self> {
        inference.check()?;
        Ok(Self { model, inference })
    }

    /// What the network sees of a photo at a scale.
    ///
    /// # Shapes
    /// -> `[1, 3, h, w]`, normalised
    ///
    /// # Errors
    /// If memory runs out.
    pub fn view(&self, photo: &RgbImage, scale: f64, mirrored: bool) -> Result<Tensor> {
        let size = (photo.height() as usize, photo.width() as usize);
        let (h, w) = self.inference.view(size, self.model.config.crop, scale);
        let pixels = match (h, w) == size {
            true => Cow::Borrowed(photo.as_raw()),
            false => Cow::Owned(augment::resize(photo, w, h)?),
        };
        let view = augment::normalise(&pixels, w, h, mirrored);
        Ok(Tensor::from_vec(view, (1, 3, h, w), &Device::Cpu).map_err(wseg_cuda_runner::Error::from)?)
    }

    /// Segments a photo. `present` tells which classes it shows, background left out; without it the network judges.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn predict(&self, photo: &RgbImage, present: Option<&[bool]>) -> Result<Prediction> {
        let Inference { threshold, background_power, .. } = self.inference;
        Ok(self.look(photo)?.finish(present, threshold, background_power)?)
    }

    /// All views of a photo, to be merged.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn look(&self, photo: &RgbImage) -> Result<Merge<'a>> {
        let mut merge = Merge::new(self.model, photo.height() as usize, photo.width() as usize);
        for &scale in &self.inference.scales {
            for mirrored in [false, true] {
                if self.inference.flip || !mirrored {
                    merge.add(&self.view(photo, scale, mirrored)?, mirrored)?;
                }
            }
        }
        Ok(merge)
    }
}

/// The predicted mask as a picture of class numbers.
#[must_use]
pub fn mask_of(prediction: Prediction, photo: &RgbImage) -> LabelMap {
    LabelMap { width: photo.width() as usize, height: photo.height() as usize, labels: prediction.labels }
}
