//! Photos too large to be looked at as a whole: tile by tile, channel by channel.

use std::path::Path;

use candle_core::DType;
use image::RgbImage;
use wseg_core::{Tensor as _, activation::sigmoid, merge::restore_view};
use wseg_cuda_runner::{
    dense::Dense,
    infer::{Inference, Tile, kept_classes, tiles},
    nn::Pass,
};

use super::{Predictor, canvas::Canvas, masks::Masks};
use crate::{Error, Result};

impl Predictor<'_> {
    /// All views of a photo, each part of it that the network sees at once after the other.
    ///
    /// Of a photo of any size, what is in memory at a time is the photo, what the network needs for a tile, a few maps of
    /// one channel, and `in_memory` values; the rest is in a working file in `folder`.
    pub(super) fn look_tiled(
        &self,
        photo: &RgbImage,
        present: Option<&[bool]>,
        folder: &Path,
        in_memory: usize,
    ) -> Result<Masks> {
        let size = (photo.height() as usize, photo.width() as usize);
        let classes = self.model.config.classes.len();
        let mut canvas = Canvas::zero(1 + classes, size, folder, in_memory)?;
        let mut confidence: Option<Vec<f32>> = None;
        let Inference { threshold, background_power, .. } = self.inference;
        for view in self.views(size) {
            for tile in tiles(size, view, self.tile) {
                for &mirrored in self.sides() {
                    let masks = self.look_at(photo, &tile, mirrored, &mut confidence)?;
                    add(&mut canvas, &masks, &tile, mirrored).map_err(|error| match error {
                        Trouble::File(error) => {
                            Error::failed(folder, format!("the working file cannot be written ({error})"))
                        }
                        Trouble::Runner(error) => error.into(),
                    })?;
                }
            }
        }
        let kept = kept_classes(classes, present, confidence.as_deref(), threshold);
        let views = self.inference.scales.len() * self.sides().len();
        Ok(Masks::merged(canvas, views, &kept, background_power, confidence))
    }

    /// The masks of a tile, at its view's size.
    fn look_at(&self, photo: &RgbImage, tile: &Tile, mirrored: bool, best: &mut Option<Vec<f32>>) -> Result<Dense> {
        let (h, w) = tile.view;
        let view = self.seen(&[photo], tile.window, tile.view, mirrored)?;
        let classified = self.model.forward(&view, &Pass::evaluation())?;
        if let Some(scores) = &classified.scores {
            let scores: Vec<f32> = sigmoid(scores)?.tensor().flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
            let best = best.get_or_insert_with(|| vec![0.0; scores.len()]);
            best.iter_mut().zip(scores).for_each(|(best, score)| *best = best.max(score));
        }
        Ok(self.model.masks_at(&classified, h, w)?)
    }
}

/// What can go wrong as masks are added up.
enum Trouble {
    File(std::io::Error),
    Runner(wseg_cuda_runner::Error),
}

impl From<wseg_cuda_runner::Error> for Trouble {
    fn from(error: wseg_cuda_runner::Error) -> Self {
        Self::Runner(error)
    }
}

impl From<candle_core::Error> for Trouble {
    fn from(error: candle_core::Error) -> Self {
        Self::Runner(error.into())
    }
}

/// Brings the masks of a tile back to the photo, one channel after the other.
fn add(canvas: &mut Canvas, masks: &Dense, tile: &Tile, mirrored: bool) -> Result<(), Trouble> {
    for channel in 0..masks.shape().c {
        let plane = masks.narrow_channels(channel, 1)?;
        let plane = restore_view(&plane, tile.window.height, tile.window.width, mirrored)?;
        let mut plane: Vec<f32> = plane.tensor().flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
        tile.weigh(&mut plane);
        canvas.add(channel, tile.window, &plane).map_err(Trouble::File)?;
    }
    Ok(())
}
