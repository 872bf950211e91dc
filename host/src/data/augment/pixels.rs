//! Photos on their way to a network: resized and normalised.

use image::RgbImage;
use wseg_cuda_runner::{
    infer::{Window, bicubic},
    model::{IMAGE_MEAN, IMAGE_STD},
};

use crate::Result;

/// Width and height.
pub(super) fn size(photo: &RgbImage) -> (usize, usize) {
    (photo.width() as usize, photo.height() as usize)
}

/// A photo at another size, with Pillow's bicubic filter. Interleaved RGB.
///
/// # Errors
/// If a side is 0.
pub fn resize(photo: &RgbImage, width: usize, height: usize) -> Result<Vec<u8>> {
    Ok(bicubic(photo.as_raw(), size(photo), Window::all(size(photo)), (width, height))?)
}

/// The colour that becomes about 0 when it is normalised.
pub(super) fn mean_colour() -> [u8; 3] {
    IMAGE_MEAN.map(|mean| (255.0 * mean).round() as u8)
}

/// Channels first, minus ImageNet's mean, over its deviation; mirrored if asked.
#[must_use]
pub fn normalise(pixels: &[u8], width: usize, height: usize, mirrored: bool) -> Vec<f32> {
    let mut planes = Vec::with_capacity(3 * width * height);
    normalise_into(&mut planes, pixels, width, mirrored);
    planes
}

/// As [`normalise`], behind what is in `planes` already.
pub fn normalise_into(planes: &mut Vec<f32>, pixels: &[u8], width: usize, mirrored: bool) {
    let (pixels, _) = pixels.as_chunks::<3>();
    for channel in 0..3 {
        // The order of torchvision's `to_tensor` and `normalize`, so that the last bit agrees, too.
        let table: [f32; 256] =
            std::array::from_fn(|value| (value as f32 / 255.0 - IMAGE_MEAN[channel]) / IMAGE_STD[channel]);
        for row in pixels.chunks_exact(width.max(1)) {
            let value = |pixel: &[u8; 3]| table[usize::from(pixel[channel])];
            if mirrored {
                planes.extend(row.iter().rev().map(value));
            } else {
                planes.extend(row.iter().map(value));
            }
        }
    }
}
