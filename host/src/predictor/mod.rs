//! A trained network applied to photos.

mod batch;
mod canvas;
mod masks;
#[cfg(test)]
mod tests;
mod tiled;

pub use batch::{Batch, Segmented, Waiting};
pub use masks::Masks;

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use wseg_cuda_runner::{
    Compute,
    infer::{Inference, Merge, Prediction, Window, bicubic, tiles},
    model::Model,
    train::checkpoint,
};

use crate::{
    Error, Result,
    data::{Classes, Dataset, augment},
    picture::LabelMap,
};

/// Views of more pixels than those of a square of this side are cut into tiles, unless told otherwise.
pub const TILE: usize = 1024;
/// Values of a photo's masks above which they are merged channel by channel: 256 MiB of them.
const AT_ONCE: usize = 1 << 26;

/// A network and how it is applied.
#[derive(Debug)]
pub struct Predictor<'a> {
    model: &'a Model,
    inference: Inference,
    tile: usize,
}

/// Reads a checkpoint.
///
/// # Errors
/// If the file cannot be read or is no checkpoint of this program; the error names it.
pub fn load(path: &Path) -> Result<Model> {
    load_on(path, &Compute::default())
}

/// Reads a checkpoint to where it is to compute.
///
/// # Errors
/// As [`load`].
pub fn load_on(path: &Path, compute: &Compute) -> Result<Model> {
    let model = checkpoint::load(path, DType::F32, &compute.device)?.ok_or_else(|| {
        Error::input(path, "is not a wseg checkpoint; weights from elsewhere need --preset, the name of their network")
    })?;
    Ok(model.with_precision(compute.precision)?)
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

/// The network's classes, which a data set must have as well.
///
/// # Errors
/// As [`classes`]; the data set has others, or in another order.
pub fn classes_of(model: &Model, data: &Dataset) -> Result<Classes> {
    let classes = classes(model)?;
    if data.classes() != &classes {
        return Err(Error::input(data.root(), "these are not the classes that the network learnt"));
    }
    Ok(classes)
}

impl<'a> Predictor<'a> {
    /// Applies `model` as `inference` says.
    ///
    /// # Errors
    /// If a value of `inference` is out of range.
    pub fn new(model: &'a Model, inference: Inference) -> Result<Self> {
        inference.check()?;
        Ok(Self { model, inference, tile: TILE })
    }

    /// With tiles of another side, in pixels of what the network sees.
    #[must_use]
    pub fn with_tile(self, tile: usize) -> Self {
        Self { tile: tile.max(1), ..self }
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
        let view = self.inference.view(size, self.model.config.crop, scale);
        self.seen(&[photo], Window::all((size.1, size.0)), view, mirrored)
    }

    /// What the network sees of the same part of each photo, at the size (height, width) of `view`.
    fn seen(&self, photos: &[&RgbImage], window: Window, (h, w): (usize, usize), mirrored: bool) -> Result<Tensor> {
        let mut views = Vec::with_capacity(3 * photos.len() * h * w);
        for photo in photos {
            let size = (photo.width() as usize, photo.height() as usize);
            match window == Window::all(size) && (w, h) == size {
                true => augment::normalise_into(&mut views, photo.as_raw(), w, mirrored),
                false => {
                    augment::normalise_into(&mut views, &bicubic(photo.as_raw(), size, window, (w, h))?, w, mirrored)
                }
            }
        }
        let shape = (photos.len(), 3, h, w);
        Ok(Tensor::from_vec(views, shape, &Device::Cpu).map_err(wseg_cuda_runner::Error::from)?)
    }

    /// Height and width of the views of a photo, one a scale.
    fn views(&self, size: (usize, usize)) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.inference.scales.iter().map(move |&scale| self.inference.view(size, self.model.config.crop, scale))
    }

    /// The photo as it is, and mirrored if it is looked at so.
    fn sides(&self) -> &'static [bool] {
        if self.inference.flip { &[false, true] } else { &[false] }
    }

    /// Segments a photo. `present` tells which classes it shows, background left out; without it the network judges.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn predict(&self, photo: &RgbImage, present: Option<&[bool]>) -> Result<Prediction> {
        let Inference { threshold, background_power, .. } = self.inference;
        Ok(self.look(photo)?.finish(present, threshold, background_power)?)
    }

    /// All views of a photo, to be merged. It is looked at as a whole, whatever its size.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn look(&self, photo: &RgbImage) -> Result<Merge<'a>> {
        let mut looks = self.look_at_all(&[photo])?;
        looks.pop().ok_or_else(|| Error::Failed("no photo was looked at".to_owned()))
    }

    /// All views of photos of one size, which go through the network together.
    fn look_at_all(&self, photos: &[&RgbImage]) -> Result<Vec<Merge<'a>>> {
        let Some(first) = photos.first() else { return Ok(Vec::new()) };
        let size = (first.height() as usize, first.width() as usize);
        let mut looks: Vec<Merge<'a>> = photos.iter().map(|_| Merge::new(self.model, size.0, size.1)).collect();
        for view in self.views(size) {
            for &mirrored in self.sides() {
                let views = self.seen(photos, Window::all((size.1, size.0)), view, mirrored)?;
                Merge::add_batch(&mut looks, &views, mirrored)?;
            }
        }
        Ok(looks)
    }

    /// Whether a photo of this height and width is looked at in tiles, or its masks are too many to be merged at once.
    #[must_use]
    pub fn is_large(&self, size: (usize, usize)) -> bool {
        let values = (1 + self.model.config.classes.len()).saturating_mul(size.0).saturating_mul(size.1);
        values > AT_ONCE || self.views(size).any(|view| tiles(size, view, self.tile).len() > 1)
    }

    /// Segments photos of one size; each with the classes that it shows, if they are known. Large ones are cut into tiles,
    /// and what does not fit into memory goes to a working file in `folder`, which is gone at the end.
    ///
    /// # Errors
    /// Photos of several sizes; memory runs out; the working file cannot be written.
    pub fn segment(&self, photos: &[(&RgbImage, Option<&[bool]>)], folder: &Path) -> Result<Vec<Masks>> {
        let Some((first, _)) = photos.first() else { return Ok(Vec::new()) };
        if photos.iter().any(|(photo, _)| photo.dimensions() != first.dimensions()) {
            return Err(Error::Failed("photos of several sizes cannot be looked at together".to_owned()));
        }
        if self.is_large((first.height() as usize, first.width() as usize)) {
            let look = |(photo, present): &(&RgbImage, Option<&[bool]>)| {
                self.look_tiled(photo, *present, folder, canvas::IN_MEMORY)
            };
            return photos.iter().map(look).collect();
        }
        let Inference { threshold, background_power, .. } = self.inference;
        let pixels: Vec<&RgbImage> = photos.iter().map(|(photo, _)| *photo).collect();
        let looks = self.look_at_all(&pixels)?;
        let masks = looks
            .iter()
            .zip(photos)
            .map(|(look, (_, present))| Masks::whole(&look.finish(*present, threshold, background_power)?));
        masks.collect()
    }
}

/// The predicted mask as a picture of class numbers.
#[must_use]
pub fn mask_of(prediction: Prediction, photo: &RgbImage) -> LabelMap {
    LabelMap { width: photo.width() as usize, height: photo.height() as usize, labels: prediction.labels }
}
