//! Maximum pooling.

use candle_core::Result;

use super::{Grid, Machine, arguments, expect, like, run};

/// Maximum pooling of so many planes.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool {
    /// Images times channels.
    pub planes: usize,
    /// Rows and columns of the input.
    pub from: (usize, usize),
    /// Rows and columns of the output.
    pub to: (usize, usize),
    /// Rows and columns of a window.
    pub kernel: (usize, usize),
    /// Rows or columns between windows.
    pub stride: usize,
    /// Rows and columns around the map.
    pub padding: usize,
}

/// A window of the whole map is worth a block from so many pixels on.
const LARGE: usize = 128;

impl MaxPool {
    /// Whether the only window is the map.
    fn is_global(&self) -> bool {
        self.kernel == self.from && self.to == (1, 1) && self.padding == 0 && self.from.0 * self.from.1 >= LARGE
    }

    /// `[planes, from]` -> `[planes, to]`.
    ///
    /// # Errors
    /// If the size does not fit, and the machine's.
    pub fn forward<M: Machine>(&self, m: &M, x: &M::Memory) -> Result<M::Memory> {
        let &Self { planes, from, to, kernel, stride, padding } = self;
        let (dtype, count) = (M::dtype(x), planes * to.0 * to.1);
        expect::<M>("a map to pool", x, dtype, planes * from.0 * from.1)?;
        let y = m.make(dtype, count)?;
        if self.is_global() {
            let arguments = arguments![in x, out &y, int from.0 * from.1];
            // SAFETY: a block does a plane.
            unsafe { run(m, "pool", "largest", dtype, Grid::each(planes)?, arguments) }?;
            return Ok(y);
        }
        let arguments = arguments![
            in x, out &y, int count, int from.0, int from.1, int to.0, int to.1, int kernel.0, int kernel.1,
            int stride, int padding
        ];
        // SAFETY: the sizes are checked; windows are cut at the map's border.
        unsafe { run(m, "pool", "max_pool", dtype, Grid::over(count), arguments) }?;
        Ok(y)
    }

    /// The gradient `[planes, from]` from input, output and the output's gradient.
    ///
    /// # Errors
    /// If a size does not fit, and the machine's.
    pub fn backward<M: Machine>(&self, m: &M, [x, y, dy]: [&M::Memory; 3]) -> Result<M::Memory> {
        let &Self { planes, from, to, kernel, stride, padding } = self;
        let (dtype, count) = (M::dtype(x), planes * from.0 * from.1);
        expect::<M>("a pooled map", x, dtype, count)?;
        for output in [y, dy] {
            expect::<M>("a pool's output", output, dtype, planes * to.0 * to.1)?;
        }
        let dx = like(m, x)?;
        if self.is_global() {
            let arguments = arguments![in x, in y, in dy, out &dx, int from.0 * from.1];
            // SAFETY: a block does a plane.
            unsafe { run(m, "pool", "largest_gradient", dtype, Grid::each(planes)?, arguments) }?;
            return Ok(dx);
        }
        let arguments = arguments![
            in x, in y, in dy, out &dx, int count, int from.0, int from.1, int to.0, int to.1, int kernel.0,
            int kernel.1, int stride, int padding
        ];
        // SAFETY: the sizes are checked; windows are cut at the map's border.
        unsafe { run(m, "pool", "max_pool_gradient", dtype, Grid::over(count), arguments) }?;
        Ok(dx)
    }
}
