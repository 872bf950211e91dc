//! Class-balanced cross entropy against pseudo labels.

use candle_core::{DType, Result};

use super::{Grid, Machine, arguments, expect, like, run, softmax::pixels_of};

/// Most blocks that the loss is summed in.
const PARTS: u32 = 1024;

/// The weight of every class of every sample, `[n, channels]`, from pseudo labels `[n, channels, pixels]`.
///
/// # Errors
/// If that is not the shape, and the machine's.
pub fn weights<M: Machine>(m: &M, pseudo: &M::Memory, channels: usize, pixels: usize) -> Result<M::Memory> {
    let (samples, dtype) = (pixels_of::<M>(pseudo, channels, pixels)? / pixels, M::dtype(pseudo));
    let planes = samples * channels;
    let (counts, weights) = (m.make(DType::F64, planes)?, m.make(dtype, planes)?);
    let arguments = arguments![in pseudo, out &counts, int pixels];
    // SAFETY: a block does a plane.
    unsafe { run(m, "cross_entropy", "pseudo_counts", dtype, Grid::each(planes)?, arguments) }?;
    let arguments = arguments![in &counts, out &weights, int samples, int channels, int pixels];
    // SAFETY: the block does `samples * channels` elements.
    unsafe { run(m, "cross_entropy", "pseudo_weights", dtype, Grid::ONE, arguments) }?;
    Ok(weights)
}

/// The loss, one element.
///
/// # Errors
/// If the sizes do not go together, and the machine's.
pub fn forward<M: Machine>(
    m: &M,
    [logits, pseudo, weights]: [&M::Memory; 3],
    channels: usize,
    pixels: usize,
) -> Result<M::Memory> {
    let (count, dtype) = (pixels_of::<M>(logits, channels, pixels)?, M::dtype(logits));
    expect::<M>("pseudo labels", pseudo, dtype, M::count(logits))?;
    expect::<M>("weights of classes", weights, dtype, count / pixels * channels)?;
    let mut grid = Grid::over(count);
    grid.blocks[0] = grid.blocks[0].min(PARTS);
    let blocks = grid.blocks[0] as usize;
    let (parts, loss) = (m.make(DType::F64, blocks)?, m.make(dtype, 1)?);
    let arguments = arguments![in logits, in pseudo, in weights, out &parts, int count, int channels, int pixels];
    // SAFETY: a thread does the channels of pixels, a block writes one part.
    unsafe { run(m, "cross_entropy", "cross_entropy", dtype, grid, arguments) }?;
    // SAFETY: the block reads `blocks` parts and writes one element.
    unsafe { run(m, "cross_entropy", "sum_parts", dtype, Grid::ONE, arguments![in &parts, out &loss, int blocks]) }?;
    Ok(loss)
}

/// The gradient of the logits, `dy` being the loss's, one element.
///
/// # Errors
/// As [`forward`].
pub fn backward<M: Machine>(
    m: &M,
    [logits, pseudo, weights, dy]: [&M::Memory; 4],
    channels: usize,
    pixels: usize,
) -> Result<M::Memory> {
    let (count, dtype) = (pixels_of::<M>(logits, channels, pixels)?, M::dtype(logits));
    expect::<M>("pseudo labels", pseudo, dtype, M::count(logits))?;
    expect::<M>("weights of classes", weights, dtype, count / pixels * channels)?;
    expect::<M>("a loss's gradient", dy, dtype, 1)?;
    let gradient = like(m, logits)?;
    let arguments = arguments![
        in logits, in pseudo, in weights, in dy, out &gradient, int count, int channels, int pixels
    ];
    // SAFETY: a thread does the channels of a pixel.
    unsafe { run(m, "cross_entropy", "cross_entropy_gradient", dtype, Grid::over(count), arguments) }?;
    Ok(gradient)
}
