//! Softmax and log-softmax over channels.

use candle_core::{Result, bail};

use super::{Grid, Machine, arguments, expect, like, run};

/// Elements of `memory` as images of that many channels and pixels: pixels of all images.
pub(super) fn pixels_of<M: Machine>(memory: &M::Memory, channels: usize, pixels: usize) -> Result<usize> {
    let (count, image) = (M::count(memory), channels * pixels);
    if image == 0 || count % image != 0 {
        bail!("{count} elements are no images of {channels} channels and {pixels} pixels");
    }
    Ok(count / channels)
}

/// `softmax` or `log_softmax` over the channels of `[n, channels, pixels]`.
///
/// # Errors
/// If that is not the shape, and the machine's.
pub fn forward<M: Machine>(m: &M, name: &str, x: &M::Memory, channels: usize, pixels: usize) -> Result<M::Memory> {
    let (y, count, dtype) = (like(m, x)?, pixels_of::<M>(x, channels, pixels)?, M::dtype(x));
    let arguments = arguments![in x, out &y, int count, int channels, int pixels];
    // SAFETY: a thread does the channels of a pixel, of which there are `count`.
    unsafe { run(m, "softmax", name, dtype, Grid::over(count), arguments) }?;
    Ok(y)
}

/// The gradient from the function's value and the gradient of that.
///
/// # Errors
/// As [`forward`].
pub fn backward<M: Machine>(
    m: &M,
    name: &str,
    [y, dy]: [&M::Memory; 2],
    channels: usize,
    pixels: usize,
) -> Result<M::Memory> {
    let (dx, count, dtype) = (like(m, y)?, pixels_of::<M>(y, channels, pixels)?, M::dtype(y));
    expect::<M>("a gradient", dy, dtype, M::count(y))?;
    let arguments = arguments![in y, in dy, out &dx, int count, int channels, int pixels];
    // SAFETY: as in `forward`; both are of one size.
    unsafe { run(m, "softmax", &format!("{name}_gradient"), dtype, Grid::over(count), arguments) }?;
    Ok(dx)
}
