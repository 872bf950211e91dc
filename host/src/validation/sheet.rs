//! The sheet of a few fixed photos that shows how masks become supervision: photo, the network's mask, the mask refined
//! by PAMR, the pseudo label; or the mask that the network learns from.

use std::path::PathBuf;

use image::{RgbImage, imageops};
use wseg_core::Tensor as _;
use wseg_cuda_runner::{
    dense::Dense,
    model::{Model, Supervision},
    train::Recipe,
};

use super::{Eye, Seen};
use crate::{
    Result,
    data::{
        GivenMask, ImageLabels,
        loader::{Annotation, Labelled},
    },
    palette::VOID,
    picture::{self, LabelMap},
    predictor::class_names,
    report::{overlay, sheet},
};

/// Rows of the sheet.
const PHOTOS: usize = 4;
/// The longer side of a photo on its way to the sheet, in pixels: twice what the sheet shows.
const SIDE: u32 = 480;
/// The titles of the columns where image labels supervise, and where masks do.
const TITLES: [&[&str]; 2] = [&["photo", "mask", "refined", "pseudo label"], &["photo", "mask", "to learn"]];
/// Stride of the single-stage network's masks, and of those that PAMR refines here for the baseline.
const STRIDE: usize = 4;

/// The photos of the sheet: always the same, so that one sees how training goes.
#[derive(Debug, Clone)]
pub struct SheetPhotos {
    split: &'static str,
    photos: Vec<(PathBuf, ImageLabels, Option<GivenMask>)>,
}

impl SheetPhotos {
    /// The first of the photos of a split, with the classes they show and the masks to learn from.
    pub fn new(split: &'static str, photos: impl Iterator<Item = (PathBuf, ImageLabels, Option<GivenMask>)>) -> Self {
        Self { split, photos: photos.take(PHOTOS).collect() }
    }

    /// The first of the photos that are learned from, with the classes they show.
    #[must_use]
    pub fn training(photos: &[Labelled], present: &[ImageLabels]) -> Self {
        let shown = |(photo, present): (&Labelled, &ImageLabels)| {
            let mask = match &photo.annotation {
                Annotation::Mask(mask) => Some(mask.clone()),
                Annotation::Labels(_) => None,
            };
            (photo.photo.clone(), present.clone(), mask)
        };
        Self::new("training", photos.iter().zip(present).map(shown))
    }

    /// The sheet's tag in TensorBoard.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{}/masks", self.split)
    }

    /// Draws the sheet. Pixels that no class claims, or several do, are hatched in the pseudo label.
    ///
    /// # Errors
    /// If a photo cannot be read or memory runs out.
    pub fn draw(&self, model: &Model, recipe: &Recipe) -> Result<RgbImage> {
        let eye = Eye::new(model, recipe)?;
        let names = class_names(model);
        let mut drawn = [false; 256];
        let mut rows = Vec::with_capacity(self.photos.len());
        let by_labels = model.config.model.supervision() == Supervision::ImageLabels;
        for (path, present, target) in &self.photos {
            let photo = picture::read_photo(path)?;
            let seen = eye.see(&photo)?;
            let small = shrunk(&photo);
            let shown = names[1..].iter().zip(present).filter(|(_, present)| **present);
            let caption = shown.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let mut row = vec![(caption, small.clone())];
            let masks = match by_labels {
                true => stages(&eye, &seen, present)?.to_vec(),
                false => {
                    let target = target.as_ref().map(|target| target.read(photo.dimensions())).transpose()?;
                    std::iter::once(network_mask(&eye, &seen)?).chain(target).collect()
                }
            };
            for mask in masks {
                mask.present().iter().zip(&mut drawn).for_each(|(here, drawn)| *drawn |= here);
                row.push((String::new(), overlay::blend(&small, &mask)));
            }
            rows.push(row);
        }
        let labels: Vec<u8> = (1..=u8::MAX).filter(|label| drawn[usize::from(*label)]).collect();
        Ok(overlay::add_legend(&sheet::sheet(&rows, TITLES[usize::from(!by_labels)]), &labels, &names))
    }
}

/// The network's mask.
fn network_mask(eye: &Eye<'_>, seen: &Seen) -> Result<LabelMap> {
    let (_, _, h, w) = seen.view.dims4()?;
    strongest(&eye.model.masks_at(&seen.classified, h, w)?)
}

/// The network's mask, the refined mask, the pseudo label.
fn stages(eye: &Eye<'_>, seen: &Seen, present: &[bool]) -> Result<[LabelMap; 3]> {
    let (_, _, h, w) = seen.view.dims4()?;
    let own = match seen.classified.logits {
        Some(_) => eye.supervise(seen, &seen.classified.masks, present)?,
        // The baseline's raw activations are masks only after their normalisation.
        None => {
            let masks = eye.model.masks_at(&seen.classified, h.div_ceil(STRIDE), w.div_ceil(STRIDE))?;
            eye.supervise(seen, &masks, present)?
        }
    };
    Ok([network_mask(eye, seen)?, strongest(&own.refined)?, strongest(&own.pseudo)?])
}

/// The strongest channel of every pixel; [`VOID`] where all are 0.
fn strongest(masks: &Dense) -> Result<LabelMap> {
    let shape = masks.shape();
    let best: Vec<u8> = masks.tensor().argmax(1)?.flatten_all()?.to_dtype(candle_core::DType::U8)?.to_vec1()?;
    let height: Vec<f32> = masks.tensor().max(1)?.flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1()?;
    let labels = best.into_iter().zip(height).map(|(label, height)| if height > 0.0 { label } else { VOID }).collect();
    Ok(LabelMap { width: shape.w, height: shape.h, labels })
}

/// The photo, made smaller if it is larger than the sheet needs.
fn shrunk(photo: &RgbImage) -> RgbImage {
    let (width, height) = photo.dimensions();
    let longest = width.max(height);
    if longest <= SIDE {
        return photo.clone();
    }
    let side = |pixels: u32| ((u64::from(pixels) * u64::from(SIDE) / u64::from(longest)) as u32).max(1);
    imageops::thumbnail(photo, side(width), side(height))
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn a_pixel_without_any_claim_is_void() {
        // Channels of two pixels: the first is claimed by class 1, the second by none.
        let masks = Tensor::from_vec(vec![0.0_f32, 0.0, 0.9, 0.0], (1, 2, 1, 2), &Device::Cpu).unwrap();
        assert_eq!(strongest(&Dense::new(masks).unwrap()).unwrap().labels, [1, VOID]);
    }

    #[test]
    fn a_large_photo_is_made_smaller_with_its_proportions() {
        assert_eq!(shrunk(&RgbImage::new(4000, 3000)).dimensions(), (480, 360));
        assert_eq!(shrunk(&RgbImage::new(5000, 1)).dimensions(), (480, 1));
        assert_eq!(shrunk(&RgbImage::new(48, 40)).dimensions(), (48, 40));
    }
}
