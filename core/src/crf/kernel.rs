//! The two kernels' features: what of a pixel decides how much it has to do with another.

use super::CrfError;
use crate::arena::part::at;

/// A picture, eight bits a channel: what the bilateral kernel follows.
#[derive(Clone, Copy, Debug)]
pub struct Rgb<'a> {
    pixels: &'a [[u8; 3]],
    width: usize,
    height: usize,
}

impl<'a> Rgb<'a> {
    /// A picture of `width` x `height` pixels, row by row, red, green and blue of each beside each other.
    ///
    /// # Errors
    /// [`CrfError::Length`] if there are not three bytes a pixel.
    pub fn new(bytes: &'a [u8], width: usize, height: usize) -> Result<Self, CrfError> {
        let expected = width.saturating_mul(height).saturating_mul(3);
        if bytes.len() != expected {
            return Err(CrfError::Length { expected, given: bytes.len() });
        }
        Ok(Self { pixels: bytes.as_chunks().0, width, height })
    }

    /// Columns.
    #[must_use]
    pub const fn width(self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(self) -> usize {
        self.height
    }

    /// Number of pixels.
    #[must_use]
    pub const fn count(self) -> usize {
        self.pixels.len()
    }
}

/// A Gaussian kernel `k(i, j) = exp(-|f_i - f_j|^2 / 2)` over features of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kernel {
    /// Over positions: `f = (x, y) / sxy`.
    Gaussian {
        /// Standard deviation in pixels.
        sxy: f64,
    },
    /// Over positions and colours: `f = ((x, y) / sxy, (r, g, b) / srgb)`.
    Bilateral {
        /// Standard deviation in pixels.
        sxy: f64,
        /// Standard deviation in grey levels, of 255.
        srgb: f64,
    },
}

/// Deviations that make sense, in pixels or grey levels.
pub(super) const DEVIATIONS: (f64, f64) = (1e-2, 1e6);

impl Kernel {
    /// Refuses deviations out of range.
    pub(super) fn check(self) -> Result<(), CrfError> {
        match self {
            Self::Gaussian { sxy } => within("the Gaussian kernel's sxy", sxy, DEVIATIONS),
            Self::Bilateral { sxy, srgb } => within("the bilateral kernel's sxy", sxy, DEVIATIONS)
                .and_then(|()| within("the bilateral kernel's srgb", srgb, DEVIATIONS)),
        }
    }

    /// `k(i, j)`, exactly: the definition. The pixels are numbered row by row; beyond the last, it is 0.
    #[must_use]
    pub fn affinity(self, image: Rgb<'_>, i: usize, j: usize) -> f64 {
        let (Some(&one), Some(&other)) = (image.pixels.get(i), image.pixels.get(j)) else { return 0.0 };
        let square = |difference: f64, deviation: f64| (difference / deviation) * (difference / deviation);
        let (width, apart) = (image.width, |a: usize, b: usize| a.abs_diff(b) as f64);
        let place = |sxy| square(apart(i % width, j % width), sxy) + square(apart(i / width, j / width), sxy);
        let distance = match self {
            Self::Gaussian { sxy } => place(sxy),
            Self::Bilateral { sxy, srgb } => {
                let colours = one.iter().zip(&other).map(|(&a, &b)| square(f64::from(a.abs_diff(b)), srgb));
                place(sxy) + colours.sum::<f64>()
            }
        };
        libm::exp(-0.5 * distance)
    }
}

/// `Ok` if `value` lies between the bounds; it does not if it is NaN.
pub(super) fn within(name: &'static str, value: f64, (least, most): (f64, f64)) -> Result<(), CrfError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(CrfError::Parameter { name, value, least, most }) }
}

/// Features of pixels, in `N - 1` dimensions.
///
/// An array of features has `N` places, of which the first is not used: so the lattice's formulas keep their indices.
pub(super) trait Features<const N: usize>: Sync {
    /// The features of pixel `index`.
    fn at(&self, index: usize) -> [f32; N];

    /// The largest that each feature can be. None is negative.
    fn most(&self) -> [f64; N];
}

/// Positions.
pub(super) struct Positions<'a> {
    pub(super) image: Rgb<'a>,
    pub(super) sxy: f64,
}

/// Column and row of a pixel, in units of `sxy`.
#[inline(always)]
fn position(image: Rgb<'_>, index: usize, sxy: f32) -> [f32; 2] {
    let width = image.width.max(1);
    [(index % width) as f32 / sxy, (index / width) as f32 / sxy]
}

impl Features<3> for Positions<'_> {
    #[inline(always)]
    fn at(&self, index: usize) -> [f32; 3] {
        let [x, y] = position(self.image, index, self.sxy as f32);
        [0.0, x, y]
    }

    fn most(&self) -> [f64; 3] {
        [0.0, self.image.width as f64 / self.sxy, self.image.height as f64 / self.sxy]
    }
}

/// Positions and colours.
pub(super) struct PositionsAndColours<'a> {
    pub(super) image: Rgb<'a>,
    pub(super) sxy: f64,
    pub(super) srgb: f64,
}

impl Features<6> for PositionsAndColours<'_> {
    #[inline(always)]
    fn at(&self, index: usize) -> [f32; 6] {
        let [x, y] = position(self.image, index, self.sxy as f32);
        let srgb = self.srgb as f32;
        let [r, g, b] = at(self.image.pixels, index).map(|channel| f32::from(channel) / srgb);
        [0.0, x, y, r, g, b]
    }

    fn most(&self) -> [f64; 6] {
        let colour = 255.0 / self.srgb;
        let (width, height) = (self.image.width as f64 / self.sxy, self.image.height as f64 / self.sxy);
        [0.0, width, height, colour, colour, colour]
    }
}
