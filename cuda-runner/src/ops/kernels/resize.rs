//! Bilinear resize and its gradient.

use candle_core::Result;
use wseg_core::Corners;

use super::{Grid, Machine, arguments, expect, run};

/// Planes that a thread does, as in `resize.cu`.
const PLANES: usize = 8;

/// A resize of so many planes.
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    /// Images times channels.
    pub planes: usize,
    /// Rows and columns of the input.
    pub from: (usize, usize),
    /// Rows and columns of the output.
    pub to: (usize, usize),
    /// Where the samples lie.
    pub corners: Corners,
}

impl Resize {
    /// How far apart two neighbours of the output lie in the input.
    fn ratio(&self, from: usize, to: usize) -> f64 {
        match self.corners {
            Corners::Aligned if to == 1 => 0.0,
            Corners::Aligned => (from - 1) as f64 / (to - 1) as f64,
            Corners::HalfPixel => from as f64 / to as f64,
        }
    }

    fn run<M: Machine>(&self, m: &M, kernel: &str, input: &M::Memory, gradient: bool) -> Result<M::Memory> {
        let &Self { planes, from: (rows, columns), to: (h, w), corners } = self;
        let dtype = M::dtype(input);
        let (read, written) = if gradient { (h * w, rows * columns) } else { (rows * columns, h * w) };
        expect::<M>("a map to resize", input, dtype, planes * read)?;
        let output = m.make(dtype, planes * written)?;
        let (vertical, horizontal) = (self.ratio(rows, h), self.ratio(columns, w));
        let arguments = arguments![
            in input, out &output, int planes, int rows, int columns, int h, int w, real vertical, real horizontal,
            flag corners == Corners::Aligned
        ];
        // SAFETY: the sizes are checked, and the grid has a thread for each pixel of what is written.
        unsafe { run(m, "resize", kernel, dtype, Grid::rows(written, planes.div_ceil(PLANES))?, arguments) }?;
        Ok(output)
    }

    /// `[planes, from]` -> `[planes, to]`.
    ///
    /// # Errors
    /// If the size does not fit, and the machine's.
    pub fn forward<M: Machine>(&self, m: &M, x: &M::Memory) -> Result<M::Memory> {
        self.run(m, "resize", x, false)
    }

    /// The gradient `[planes, from]` from the output's `[planes, to]`.
    ///
    /// # Errors
    /// If the size does not fit, and the machine's.
    pub fn backward<M: Machine>(&self, m: &M, dy: &M::Memory) -> Result<M::Memory> {
        self.run(m, "resize_gradient", dy, true)
    }
}
