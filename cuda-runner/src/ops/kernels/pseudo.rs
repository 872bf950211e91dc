//! Pseudo labels of masks.

use candle_core::Result;
use wseg_core::pseudo::Cutoff;

use super::{Grid, Machine, arguments, like, run, softmax::pixels_of};

/// One-hot pseudo labels of masks `[n, channels, pixels]`, the background first.
///
/// # Errors
/// If that is not the shape, and the machine's.
pub fn labels<M: Machine>(
    m: &M,
    masks: &M::Memory,
    channels: usize,
    pixels: usize,
    cutoff: &Cutoff,
) -> Result<M::Memory> {
    let (labels, count, dtype) = (like(m, masks)?, pixels_of::<M>(masks, channels, pixels)?, M::dtype(masks));
    let planes = M::count(masks) / pixels;
    let thresholds = m.make(dtype, planes)?;
    let &Cutoff { low, background, class } = cutoff;
    let arguments = arguments![
        in masks, out &thresholds, int channels, int pixels, real low, real background, real class
    ];
    // SAFETY: a block does a plane.
    unsafe { run(m, "pseudo", "thresholds", dtype, Grid::each(planes)?, arguments) }?;
    let arguments = arguments![in masks, in &thresholds, out &labels, int count, int channels, int pixels];
    // SAFETY: a thread does the channels of a pixel.
    unsafe { run(m, "pseudo", "claims", dtype, Grid::over(count), arguments) }?;
    Ok(labels)
}
