//! One variation of a photo, drawn or chosen.

use image::RgbImage;
use wseg_cuda_runner::infer::bicubic;

use super::{Change, Window, pixels::size};
use crate::Result;

/// What is done to a photo, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Variation {
    /// The part that is cut out and made square.
    pub window: Window,
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
    /// Varies a photo; the result is a square of `side` pixels.
    ///
    /// # Errors
    /// If the window is not in the photo.
    pub fn apply(&self, photo: &RgbImage, side: usize) -> Result<Varied> {
        // Only the crop is resized, and colours are changed where there are fewest pixels.
        let mut pixels = bicubic(photo.as_raw(), size(photo), self.window, (side, side))?;
        for change in &self.changes {
            change.apply(&mut pixels);
        }
        Ok(Varied { pixels, mirrored: self.mirrored })
    }
}
