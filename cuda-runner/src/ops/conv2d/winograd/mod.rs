//! Convolutions with 3x3 kernels of stride 1 by Winograd's minimal filtering, F(4x4, 3x3): 36 products make 16 outputs
//! of a channel, where the plain sum takes 144.
//!
//! Tiles of the input are evaluated at 6 x 6 points (`tiles`, by the formulas in `transform`), and so are kernels; at
//! each point outputs are then a product of matrices, channels times tiles, from which the outputs are interpolated
//! (`forward`; the input's gradient is the same with kernels turned around). The kernel's gradient is the transpose:
//! gradients of outputs are evaluated, multiplied with inputs point by point and interpolated (`weight`).
//!
//! # Reference
//! Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016.

mod forward;
#[cfg(test)]
mod tests;
mod tiles;
mod transform;
mod weight;

pub(super) use self::{forward::Forward, weight::Weight};
use self::{tiles::Tiles, transform::POINTS};

/// Points of evaluation of a tile.
const FREQUENCIES: usize = POINTS * POINTS;

/// A convolution with a 3x3 kernel of stride 1 that is worth it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    tiles: Tiles,
    channels: usize,
    outputs: usize,
    images: usize,
}

/// What the work beside the products costs, in products of the plain sum.
///
/// Fitted to times of both ways on two cores with AVX-512: maps of 12 to 81 pixels, 64 to 384 channels, batches of 1 to 8,
/// dilations of 1 to 4. Where the two are near each other it hardly matters which is chosen.
pub(super) struct Cost {
    /// Evaluating and interpolating a tile of one channel.
    tile: usize,
    /// Evaluating the kernel of one channel and output.
    kernel: usize,
}

/// Of [`Forward`].
pub(super) const FORWARD: Cost = Cost { tile: 4200, kernel: 4000 };
/// Of [`Weight`]: kernels are interpolated from sums, but the plain sum is slower, too.
pub(super) const WEIGHT: Cost = Cost { tile: 6000, kernel: 0 };

impl Plan {
    /// The plan of a convolution of stride 1 with a 3x3 kernel; none if the plain sum is faster. `products` counts the
    /// plain sum's products for each channel, output and image.
    pub(super) fn new(
        [images, channels, outputs]: [usize; 3],
        [from, to]: [(usize, usize); 2],
        padding: usize,
        dilation: usize,
        products: usize,
        cost: &Cost,
    ) -> Option<Self> {
        let plan = Self { tiles: Tiles::new(from, to, padding, dilation), channels, outputs, images };
        let (pairs, count) = (channels * outputs, plan.rows() * plan.tiles.columns);
        let filtered = count * (FREQUENCIES * pairs + cost.tile * (channels + outputs)) + cost.kernel * pairs;
        (filtered < images * products * pairs).then_some(plan)
    }

    /// Rows of tiles of the whole batch.
    fn rows(&self) -> usize {
        self.images * self.tiles.rows
    }
}
