//! Variations of training photos: random resized crop, mirror image, colour jitter; and normalisation.

use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8x3,
};
use image::RgbImage;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use wseg_cuda_runner::model::{IMAGE_MEAN, IMAGE_STD};

use crate::{Error, Result};

/// How training photos are varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Smallest and largest share of the photo's area in a crop.
    pub area: [f64; 2],
    /// Smallest and largest width / height of a crop, before it is made square.
    pub aspect: [f64; 2],
    /// Probability of the mirror image.
    pub flip: f64,
    /// Brightness is multiplied by up to 1 +- this.
    pub brightness: f64,
    /// Contrast is multiplied by up to 1 +- this.
    pub contrast: f64,
    /// Saturation is multiplied by up to 1 +- this.
    pub saturation: f64,
    /// The hue turns by up to +- this share of a circle.
    pub hue: f64,
}

impl Default for Augment {
    /// The paper's.
    fn default() -> Self {
        Self {
            area: [0.9, 1.0],
            aspect: [3.0 / 4.0, 4.0 / 3.0],
            flip: 0.5,
            brightness: 0.3,
            contrast: 0.3,
            saturation: 0.3,
            hue: 0.1,
        }
    }
}

impl Augment {
    /// Refuses what cannot be done.
    ///
    /// # Errors
    /// An input error naming the key and its range.
    pub fn check(&self) -> Result<()> {
        let bad = |key: &str, range: &str| Err(Error::Input(format!("`augment.{key}` must be {range}")));
        let share = 0.0..=1.0;
        let rising = |[low, high]: [f64; 2]| low > 0.0 && low <= high;
        match self {
            _ if !rising(self.area) || self.area[1] > 1.0 => bad("area", "two shares, the smaller one first"),
            _ if !rising(self.aspect) || self.aspect[1] > 100.0 => bad("aspect", "two ratios, the smaller one first"),
            _ if !share.contains(&self.flip) => bad("flip", "0 to 1"),
            _ if !share.contains(&self.brightness) => bad("brightness", "0 to 1"),
            _ if !share.contains(&self.contrast) => bad("contrast", "0 to 1"),
            _ if !share.contains(&self.saturation) => bad("saturation", "0 to 1"),
            _ if !(0.0..=0.5).contains(&self.hue) => bad("hue", "0 to 0.5"),
            _ => Ok(()),
        }
    }

    /// A varied square of `side` pixels, normalised, channels first.
    ///
    /// # Errors
    /// If the photo is empty.
    pub fn vary(&self, photo: &RgbImage, side: usize, rng: &mut ChaCha8Rng) -> Result<Vec<f32>> {
        let window = self.window(photo.width(), photo.height(), rng);
        let mut pixels = resize(photo, Some(window), side, side)?;
        self.jitter(&mut pixels, rng);
        Ok(normalise(&pixels, side, side, rng.random_bool(self.flip)))
    }

    /// Left, top, width and height of a random crop; the largest allowed central one where ten draws do not fit
    /// (torchvision's `RandomResizedCrop`).
    fn window(&self, width: u32, height: u32, rng: &mut ChaCha8Rng) -> [f64; 4] {
        let (width, height) = (f64::from(width), f64::from(height));
        for _ in 0..10 {
            let area = width * height * between(rng, self.area);
            let aspect = between(rng, self.aspect.map(f64::ln)).exp();
            let (w, h) = ((area * aspect).sqrt().round(), (area / aspect).sqrt().round());
            if (1.0..=width).contains(&w) && (1.0..=height).contains(&h) {
                let left = between(rng, [0.0, width - w]).floor();
                let top = between(rng, [0.0, height - h]).floor();
                return [left, top, w, h];
            }
        }
        let aspect = (width / height).clamp(self.aspect[0], self.aspect[1]);
        let (w, h) = ((height * aspect).min(width), (width / aspect).min(height));
        [(width - w) / 2.0, (height - h) / 2.0, w, h]
    }

    /// Brightness, contrast, saturation and hue, in random order (torchvision's `ColorJitter`).
    fn jitter(&self, pixels: &mut [u8], rng: &mut ChaCha8Rng) {
        let around = |rng: &mut ChaCha8Rng, spread: f64| between(rng, [1.0 - spread, 1.0 + spread]) as f32;
        let mut order = [0, 1, 2, 3];
        for last in (1..order.len()).rev() {
            order.swap(last, rng.random_range(0..=last));
        }
        for change in order {
            match change {
                0 if self.brightness > 0.0 => blend(pixels, around(rng, self.brightness), |_| 0.0),
                1 if self.contrast > 0.0 => {
                    let sum: f64 = pixels.chunks_exact(3).map(|rgb| f64::from(grey(rgb))).sum();
                    let mean = (sum / (pixels.len() / 3).max(1) as f64) as f32;
                    blend(pixels, around(rng, self.contrast), |_| mean);
                }
                2 if self.saturation > 0.0 => blend(pixels, around(rng, self.saturation), grey),
                3 if self.hue > 0.0 => turn(pixels, between(rng, [-self.hue, self.hue]) as f32),
                _ => {}
            }
        }
    }
}

