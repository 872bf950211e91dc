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

impl Plan {
    /// The plan of a convolution of stride 1 with a 3x3 kernel; none if the plain sum is faster. `products` counts the
    /// plain sum's products for each channel, output and image.
    pub(super) fn new(
        [images, channels, outputs]: [usize; 3],
        [from, to]: [(usize, usize); 2],
        padding: usize,
        dilation: usize,
        products: usize,
    ) -> Option<Self> {
        let tiles = Tiles::new(from, to, padding, dilation);
        // Products, and the work on tiles and on kernels in the same unit: measured, not derived.
        const TILE: usize = 4200;
        const KERNEL: usize = 700;
        let (pairs, count) = (channels * outputs, images * tiles.rows * tiles.columns);
        let cost = count * (FREQUENCIES * pairs + TILE * (channels + outputs)) + KERNEL * pairs;
        (cost < images * products * pairs).then_some(Self { tiles, channels, outputs, images })
    }

    /// Rows of tiles of the whole batch.
    fn rows(&self) -> usize {
        self.images * self.tiles.rows
    }
}
