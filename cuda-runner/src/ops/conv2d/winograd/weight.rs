//! The kernel's gradient: evaluate inputs and gradients of outputs, sum their products over tiles, interpolate.

use std::{marker::PhantomData, ops::Range};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    super::{
        super::{
            lanes::Lanes,
            scratch::{Pooled, Scratch},
        },
        product::{tile, with_tile},
    },
    FREQUENCIES, Plan,
    tiles::{Kept, Reader},
    transform::{Expand, OUTPUTS, OfGradient, OfInput, POINTS, TAPS, taps},
};

/// Elements of evaluated maps that are kept at a time.
const LARGEST: usize = 1 << 23;

/// Outputs of a task, about.
const BLOCK: usize = 16;

/// Tiles that are summed over at a time: a strip of evaluated inputs stays in the first-level cache.
const DEPTH: usize = 192;

/// `dweight(o, c, t) = sum over images and outputs p of dy(o, p) * x(c, p + offset(t))`.
pub(in super::super) struct Weight<'a, T> {
    pub plan: &'a Plan,
    /// The batch.
    pub inputs: &'a [T],
    /// The gradients of the outputs.
    pub gradients: &'a [T],
}

impl<T: Lanes + Pooled> Weight<'_, T> {
    pub(in super::super) fn run(self) -> Vec<T> {
        Arch::new().dispatch(self)
    }
}

impl<T: Lanes + Pooled> WithSimd for Weight<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<T> {
        with_tile!(S, R, V => self.tiled::<S, R, V>(simd))
    }
}

impl<T: Lanes + Pooled> Weight<'_, T> {
    fn tiled<S: Simd, const R: usize, const V: usize>(&self, simd: S) -> Vec<T> {
        let (plan, lanes) = (self.plan, T::lanes::<S>());
        let (of_input, of_gradient) = (Reader::of_input(&plan.tiles, lanes), Reader::of_gradient(&plan.tiles, lanes));
        let padded = plan.channels.next_multiple_of(lanes);
        let row = FREQUENCIES * plan.tiles.columns * (padded + plan.outputs.next_multiple_of(R));
        let chunk = (LARGEST / row).clamp(1, plan.rows());
        let mut dweight = vec![T::zero(); plan.outputs * plan.channels * TAPS * TAPS];
        for first in (0..plan.rows()).step_by(chunk) {
            let rows = first..(first + chunk).min(plan.rows());
            let (tiles, from, to) = (rows.len() * plan.tiles.columns, &plan.tiles.from, &plan.tiles.to);
            let inputs = evaluate::<T, S, OfInput, POINTS>(
                simd,
                Maps { plan, reader: &of_input, values: self.inputs, channels: plan.channels, pixels: from.0 * from.1 },
                rows.clone(),
                lanes,
            );
            let gradients = evaluate::<T, S, OfGradient, OUTPUTS>(
                simd,
                Maps {
                    plan,
                    reader: &of_gradient,
                    values: self.gradients,
                    channels: plan.outputs,
                    pixels: to.0 * to.1,
                },
                rows,
                R,
            );
            let block = BLOCK.next_multiple_of(R);
            dweight.par_chunks_mut(block * plan.channels * TAPS * TAPS).enumerate().for_each(|(index, dweight)| {
                simd.vectorize(Sum::<T, R, V> {
                    channels: plan.channels,
                    inputs: &inputs,
                    gradients: &gradients,
                    tiles,
                    first: index * block,
                    dweight,
                });
            });
        }
        dweight
    }
}

/// Maps of a batch, and how they are read.
#[derive(Clone, Copy)]
struct Maps<'a, T> {
    plan: &'a Plan,
    reader: &'a Reader<'a>,
    values: &'a [T],
    channels: usize,
    pixels: usize,
}

/// Evaluated tiles of some rows: groups of `group` channels, in them points, in them tiles, in them channels.
fn evaluate<T: Lanes + Pooled, S: Simd, E: Expand<N>, const N: usize>(
    simd: S,
    maps: Maps<'_, T>,
    rows: Range<usize>,
    group: usize,
) -> Scratch<T> {
    let apart = rows.len() * maps.plan.tiles.columns * group;
    let mut evaluated = Scratch::new(maps.channels.div_ceil(group) * FREQUENCIES * apart);
    evaluated.par_chunks_mut(FREQUENCIES * apart).enumerate().for_each(|(index, out)| {
        simd.vectorize(Evaluate::<T, E, N> {
            maps,
            rows: rows.clone(),
            first: index * group,
            group,
            out,
            expand: PhantomData,
        });
    });
    evaluated
}

/// Evaluates a group of channels.
struct Evaluate<'a, T, E, const N: usize> {
    maps: Maps<'a, T>,
    rows: Range<usize>,
    first: usize,
    group: usize,
    out: &'a mut [T],
    expand: PhantomData<E>,
}

