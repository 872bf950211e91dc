//! Pixel-adaptive mask refinement: masks snap to the edges of the image.
//!
//! The neighbour axis is streamed: every formula loops over the offsets and keeps one map, never `P` of them.

use crate::{Axes, Corners, Shape, ShapeError, Tensor};

/// At most this many dilations.
pub const MAX_DILATIONS: usize = 16;

/// Neighbourhood, contrast and iterations of the refinement.
#[derive(Clone, Debug, PartialEq)]
pub struct Pamr {
    /// Distances, in pixels, at which the 8 neighbours are taken.
    pub dilations: heapless::Vec<usize, MAX_DILATIONS>,
    /// How often the mask is averaged.
    pub iterations: usize,
    /// `w`: how much of the local standard deviation a difference is measured in.
    pub sigma_weight: f64,
    /// Added to the divisor where the image is flat.
    pub epsilon: f64,
}

impl Default for Pamr {
    /// The paper's: dilations 1, 2, 4, 8, 12, 24, 10 iterations; the reference's `w` = 0.1 and epsilon 1e-8.
    fn default() -> Self {
        let mut dilations = heapless::Vec::new();
        // Six of sixteen places: this cannot fail.
        let _ = dilations.extend_from_slice(&[1, 2, 4, 8, 12, 24]);
        Self { dilations, iterations: 10, sigma_weight: 0.1, epsilon: 1e-8 }
    }
}

/// The 8 neighbours in row-major order, the centre left out.
pub const RING: [(isize, isize); 8] = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)];

impl Pamr {
    /// Offsets `(dy, dx)` of all neighbours: dilation-major, row-major, centre left out.
    pub fn offsets(&self) -> impl Iterator<Item = (isize, isize)> + '_ {
        self.dilations.iter().flat_map(|&dilation| {
            // A dilation beyond every map reaches its border, as any large one does.
            let d = isize::try_from(dilation).unwrap_or(isize::MAX);
            RING.iter().map(move |&(dy, dx)| (dy * d, dx * d))
        })
    }
}

/// Standard deviation of each image channel around each pixel: `n - 1` in the denominator, over the 9 positions
/// (centre included) of every dilation.
///
/// Where the image is flat the square root has no slope: on a backend with automatic differentiation, pass a
/// detached image, as [`Affinity::new`] does.
///
/// # Shapes
/// image `[n, k, h, w]` -> `[n, k, h, w]`
///
/// # Errors
/// The backend's.
///
/// # Reference
/// METHOD.md, "PAMR".
pub fn stdev<T: Tensor>(image: &T, pamr: &Pamr) -> Result<T, T::Error> {
    let centres = pamr.dilations.len();
    let samples = 9 * centres;
    // Two passes, mean first: the one-pass form loses every digit where the image is nearly flat. Differences
    // from the centre keep the numbers small; the centre's own difference is 0.
    let mut sum = image.fill(image.shape(), 0.0)?;
    for (dy, dx) in pamr.offsets() {
        sum = sum.add(&image.shift(dy, dx)?.sub(image)?)?;
    }
    let mean = sum.affine(1.0 / samples.max(1) as f64, 0.0)?;
    let mut squares = mean.mul(&mean)?.affine(centres as f64, 0.0)?;
    for (dy, dx) in pamr.offsets() {
        let difference = image.shift(dy, dx)?.sub(image)?.sub(&mean)?;
        squares = squares.add(&difference.mul(&difference)?)?;
    }
    squares.affine(1.0 / samples.saturating_sub(1).max(1) as f64, 0.0)?.sqrt()
}

/// The affinities of an image to its neighbours, one offset at a time. The image is a guide: no gradient flows to it.
#[derive(Clone, Debug)]
pub struct Affinity<T> {
    image: T,
    /// `1 / (epsilon + w sigma)`, divided by the number of image channels.
    scale: T,
    /// Largest kernel value over the offsets.
    peak: T,
    /// `sum_p exp(k_p - peak)`.
    total: T,
}

impl<T: Tensor> Affinity<T> {
    /// Prepares the softmax over the offsets in two passes: its maximum, then its denominator.
    ///
    /// # Shapes
    /// image `[n, k, h, w]`
    ///
    /// # Errors
    /// [`ShapeError`] if `pamr` has no dilation.
    pub fn new(image: &T, pamr: &Pamr) -> Result<Self, T::Error> {
        let image = &image.detach();
        let shape = image.shape();
        let divisor = stdev(image, pamr)?.affine(pamr.sigma_weight, pamr.epsilon)?;
        let scale = image.fill(Shape::SCALAR, 1.0 / shape.c.max(1) as f64)?.div(&divisor)?;
        let mut offsets = pamr.offsets();
        let Some((dy, dx)) = offsets.next() else {
            return Err(ShapeError { lhs: shape.with_channels(0), rhs: shape }.into());
        };
        let mut peak = kernel(image, &scale, dy, dx)?;
        for (dy, dx) in offsets {
            peak = peak.maximum(&kernel(image, &scale, dy, dx)?)?;
        }
        let mut total = peak.fill(peak.shape(), 0.0)?;
        for (dy, dx) in pamr.offsets() {
            total = total.add(&kernel(image, &scale, dy, dx)?.sub(&peak)?.exp()?)?;
        }
        Ok(Self { image: image.clone(), scale, peak, total })
    }

    /// `alpha_p`, the softmax weight of the neighbour at offset `(dy, dx)`.
    ///
    /// # Shapes
    /// -> `[n, 1, h, w]`; over all offsets the weights of a pixel sum to 1
    ///
    /// # Errors
    /// The backend's.
    pub fn at(&self, dy: isize, dx: isize) -> Result<T, T::Error> {
        kernel(&self.image, &self.scale, dy, dx)?.sub(&self.peak)?.exp()?.div(&self.total)
    }
}

/// `k_p`: mean over the image channels of `-|x(i) - x(i + p)| / (epsilon + w sigma(i))`.
fn kernel<T: Tensor>(image: &T, scale: &T, dy: isize, dx: isize) -> Result<T, T::Error> {
    image.shift(dy, dx)?.sub(image)?.abs()?.mul(scale)?.sum(Axes::Channel)?.affine(-1.0, 0.0)
}

/// Refines masks along the edges of `image`: every iteration replaces each pixel by the affinity-weighted mean of
/// its neighbours. Masks of another size are first resized to the image (corners aligned).
///
/// # Shapes
/// masks `[n, c, h', w']`, image `[n, k, h, w]` in 0..=1 -> `[n, c, h, w]`
///
/// # Errors
/// [`ShapeError`] if the batches differ or `pamr` has no dilation.
///
/// # Reference
/// METHOD.md, "PAMR (pixel-adaptive mask refinement)".
pub fn refine<T: Tensor>(masks: &T, image: &T, pamr: &Pamr) -> Result<T, T::Error> {
    let (from, guide) = (masks.shape(), image.shape());
    if from.n != guide.n {
        return Err(ShapeError { lhs: from, rhs: guide }.into());
    }
    let mut masks = match (from.h, from.w) == (guide.h, guide.w) {
        true => masks.clone(),
        false => masks.resize(guide.h, guide.w, Corners::Aligned)?,
    };
    let affinity = Affinity::new(image, pamr)?;
    for _ in 0..pamr.iterations {
        let mut refined = masks.fill(masks.shape(), 0.0)?;
        for (dy, dx) in pamr.offsets() {
            refined = refined.add(&affinity.at(dy, dx)?.mul(&masks.shift(dy, dx)?)?)?;
        }
        masks = refined;
    }
    Ok(masks)
}
