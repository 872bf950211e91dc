//! Outputs as sums over framed inputs: the forward pass, and the input gradient as the same with other taps.

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    super::{
        element::written,
        lanes::Lanes,
        scratch::{Pooled, Scratch},
    },
    finish::Finish,
    frame::{Frame, Pass, Tap},
    product::{tile, with_tile},
};

/// Output pixels a tile of rows aims at: with its outputs it stays in the second-level cache.
const TILE: usize = 512;

/// Cache lines of input that one strip of outputs may touch before the channels are split: half a first-level cache.
const LINES: usize = 512;

/// `y(o, p) = sum over channels c and taps t of weight(o, c, t) * x(c, p + offset(t))`, finished, for a batch.
pub(super) struct Gather<'a, T, W> {
    pub frame: &'a Frame,
    pub passes: &'a [Pass],
    /// The batch, framed.
    pub inputs: &'a [T],
    pub images: usize,
    pub channels: usize,
    pub outputs: usize,
    /// Rows and columns of an output map.
    pub map: (usize, usize),
    /// The weight of output, channel and kernel tap.
    pub weight: W,
    pub finish: Finish<'a, T>,
}

impl<T: Lanes + Pooled, W: Fn(usize, usize, usize) -> T + Sync> Gather<'_, T, W> {
    pub(super) fn run(self) -> Vec<T> {
        Arch::new().dispatch(self)
    }
}

impl<T: Lanes + Pooled, W: Fn(usize, usize, usize) -> T + Sync> WithSimd for Gather<'_, T, W> {
    type Output = Vec<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<T> {
        with_tile!(S, R, V => self.tiled::<S, R, V>(simd))
    }
}

/// The weights of one pass: blocks of channels, in them panels of `R` outputs, in them taps of channels.
struct Packed<T: Pooled> {
    weights: Scratch<T>,
    /// Channels to a block.
    block: usize,
    /// Where each tap of a block reads, relative to the block's first channel.
    offsets: Vec<usize>,
    taps: usize,
}

impl<T: Lanes + Pooled, W: Fn(usize, usize, usize) -> T + Sync> Gather<'_, T, W> {
    fn tiled<S: Simd, const R: usize, const V: usize>(&self, simd: S) -> Vec<T> {
        let pixels = self.map.0 * self.map.1;
        let packed: Vec<Packed<T>> = self.passes.iter().map(|pass| self.pack::<R>(pass)).collect();
        let block = self.output_block(R);
        let tasks = |(image, y): (usize, &mut [MaybeUninit<T>])| {
            y.par_chunks_mut(block * pixels).enumerate().for_each(|(index, y)| {
                for (pass, packed) in self.passes.iter().zip(&packed) {
                    let task = Task::<T, W, R, V> { gather: self, pass, packed, image, first: index * block, y };
                    simd.vectorize(task);
                }
            });
        };
        // SAFETY: the grids of the passes together are the map, and a task writes all of a grid, with or without taps.
        unsafe {
            written(self.images * self.outputs * pixels, |y| {
                y.par_chunks_mut(self.outputs * pixels).enumerate().for_each(tasks);
            })
        }
    }

    /// Outputs to a task: all of them unless there are too few images to share out.
    fn output_block(&self, panel: usize) -> usize {
        const TASKS: usize = 4;
        const LARGEST: usize = 128;
        let wanted = (TASKS * rayon::current_num_threads()).div_ceil(self.images.max(1));
        self.outputs.div_ceil(wanted).next_multiple_of(2 * panel).min(LARGEST / panel * panel)
    }

    fn pack<const R: usize>(&self, pass: &Pass) -> Packed<T> {
        let taps = pass.taps.len();
        if taps == 0 {
            return Packed { weights: Scratch::new(0), block: 1, offsets: Vec::new(), taps };
        }
        let block = (LINES / (4 * pass.lines().max(1))).clamp(1, self.channels.max(1));
        let channel = self.frame.channel();
        let reads = |c: usize| pass.taps.iter().map(move |tap: &Tap| c * channel + tap.offset);
        let offsets = (0..block).flat_map(reads).collect();
        let panels = self.outputs.div_ceil(R);
        let mut weights = Scratch::new(panels * R * self.channels * taps);
        weights.par_chunks_mut(panels * R * block * taps).enumerate().for_each(|(index, weights)| {
            let channels = index * block..((index + 1) * block).min(self.channels);
            for (panel, weights) in weights.chunks_exact_mut(R * channels.len() * taps).enumerate() {
                let taps = channels.clone().flat_map(|c| pass.taps.iter().map(move |tap| (c, tap.weight)));
                for (group, (c, tap)) in weights.chunks_exact_mut(R).zip(taps) {
                    for (lane, weight) in group.iter_mut().enumerate() {
                        let output = panel * R + lane;
                        *weight = if output < self.outputs { (self.weight)(output, c, tap) } else { T::zero() };
                    }
                }
            }
        });
        Packed { weights, block, offsets, taps }
    }
}

/// Some outputs of one image.
struct Task<'a, T: Lanes + Pooled, W, const R: usize, const V: usize> {
    gather: &'a Gather<'a, T, W>,
    pass: &'a Pass,
    packed: &'a Packed<T>,
    image: usize,
    /// The first output.
    first: usize,
    y: &'a mut [MaybeUninit<T>],
}

