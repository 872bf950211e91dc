//! Variations of training photos, and of their masks in step: random resized crop, or random scale and crop; mirror image;
//! colour jitter; and normalisation. With the same random numbers, torchvision does the same to a Pillow image;
//! `fixtures/augment` has its results.

mod colour;
mod crop;
mod pixels;
#[cfg(test)]
mod tests;
mod variation;

pub use colour::Change;
pub use crop::{Crop, Frame};
pub use pixels::{normalise, normalise_into, resize};
pub use variation::{Variation, Varied};
pub use wseg_cuda_runner::infer::Window;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How training photos are varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Smallest and largest share of the photo's area in a crop.
    pub area: [f64; 2],
    /// Smallest and largest width / height of a crop, before it is made square.
    pub aspect: [f64; 2],
    /// Smallest and largest scale of a photo, relative to that of prediction, out of which a square is cut; what it lacks is
    /// padded. Instead of `area` and `aspect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 2]>,
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
            scale: None,
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
            _ if self.scale.is_some_and(|scale| !rising(scale) || scale[0] < 0.01 || scale[1] > 100.0) => {
                bad("scale", "two numbers from 0.01 to 100, the smaller one first")
            }
            _ if !share.contains(&self.flip) => bad("flip", "0 to 1"),
            _ if !share.contains(&self.brightness) => bad("brightness", "0 to 1"),
            _ if !share.contains(&self.contrast) => bad("contrast", "0 to 1"),
            _ if !share.contains(&self.saturation) => bad("saturation", "0 to 1"),
            _ if !(0.0..=0.5).contains(&self.hue) => bad("hue", "0 to 0.5"),
            _ => Ok(()),
        }
    }

    /// What is done to a photo of `size` (width, height) to make a square of it, drawn at random.
    #[must_use]
    pub fn draw(&self, size: (usize, usize), frame: Frame, rng: &mut ChaCha8Rng) -> Variation {
        let crop = match self.scale {
            Some(scale) => Crop::scaled(size, frame, between(rng, scale), rng),
            None => Crop::whole(self.window(size, rng), frame.side),
        };
        let mirrored = rng.random_bool(self.flip);
        let around = |rng: &mut ChaCha8Rng, spread: f64| between(rng, [1.0 - spread, 1.0 + spread]) as f32;
        let mut changes = [
            (self.brightness > 0.0).then(|| Change::Brightness(around(rng, self.brightness))),
            (self.contrast > 0.0).then(|| Change::Contrast(around(rng, self.contrast))),
            (self.saturation > 0.0).then(|| Change::Saturation(around(rng, self.saturation))),
            (self.hue > 0.0).then(|| Change::Hue(between(rng, [-self.hue, self.hue]))),
        ];
        for last in (1..changes.len()).rev() {
            changes.swap(last, rng.random_range(0..=last));
        }
        Variation { crop, changes: changes.into_iter().flatten().collect(), mirrored }
    }

    /// A random crop; the largest allowed central one where ten draws do not fit (torchvision's `RandomResizedCrop`).
    fn window(&self, (width, height): (usize, usize), rng: &mut ChaCha8Rng) -> Window {
        let pixels = width as f64 * height as f64;
        for _ in 0..10 {
            let area = pixels * between(rng, self.area);
            let aspect = between(rng, self.aspect.map(f64::ln)).exp();
            let (w, h) = ((area * aspect).sqrt().round() as usize, (area / aspect).sqrt().round() as usize);
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = rng.random_range(0..=height - h);
                let left = rng.random_range(0..=width - w);
                return Window { left, top, width: w, height: h };
            }
        }
        let aspect = (width as f64 / height.max(1) as f64).clamp(self.aspect[0], self.aspect[1]);
        let w = ((height as f64 * aspect).round() as usize).clamp(1, width.max(1));
        let h = ((width as f64 / aspect).round() as usize).clamp(1, height.max(1));
        Window { left: (width - w.min(width)) / 2, top: (height - h.min(height)) / 2, width: w, height: h }
    }
}

fn between(rng: &mut ChaCha8Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}
