//! Where a part of a photo comes to lie in the square that a network is trained on.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use wseg_cuda_runner::infer::Base;

use super::Window;

/// The square that photos become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Width and height in pixels.
    pub side: usize,
    /// What scale 1 means.
    pub base: Base,
}

/// A part of a photo and its place in the square; what is around the place is no photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// The part that is cut out of the photo.
    pub window: Window,
    /// Where it lies in the square, resized to this size.
    pub place: Window,
}

impl Crop {
    /// A part that fills the square of `side` pixels, its proportions left behind.
    #[must_use]
    pub const fn whole(window: Window, side: usize) -> Self {
        Self { window, place: Window::all((side, side)) }
    }

    /// A random square of a photo of `size` (width, height) at a scale. A side that is shorter than the square is all
    /// there, at a random place.
    #[must_use]
    pub fn scaled(size: (usize, usize), frame: Frame, scale: f64, rng: &mut ChaCha8Rng) -> Self {
        let factor = scale * frame.base.unit((size.1, size.0), frame.side);
        let (left, width) = along(size.0.max(1), frame.side, factor, rng);
        let (top, height) = along(size.1.max(1), frame.side, factor, rng);
        let [window, place] = [0, 1].map(|which| Window {
            left: left[which],
            top: top[which],
            width: width[which],
            height: height[which],
        });
        Self { window, place }
    }
}

/// Starts and lengths along one axis, in the photo and in the square.
fn along(length: usize, side: usize, factor: f64, rng: &mut ChaCha8Rng) -> ([usize; 2], [usize; 2]) {
    let scaled = (length as f64 * factor).round().max(1.0);
    if scaled < side as f64 {
        let scaled = scaled as usize;
        return ([0, rng.random_range(0..=side - scaled)], [length, scaled]);
    }
    let seen = ((side as f64 / factor).round() as usize).clamp(1, length);
    ([rng.random_range(0..=length - seen), 0], [seen, side])
}