impl<T: Lanes + Pooled, W, const R: usize, const V: usize> WithSimd for Task<'_, T, W, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (gather, pass, lanes) = (self.gather, self.pass, T::lanes::<S>());
        let (pixels, row) = (gather.map.0 * gather.map.1, gather.frame.row);
        let outputs = self.y.len() / pixels;
        if pass.taps.is_empty() {
            // Sums of nothing, the same for every row.
            return self.write(&vec![T::zero(); pass.size.1], 0, 0..pass.size.0, 0);
        }
        let rows = (TILE / row.max(1)).clamp(1, pass.size.0.max(1));
        let runs = pass.runs(0..rows, row, lanes);
        let width = runs.length.next_multiple_of(lanes) * runs.starts.len();
        let mut sums = Scratch::<T>::new(outputs.next_multiple_of(R) * width);
        for top in (0..pass.size.0).step_by(rows) {
            let rows = top..(top + rows).min(pass.size.0);
            let runs = pass.runs(rows.clone(), row, lanes);
            let length = runs.length.next_multiple_of(lanes);
            for channel in (0..gather.channels).step_by(self.packed.block) {
                for (index, &start) in runs.starts.iter().enumerate() {
                    self.strips(simd, channel, start, runs.length, width, &mut sums[index * length..]);
                }
            }
            self.write(&sums, width, rows, runs.pitch);
        }
    }
}

impl<T: Lanes + Pooled, W, const R: usize, const V: usize> Task<'_, T, W, R, V> {
    /// Adds one block of channels to the sums of one run of pixels; the first block sets them.
    #[inline(always)]
    fn strips<S: Simd>(&self, simd: S, channel: usize, start: usize, length: usize, width: usize, sums: &mut [T]) {
        let (gather, packed, lanes) = (self.gather, self.packed, T::lanes::<S>());
        let pixels = gather.map.0 * gather.map.1;
        let depth = packed.block.min(gather.channels - channel) * packed.taps;
        let panels = gather.outputs.div_ceil(R);
        let weights = &packed.weights[panels * R * channel * packed.taps..][..panels * R * depth];
        let weights = &weights[self.first * depth..];
        let outputs = self.y.len() / pixels;
        let inputs = &gather.inputs[(self.image * gather.channels + channel) * gather.frame.channel() + start..];
        let offsets = &packed.offsets[..depth];
        let reach = offsets.iter().max().copied().unwrap_or_default();
        let mut at = 0;
        while at < length {
            let vectors = (length - at).div_ceil(lanes).min(V);
            // The frame ends with room for a vector; a map that is its own frame may not.
            let whole = at + reach + vectors * lanes <= inputs.len();
            let vectors = if whole { vectors } else { 1 };
            let valid = lanes.min(inputs.len() - at - reach);
            for (panel, weights) in weights.chunks_exact(R * depth).take(outputs.div_ceil(R)).enumerate() {
                let sums = &mut sums[panel * R * width + at..];
                debug_assert!(sums.len() >= (R - 1) * width + vectors * lanes);
                let (a, b, fresh) = (weights.as_ptr(), inputs[at..].as_ptr(), channel == 0);
                let valid = if whole { lanes } else { valid };
                // SAFETY: `weights` holds `R * depth` elements; `at + offset + vectors * lanes` stays inside `inputs`
                // for every offset, or else `valid` elements do; `sums` holds `R` rows of `width` from `at` on.
                unsafe {
                    match (vectors, whole) {
                        (3, true) if V >= 3 => {
                            tile::<T, S, R, 3>(simd, a, offsets, b, lanes, lanes, sums.as_mut_ptr(), width, fresh)
                        }
                        (2, true) => {
                            tile::<T, S, R, 2>(simd, a, offsets, b, lanes, lanes, sums.as_mut_ptr(), width, fresh)
                        }
                        (_, true) => {
                            tile::<T, S, R, 1>(simd, a, offsets, b, lanes, lanes, sums.as_mut_ptr(), width, fresh)
                        }
                        _ => tile::<T, S, R, 1>(simd, a, offsets, b, lanes, valid, sums.as_mut_ptr(), width, fresh),
                    }
                }
            }
            at += vectors * lanes;
        }
    }

    /// Puts the sums of some rows where they belong, finished.
    #[inline(always)]
    fn write(&mut self, sums: &[T], width: usize, rows: std::ops::Range<usize>, pitch: usize) {
        let (gather, pass) = (self.gather, self.pass);
        let finish = gather.finish;
        let (pixels, columns) = (gather.map.0 * gather.map.1, pass.size.1);
        for (output, y) in self.y.chunks_exact_mut(pixels).enumerate() {
            let plane = self.image * gather.outputs + self.first + output;
            let shift = finish.shift.map_or(T::zero(), |shift| shift[self.first + output]);
            let residual = finish.residual.map(|residual| &residual[plane * pixels..][..pixels]);
            for (index, row) in rows.clone().enumerate() {
                let start = (pass.origin.0 + row * pass.step) * gather.map.1 + pass.origin.1;
                let length = (columns.max(1) - 1) * pass.step + columns.min(1);
                let y = &mut y[start..][..length];
                let sums = &sums[output * width + index * pitch..][..columns];
                match (residual.map(|residual| &residual[start..][..length]), pass.step) {
                    (None, 1) => {
                        for (y, &sum) in y.iter_mut().zip(sums) {
                            y.write(finish.cut(sum + shift));
                        }
                    }
                    (Some(residual), 1) => {
                        for ((y, &sum), &residual) in y.iter_mut().zip(sums).zip(residual) {
                            y.write(finish.cut(sum + shift + residual));
                        }
                    }
                    (residual, step) => {
                        for (column, (y, &sum)) in y.iter_mut().step_by(step).zip(sums).enumerate() {
                            let residual = residual.map_or(T::zero(), |residual| residual[column * step]);
                            y.write(finish.cut(sum + shift + residual));
                        }
                    }
                }
            }
        }
    }
}