impl<T: Lanes + Pooled, E: Expand<N>, const N: usize> WithSimd for Evaluate<'_, T, E, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { maps, rows, first, group, out, .. } = self;
        let (plan, width, columns) = (maps.plan, maps.reader.width, maps.plan.tiles.columns);
        let channels = group.min(maps.channels - first);
        // Rows are asked for in order for each channel, so that pixels shared with the next are evaluated once.
        let mut kept: Vec<Kept<T>> = (0..channels).map(|_| maps.reader.kept()).collect();
        let mut by_channel = vec![T::zero(); FREQUENCIES * group * width];
        let apart = rows.len() * columns * group;
        for row in rows.clone() {
            let (image, row_of) = (row / plan.tiles.rows, row % plan.tiles.rows);
            for (c, kept) in kept.iter_mut().enumerate() {
                let map = &maps.values[(image * maps.channels + first + c) * maps.pixels..][..maps.pixels];
                let out = &mut by_channel[c * width..];
                maps.reader.evaluate::<T, S, E, N>(simd, map, row_of, kept, out, group * width);
            }
            let start = (row - rows.start) * columns * group;
            for (f, by_channel) in by_channel.chunks_exact(group * width).enumerate() {
                let out = &mut out[f * apart + start..][..columns * group];
                for (tile, out) in out.chunks_exact_mut(group).enumerate() {
                    for (value, by_channel) in out.iter_mut().zip(by_channel.chunks_exact(width)) {
                        *value = by_channel[tile];
                    }
                }
            }
        }
    }
}

/// Sums over the tiles for a block of outputs, and adds what they interpolate to.
struct Sum<'a, T, const R: usize, const V: usize> {
    channels: usize,
    inputs: &'a [T],
    gradients: &'a [T],
    tiles: usize,
    first: usize,
    dweight: &'a mut [T],
}

impl<T: Lanes + Pooled, const R: usize, const V: usize> WithSimd for Sum<'_, T, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { channels, inputs, gradients, tiles, first, dweight } = self;
        let lanes = T::lanes::<S>();
        let (outputs, groups) = (dweight.len() / (channels * TAPS * TAPS), channels.div_ceil(lanes));
        let (panels, width) = (outputs.div_ceil(R), groups * lanes);
        let apart = panels * R * width;
        let mut sums = Scratch::<T>::new(FREQUENCIES * apart);
        let offsets: Vec<usize> = (0..DEPTH.min(tiles)).map(|tile| tile * lanes).collect();
        let between = FREQUENCIES * tiles * lanes;
        for f in 0..FREQUENCIES {
            for start in (0..tiles).step_by(DEPTH) {
                let offsets = &offsets[..DEPTH.min(tiles - start)];
                let mut group = 0;
                while group < groups {
                    let vectors = (groups - group).min(V);
                    let inputs = &inputs[group * between + (f * tiles + start) * lanes..];
                    assert!((vectors - 1) * between + offsets.len() * lanes <= inputs.len());
                    for panel in 0..panels {
                        let gradients = &gradients[(first / R + panel) * FREQUENCIES * tiles * R..];
                        let a = gradients[(f * tiles + start) * R..][..offsets.len() * R].as_ptr();
                        let sums = sums[f * apart + panel * R * width..][..R * width][group * lanes..].as_mut_ptr();
                        let (b, fresh) = (inputs.as_ptr(), start == 0);
                        // SAFETY: `a` holds `R` elements for each offset; the assertion above covers `b`; `sums` holds
                        // `R` rows of `width` elements, of which `vectors` vectors from the group's on are written.
                        unsafe {
                            match vectors {
                                3 if V >= 3 => {
                                    tile::<T, S, R, 3>(simd, a, offsets, b, between, lanes, sums, width, fresh);
                                }
                                2 => tile::<T, S, R, 2>(simd, a, offsets, b, between, lanes, sums, width, fresh),
                                _ => tile::<T, S, R, 1>(simd, a, offsets, b, between, lanes, sums, width, fresh),
                            }
                        }
                    }
                    group += vectors;
                }
            }
        }
        let mut interpolated = vec![T::zero(); TAPS * TAPS * lanes];
        for (output, dweight) in dweight.chunks_exact_mut(channels * TAPS * TAPS).enumerate() {
            for (group, dweight) in dweight.chunks_mut(lanes * TAPS * TAPS).enumerate() {
                let sums = &sums[output * width + group * lanes..];
                assert!((FREQUENCIES - 1) * apart + lanes <= sums.len());
                // SAFETY: the assertion above.
                unsafe {
                    let zero = T::splat(simd, T::zero());
                    let mut half = [[zero; POINTS]; TAPS];
                    for f in 0..POINTS {
                        let mut column = [zero; POINTS];
                        for (g, value) in column.iter_mut().enumerate() {
                            *value = T::load::<S>(sums.as_ptr().add((g * POINTS + f) * apart));
                        }
                        for (half, value) in half.iter_mut().zip(taps::<T, S>(simd, column)) {
                            half[f] = value;
                        }
                    }
                    for (i, half) in half.into_iter().enumerate() {
                        for (j, value) in taps::<T, S>(simd, half).into_iter().enumerate() {
                            T::store::<S>(interpolated[(i * TAPS + j) * lanes..][..lanes].as_mut_ptr(), value);
                        }
                    }
                }
                for (c, dweight) in dweight.chunks_exact_mut(TAPS * TAPS).enumerate() {
                    for (tap, dweight) in dweight.iter_mut().enumerate() {
                        *dweight += interpolated[tap * lanes + c];
                    }
                }
            }
        }
    }
}
