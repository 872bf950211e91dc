//! A trained network applied to photos.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use wseg_cuda_runner::{
    infer::{Inference, Merge, Prediction},
    model::Model,
    train::checkpoint,
};

use crate::{
    Result,
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
    Ok(checkpoint::load(path, DType::F32, &Device::Cpu)?)
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
    Classes::new(class_names(model)).map_err(|problem| crate::Error::Input(format!("the checkpoint's classes: {problem}")))
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

    /// Segments a photo. `present` tells which classes it shows, background left out; without it the network judges.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn predict(&self, photo: &RgbImage, present: Option<&[bool]>) -> Result<Prediction> {
        let (width, height) = (photo.width() as usize, photo.height() as usize);
        let mut merge = Merge::new(self.model, height, width);
        for &scale in &self.inference.scales {
            let side = |pixels: usize| ((pixels as f64 * scale).round() as usize).max(1);
            let (w, h) = (side(width), side(height));
            let pixels = match (w, h) == (width, height) {
                true => photo.as_raw().clone(),
                false => augment::resize(photo, None, w, h)?,
            };
            for mirrored in [false, true] {
                if mirrored && !self.inference.flip {
                    continue;
                }
                let view = augment::normalise(&pixels, w, h, mirrored);
                let view = Tensor::from_vec(view, (1, 3, h, w), &Device::Cpu).map_err(wseg_cuda_runner::Error::from)?;
                merge.add(&view, mirrored)?;
            }
        }
        Ok(merge.finish(present, self.inference.threshold, self.inference.background_power)?)
    }
}

/// The predicted mask as a picture of class numbers.
#[must_use]
pub fn mask_of(prediction: Prediction, photo: &RgbImage) -> LabelMap {
    LabelMap { width: photo.width() as usize, height: photo.height() as usize, labels: prediction.labels }
}
