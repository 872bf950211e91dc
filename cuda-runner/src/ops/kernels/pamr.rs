//! Pixel-adaptive mask refinement.

use candle_core::{DType, Result, bail};
use wseg_core::pamr::{MAX_DILATIONS, Pamr};

use super::{Argument, Grid, MOST_OTHERS, Machine, arguments, expect, int, run};

/// Threads of a block of an iteration, and how many dilations a thread keeps the affinities of: as in `pamr.cu`.
const WIDE: usize = 512;
const KEPT: usize = 6;

/// Blocks that a large card runs at once.
const AT_ONCE: usize = 132;

/// What reading a pixel's affinities costs, in channels.
const AFFINITIES: usize = 5;

/// Masks `[n, c, h, w]` refined along the edges of images `[n, k, h, w]`; nothing if there is no iteration.
///
/// # Errors
/// If a size does not fit, and the machine's.
pub fn refine<M: Machine>(
    m: &M,
    masks: &M::Memory,
    image: &M::Memory,
    [n, c, k, h, w]: [usize; 5],
    pamr: &Pamr,
) -> Result<Option<M::Memory>> {
    let (dtype, pixels, dilations) = (M::dtype(masks), h * w, pamr.dilations.len());
    expect::<M>("masks", masks, dtype, n * c * pixels)?;
    expect::<M>("an image", image, dtype, n * k * pixels)?;
    if dilations == 0 || pixels == 0 || n > MOST_OTHERS {
        bail!("pamr of {n} images of {h}x{w} pixels with {dilations} dilations");
    }
    // What a kernel counts is an image's affinities at most, plus an offset in it.
    int(8 * dilations * pixels)?;
    let kept = dtype == DType::F32 && dilations == KEPT;
    // Beyond the map's extents a neighbour is the border pixel, however far.
    let reach = h.max(w);
    let mut distances = [0; MAX_DILATIONS];
    for (distance, &dilation) in distances.iter_mut().zip(&pamr.dilations) {
        *distance = int(dilation.min(reach))?;
    }
    let affinities = m.make(dtype, n * 8 * dilations * pixels)?;
    let count = Argument::Int(dilations as i32);
    let some: &[_] = arguments![in image, out &affinities, int k, int h, int w];
    let constants = [Argument::Real(pamr.sigma_weight), Argument::Real(pamr.epsilon)];
    let (name, arguments) = match kept {
        true => ("pamr_affinities", [some, &[Argument::Ints(&distances)], &constants].concat()),
        false => ("pamr_affinities_any", [some, &[Argument::Ints(&distances), count], &constants].concat()),
    };
    // SAFETY: a thread does a pixel of image `blockIdx.y`; neighbours are cut at the border.
    unsafe { run(m, "pamr", name, dtype, Grid::rows(pixels, n)?, &arguments) }?;

    let groups = groups(n * pixels.div_ceil(WIDE), c);
    let each = c.div_ceil(groups.max(1));
    let blocks = [int(pixels.div_ceil(WIDE))? as u32, n as u32, c.div_ceil(each.max(1)) as u32];
    let grid = Grid { blocks, threads: WIDE as u32 };
    let mut refined = None;
    let mut spare = None;
    for _ in 0..pamr.iterations {
        let to = match spare.take() {
            Some(memory) => memory,
            None => m.make(dtype, n * c * pixels)?,
        };
        let from = refined.as_ref().unwrap_or(masks);
        let some: &[_] = arguments![in from, in &affinities, out &to, int c, int each, int h, int w];
        let (name, arguments) = match kept {
            true => ("pamr_iterate", [some, &[Argument::Ints(&distances)]].concat()),
            false => ("pamr_iterate_any", [some, &[Argument::Ints(&distances), count]].concat()),
        };
        // SAFETY: as above, a thread does some channels.
        unsafe { run(m, "pamr", name, dtype, grid, &arguments) }?;
        spare = refined.replace(to);
    }
    Ok(refined)
}

/// In how many groups the channels are done, for as many blocks as a card runs at once to be busy all the time: the
/// affinities are read once for each.
fn groups(blocks: usize, channels: usize) -> usize {
    let cost = |groups: usize| (blocks * groups).div_ceil(AT_ONCE) * (channels.div_ceil(groups) + AFFINITIES);
    (1..=channels.min(MOST_OTHERS)).min_by_key(|&groups| cost(groups)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_parted_where_blocks_are_few() {
        assert_eq!(groups(13 * 16 * 16, 21), 1);
        assert!(groups(13, 21) >= 7);
        assert_eq!(groups(1, 1), 1);
        assert_eq!(groups(5, 0), 1);
    }
}
