//! Masks from anywhere, drawn to the edges of their photos: PAMR, the dense CRF, or one after the other.

mod masks;
mod npz;

pub use masks::{Band, ENDINGS, Masks, Reading};

use candle_core::{Device, Tensor};
use image::RgbImage;
use wseg_core::{Corners, pamr::Pamr};
use wseg_cuda_runner::{
    crf::{DenseCrf, Rgb, dense_crf},
    ops,
};

use crate::{Error, Result};

/// Most pixels of a photo whose masks are refined: PAMR takes some 250 bytes a pixel, the dense CRF about 400 with two
/// classes and 800 with twenty.
pub const MAX_PIXELS: usize = 16 << 20;

/// What is done to masks, in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Refinement {
    /// Pixel-adaptive mask refinement.
    pub pamr: Option<Pamr>,
    /// The dense CRF.
    pub crf: Option<DenseCrf>,
}

impl Refinement {
    /// Refines the masks of a photo. Probabilities of another size than the photo are first resized to it (bilinear,
    /// corners aligned).
    ///
    /// # Errors
    /// One sentence if the photo is too large or a parameter is out of range; if memory runs out.
    pub fn apply(&self, masks: Masks, photo: &RgbImage) -> Result<Masks> {
        self.apply_on(masks, photo, &Device::Cpu)
    }

    /// As [`apply`](Self::apply), with PAMR on a device; the dense CRF is the CPU's.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_on(&self, masks: Masks, photo: &RgbImage, device: &Device) -> Result<Masks> {
        let (width, height) = (photo.width() as usize, photo.height() as usize);
        if width * height > MAX_PIXELS {
            return Err(Error::Input(format!(
                "a photo of {width} x {height} pixels is too large to refine masks with (limit: {} megapixels); scale it down",
                MAX_PIXELS >> 20
            )));
        }
        let mut masks = resized(masks, width, height)?;
        if let Some(pamr) = &self.pamr {
            masks.values = refined(&masks, photo, pamr, device)?;
        }
        if let Some(crf) = &self.crf {
            let image = Rgb::new(photo.as_raw(), width, height);
            let q = image.and_then(|image| dense_crf(&masks.values, masks.labels.len(), image, crf));
            masks.values = q.map_err(|error| Error::Input(format!("the dense CRF cannot be run: {error}")))?;
        }
        Ok(masks)
    }
}

/// The masks as a tensor `[1, labels, h, w]`.
fn tensor(masks: &Masks, device: &Device) -> Result<Tensor> {
    let shape = (1, masks.labels.len(), masks.height, masks.width);
    Ok(Tensor::from_slice(&masks.values, shape, device)?)
}

fn resized(masks: Masks, width: usize, height: usize) -> Result<Masks> {
    if (masks.width, masks.height) == (width, height) {
        return Ok(masks);
    }
    let values =
        ops::resize(&tensor(&masks, &Device::Cpu)?, height, width, Corners::Aligned)?.flatten_all()?.to_vec1()?;
    Ok(Masks { width, height, values, ..masks })
}

/// PAMR's result.
fn refined(masks: &Masks, photo: &RgbImage, pamr: &Pamr, device: &Device) -> Result<Vec<f32>> {
    let pixels = masks.width * masks.height;
    let mut channels = vec![0.0_f32; 3 * pixels];
    for (index, pixel) in photo.pixels().enumerate() {
        for (channel, &value) in pixel.0.iter().enumerate() {
            channels[channel * pixels + index] = f32::from(value) / 255.0;
        }
    }
    let image = Tensor::from_vec(channels, (1, 3, masks.height, masks.width), device)?;
    Ok(ops::pamr_stored(&tensor(masks, device)?, &image, pamr)?.flatten_all()?.to_vec1()?)
}
