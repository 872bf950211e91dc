//! One variation of a photo, and of its mask, drawn or chosen.

use image::RgbImage;
use wseg_cuda_runner::infer::bicubic;

use super::{Change, Crop, pixels, pixels::size};
use crate::{Result, palette::VOID, picture::LabelMap};

/// What is done to a photo, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Variation {
    /// The part that is cut out, and where in the square it lies.
    pub crop: Crop,
    /// Changes of colour, one after the other.
    pub changes: Vec<Change>,
    /// Whether left and right are exchanged at last.
    pub mirrored: bool,
}

/// A varied photo, not yet mirrored: that costs nothing while it is normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Varied {
    /// Interleaved RGB.
    pub pixels: Vec<u8>,
    /// Whether left and right are to be exchanged.
    pub mirrored: bool,
}

impl Variation {
    /// Varies a photo; the result is a square of `side` pixels. Around the photo is ImageNet's mean colour, a network's 0.
    ///
    /// # Errors
    /// If the crop does not lie in the photo and in the square.
    pub fn apply(&self, photo: &RgbImage, side: usize) -> Result<Varied> {
        let Crop { window, place } = self.crop;
        // Only the crop is resized, and colours are changed where there are fewest pixels.
        let mut inside = bicubic(photo.as_raw(), size(photo), window, (place.width, place.height))?;
        for change in &self.changes {
            change.apply(&mut inside);
        }
        if (place.width, place.height) == (side, side) {
            return Ok(Varied { pixels: inside, mirrored: self.mirrored });
        }
        let mut pixels = pixels::mean_colour().repeat(side * side);
        let rows = pixels.chunks_exact_mut(3 * side).skip(place.top);
        for (row, inside) in rows.zip(inside.chunks_exact(3 * place.width)) {
            row[3 * place.left..][..inside.len()].copy_from_slice(inside);
        }
        Ok(Varied { pixels, mirrored: self.mirrored })
    }

    /// The photo's mask, varied in step: each pixel is the nearest one's label, mirrored already; around the photo, no
    /// label. The mask must be of the photo's size.
    #[must_use]
    pub fn apply_mask(&self, mask: &LabelMap, side: usize) -> Vec<u8> {
        let Crop { window, place } = self.crop;
        // The middle of a pixel, brought back to the photo.
        let nearest =
            |at: usize, from: usize, length: usize, scaled: usize| from + (2 * at + 1) * length / (2 * scaled);
        let columns: Vec<usize> =
            (0..place.width).map(|x| nearest(x, window.left, window.width, place.width)).collect();
        let mut labels = vec![VOID; side * side];
        for (y, row) in labels.chunks_exact_mut(side).skip(place.top).take(place.height).enumerate() {
            let from = &mask.labels[nearest(y, window.top, window.height, place.height) * mask.width..];
            for (label, &column) in row[place.left..].iter_mut().zip(&columns) {
                *label = from[column];
            }
        }
        if self.mirrored {
            labels.chunks_exact_mut(side).for_each(<[u8]>::reverse);
        }
        labels
    }
}