fn between(rng: &mut ChaCha8Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Luma of ITU-R 601, as Pillow's mode L.
fn grey(rgb: &[u8]) -> f32 {
    0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2])
}

/// `factor * pixel + (1 - factor) * other`, cut to 0..=255.
fn blend(pixels: &mut [u8], factor: f32, other: impl Fn(&[u8]) -> f32) {
    for rgb in pixels.chunks_exact_mut(3) {
        let base = (1.0 - factor) * other(rgb);
        for value in rgb {
            *value = factor.mul_add(f32::from(*value), base).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Turns the hue by `share` of a circle.
fn turn(pixels: &mut [u8], share: f32) {
    for rgb in pixels.chunks_exact_mut(3) {
        let [r, g, b] = [f32::from(rgb[0]), f32::from(rgb[1]), f32::from(rgb[2])];
        let (high, low) = (r.max(g).max(b), r.min(g).min(b));
        let chroma = high - low;
        if chroma == 0.0 {
            continue;
        }
        let sector = match high {
            _ if high == r => (g - b) / chroma,
            _ if high == g => (b - r) / chroma + 2.0,
            _ => (r - g) / chroma + 4.0,
        };
        let hue = (sector + 6.0 * share).rem_euclid(6.0);
        // Value and chroma stay: each channel is high minus a share of the chroma that depends on its phase.
        for (value, phase) in rgb.iter_mut().zip([5.0, 3.0, 1.0]) {
            let k = (phase + hue).rem_euclid(6.0);
            *value = (high - chroma * k.min(4.0 - k).clamp(0.0, 1.0)).round() as u8;
        }
    }
}

/// A part of a photo, or all of it, resized with Pillow's bicubic filter. Interleaved RGB.
///
/// # Errors
/// If a side is 0.
pub fn resize(photo: &RgbImage, window: Option<[f64; 4]>, width: usize, height: usize) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(format!("the photo cannot be resized: {error}"));
    // Typed images: the untyped entry point would compile the resizing of every pixel format.
    let source = TypedImageRef::<U8x3>::from_buffer(photo.width(), photo.height(), photo.as_raw());
    let source = source.map_err(|error| failed(&error))?;
    let mut pixels = vec![0; 3 * width * height];
    let mut target = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut pixels);
    let target = target.as_mut().map_err(|error| failed(&error))?;
    let mut options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    if let Some([left, top, width, height]) = window {
        options = options.crop(left, top, width, height);
    }
    Resizer::new().resize_typed(&source, target, &options).map_err(|error| failed(&error))?;
    Ok(pixels)
}

/// Channels first, minus ImageNet's mean, over its deviation; mirrored if asked.
#[must_use]
pub fn normalise(pixels: &[u8], width: usize, height: usize, mirrored: bool) -> Vec<f32> {
    let mut planes = vec![0.0; 3 * width * height];
    for (channel, plane) in planes.chunks_exact_mut((width * height).max(1)).enumerate() {
        let scale = 1.0 / (255.0 * IMAGE_STD[channel]);
        let offset = -IMAGE_MEAN[channel] / IMAGE_STD[channel];
        for (row, values) in plane.chunks_exact_mut(width.max(1)).enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                let from = if mirrored { width - 1 - column } else { column };
                *value = f32::from(pixels[3 * (row * width + from) + channel]).mul_add(scale, offset);
            }
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn photo(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]))
    }

    #[test]
    fn crops_stay_inside_photos_of_any_shape() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (width, height) in [(1, 1), (1, 50), (320, 213), (40, 400), (17, 16)] {
            for _ in 0..50 {
                let [left, top, w, h] = Augment::default().window(width, height, &mut rng);
                assert!(left >= 0.0 && top >= 0.0 && w > 0.0 && h > 0.0);
                assert!(left + w <= f64::from(width) + 1e-9 && top + h <= f64::from(height) + 1e-9);
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_variation() {
        let vary = |seed| Augment::default().vary(&photo(60, 40), 32, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        assert_eq!(vary(3), vary(3));
        assert_ne!(vary(3), vary(4));
        assert!(vary(5).iter().all(|value| value.is_finite()) && vary(5).len() == 3 * 32 * 32);
    }

    #[test]
    fn a_full_turn_of_the_hue_changes_nothing_and_a_third_turns_red_into_green() {
        let mut pixels = [200, 30, 60, 7, 7, 7, 12, 250, 99];
        turn(&mut pixels, 1.0);
        assert_eq!(pixels, [200, 30, 60, 7, 7, 7, 12, 250, 99]);
        let mut red = [255, 0, 0];
        turn(&mut red, 1.0 / 3.0);
        assert_eq!(red, [0, 255, 0]);
    }

    #[test]
    fn the_mirror_image_is_mirrored_and_white_is_normalised() {
        let pixels = [255, 255, 255, 0, 0, 0];
        let (plain, mirrored) = (normalise(&pixels, 2, 1, false), normalise(&pixels, 2, 1, true));
        assert_eq!([plain[0], plain[1]], [mirrored[1], mirrored[0]]);
        assert!((plain[0] - (1.0 - 0.485) / 0.229).abs() < 1e-5);
    }
}
