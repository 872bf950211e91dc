//! The weight gradient: correlations of framed inputs with output gradients.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    super::{
        lanes::Lanes,
        scratch::{Pooled, Scratch},
    },
    frame::{Frame, Pass},
};

/// Pixels a chunk aims at: enough to pay for the sums over lanes, few enough for the caches.
const CHUNK: usize = 2048;

/// Outputs and channels to a block, so that a chunk of both stays in the second-level cache.
const BLOCK: usize = 64;

/// Tasks to share out, if there is enough to do.
const TASKS: usize = 16;

/// `dweight(o, c, t) = sum over images and outputs p of dy(o, p) * x(c, p + offset(t))`.
pub(super) struct Correlate<'a, T> {
    pub frame: &'a Frame,
    pub pass: &'a Pass,
    /// The batch, framed.
    pub inputs: &'a [T],
    /// The output gradients, `[images, outputs, rows, columns]`.
    pub gradients: &'a [T],
    pub images: usize,
    pub channels: usize,
    pub outputs: usize,
    /// Weights of a kernel, tapped or not.
    pub kernel: usize,
}

/// A stretch of pixels: where it starts in the first output's gradient and in the first channel, and its length.
#[derive(Clone, Copy)]
struct Run {
    gradient: usize,
    input: usize,
    length: usize,
}

/// Output gradients in rows that match the frame's.
struct Gradients<'a, T: Pooled> {
    copied: Option<Scratch<T>>,
    original: &'a [T],
    /// Distance of neighbouring outputs.
    map: usize,
}

impl<T: Pooled> Gradients<'_, T> {
    fn elements(&self) -> &[T] {
        self.copied.as_deref().unwrap_or(self.original)
    }
}

impl<T: Lanes + Pooled> Correlate<'_, T> {
    pub(super) fn run(self) -> Vec<T> {
        Arch::new().dispatch(self)
    }
}

impl<T: Lanes + Pooled> WithSimd for Correlate<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<T> {
        // With a register to spare, as in `gather`.
        if S::REGISTER_COUNT >= 32 { self.blocked::<S, 4, 6>(simd) } else { self.blocked::<S, 2, 6>(simd) }
    }
}

impl<T: Lanes + Pooled> Correlate<'_, T> {
    fn blocked<S: Simd, const R: usize, const K: usize>(&self, simd: S) -> Vec<T> {
        let taps = self.pass.taps.len();
        let mut dweight = vec![T::zero(); self.outputs * self.channels * self.kernel];
        if taps == 0 || self.images == 0 {
            return dweight;
        }
        let (gradients, chunks) = self.chunks(T::lanes::<S>());
        let blocks: Vec<(Range<usize>, Range<usize>)> = ranges(self.outputs, BLOCK)
            .flat_map(|outputs| ranges(self.channels, BLOCK).map(move |channels| (outputs.clone(), channels)))
            .collect();
        // How the chunks are shared out depends on the shapes only, and so does the order of every sum.
        let shares = TASKS.div_ceil(blocks.len()).min(chunks.len());
        let share = chunks.len().div_ceil(shares);
        let channel = self.frame.channel();
        let partial: Vec<Vec<T>> = (0..blocks.len() * shares)
            .into_par_iter()
            .map(|task| {
                let (outputs, channels) = blocks[task / shares].clone();
                let first = (task % shares * share).min(chunks.len());
                let chunks = &chunks[first..(first + share).min(chunks.len())];
                let reads =
                    channels.clone().flat_map(|c| self.pass.taps.iter().map(move |tap| c * channel + tap.offset));
                let mut sums = vec![T::zero(); outputs.len() * channels.len() * taps];
                simd.vectorize(Block::<T, R, K> {
                    chunks,
                    gradients: gradients.elements(),
                    rows: outputs.map(|output| output * gradients.map).collect(),
                    inputs: self.inputs,
                    reads: reads.collect(),
                    sums: &mut sums,
                });
                sums
            })
            .collect();
        for (task, sums) in partial.iter().enumerate() {
            let (outputs, channels) = blocks[task / shares].clone();
            for (output, sums) in outputs.zip(sums.chunks_exact(channels.len() * taps)) {
                for (c, sums) in channels.clone().zip(sums.chunks_exact(taps)) {
                    let kernel = &mut dweight[(output * self.channels + c) * self.kernel..][..self.kernel];
                    self.pass.taps.iter().zip(sums).for_each(|(tap, &sum)| kernel[tap.weight] += sum);
                }
            }
        }
        dweight
    }

    /// The gradients in a layout to run through, and the runs of each chunk.
    fn chunks(&self, lanes: usize) -> (Gradients<'_, T>, Vec<Vec<Run>>) {
        let (frame, pass) = (self.frame, self.pass);
        let (rows, columns) = pass.size;
        let layout = pass.runs(0..rows, frame.row, lanes);
        // Runs as the maps lie in memory; whole vectors of a framed map, with zeros for gradients beyond its columns.
        let (gradients, pitch) = match frame.is_direct() || layout.pitch == columns {
            true => (Gradients { copied: None, original: self.gradients, map: rows * columns }, columns),
            false => (self.spaced_gradients(layout.pitch), layout.pitch),
        };
        let joined = frame.row == pitch;
        let step = if joined { (CHUNK / pitch).clamp(1, rows) } else { 1 };
        let input = self.channels * frame.channel();
        let mut chunks: Vec<Vec<Run>> = Vec::new();
        let mut filled = 0;
        for image in 0..self.images {
            for top in (0..rows).step_by(step) {
                let count = step.min(rows - top);
                let used = (count - 1) * pitch + columns;
                let length = match gradients.copied {
                    // Up to the rows of the next chunk.
                    Some(_) if joined && top + count < rows => count * pitch,
                    // After the last row come zeros, as after every row that is its own run.
                    Some(_) => used.next_multiple_of(lanes),
                    None => used,
                };
                if chunks.is_empty() || filled + length / 2 > CHUNK {
                    chunks.push(Vec::new());
                    filled = 0;
                }
                filled += length;
                if let Some(chunk) = chunks.last_mut() {
                    let gradient = image * self.outputs * gradients.map + top * pitch;
                    chunk.push(Run { gradient, input: image * input + top * frame.row, length });
                }
            }
        }
        (gradients, chunks)
    }

    /// The gradients in rows `pitch` apart, with zeros between.
    fn spaced_gradients(&self, pitch: usize) -> Gradients<'_, T> {
        let (rows, columns) = self.pass.size;
        let map = (rows * pitch).next_multiple_of(16) + 16;
        let mut copied = Scratch::new(self.images * self.outputs * map);
        copied.par_chunks_mut(map).zip(self.gradients.par_chunks(rows * columns)).for_each(|(copied, gradients)| {
            let mut end = 0;
            for (y, gradients) in gradients.chunks_exact(columns).enumerate() {
                copied[end..y * pitch].fill(T::zero());
                end = y * pitch + columns;
                copied[y * pitch..end].copy_from_slice(gradients);
            }
            copied[end..].fill(T::zero());
        });
        Gradients { copied: Some(copied), original: self.gradients, map }
    }
}

/// `0..end` in pieces of `length`.
fn ranges(end: usize, length: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..end).step_by(length).map(move |start| start..(start + length).min(end))
}

/// Correlations of some outputs with some channels over some chunks.
struct Block<'a, T, const R: usize, const K: usize> {
    chunks: &'a [Vec<Run>],
    gradients: &'a [T],
    /// Where each output starts in the gradients.
    rows: Vec<usize>,
    inputs: &'a [T],
    /// Where each channel's taps start in the inputs.
    reads: Vec<usize>,
    /// Outputs times reads.
    sums: &'a mut [T],
}

impl<T: Lanes, const R: usize, const K: usize> WithSimd for Block<'_, T, R, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let end = |starts: &[usize]| starts.iter().max().copied().unwrap_or_default();
        let (last_row, last_read) = (end(&self.rows), end(&self.reads));
        for chunk in self.chunks {
            for run in chunk {
                assert!(run.gradient + last_row + run.length <= self.gradients.len());
                assert!(run.input + last_read + run.length <= self.inputs.len());
            }
            for (rows, sums) in self.rows.chunks(R).zip(self.sums.chunks_mut(R * self.reads.len())) {
                for (index, reads) in self.reads.chunks(K).enumerate() {
                    // A short last tile repeats its last row or read; what it makes of them is not used.
                    let row: [usize; R] = std::array::from_fn(|r| rows[r.min(rows.len() - 1)]);
                    let read: [usize; K] = std::array::from_fn(|k| reads[k.min(reads.len() - 1)]);
                    // SAFETY: the assertions above hold for the largest row and read, and so for all.
                    let tile =
                        unsafe { correlations::<T, S, R, K>(simd, chunk, self.gradients, row, self.inputs, read) };
                    for (sums, tile) in sums.chunks_mut(self.reads.len()).zip(tile) {
                        sums[index * K..].iter_mut().take(reads.len()).zip(tile).for_each(|(sum, part)| *sum += part);
                    }
                }
            }
        }
    }
}

/// `sum over the runs of gradients[row[r] + p] * inputs[read[k] + p]` for each r and k.
///
/// # Safety
/// For every run, `length` elements must be readable from its start plus any of `row` in `gradients` and from its
/// start plus any of `read` in `inputs`.
#[inline(always)]
unsafe fn correlations<T: Lanes, S: Simd, const R: usize, const K: usize>(
    simd: S,
    runs: &[Run],
    gradients: &[T],
    row: [usize; R],
    inputs: &[T],
    read: [usize; K],
) -> [[T; K]; R] {
    // Loops and not `map`: a closure that is not inlined would lose the vector instructions.
    let lanes = T::lanes::<S>();
    let zero = T::splat(simd, T::zero());
    let mut totals = [[zero; K]; R];
    for run in runs {
        let (mut dy, mut x) = ([gradients.as_ptr(); R], [inputs.as_ptr(); K]);
        // SAFETY: the caller's promise; whole vectors and the rest stay inside the run.
        unsafe {
            for (dy, row) in dy.iter_mut().zip(row) {
                *dy = dy.add(run.gradient + row);
            }
            for (x, read) in x.iter_mut().zip(read) {
                *x = x.add(run.input + read);
            }
            let whole = run.length / lanes * lanes;
            let mut p = 0;
            while p < whole {
                let mut gradient = [zero; R];
                for (gradient, dy) in gradient.iter_mut().zip(&dy) {
                    *gradient = T::load::<S>(dy.add(p));
                }
                for (k, x) in x.iter().enumerate() {
                    let x = T::load::<S>(x.add(p));
                    for (totals, &gradient) in totals.iter_mut().zip(&gradient) {
                        totals[k] = T::mul_add(simd, gradient, x, totals[k]);
                    }
                }
                p += lanes;
            }
            let rest = run.length - whole;
            if rest > 0 {
                let mut gradient = [zero; R];
                for (gradient, dy) in gradient.iter_mut().zip(&dy) {
                    *gradient = T::load_some(simd, std::slice::from_raw_parts(dy.add(whole), rest));
                }
                for (k, x) in x.iter().enumerate() {
                    let x = T::load_some(simd, std::slice::from_raw_parts(x.add(whole), rest));
                    for (totals, &gradient) in totals.iter_mut().zip(&gradient) {
                        totals[k] = T::mul_add(simd, gradient, x, totals[k]);
                    }
                }
            }
        }
    }
    let mut sums = [[T::zero(); K]; R];
    for (sums, totals) in sums.iter_mut().zip(totals) {
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = T::sum(simd, total);
        }
    }
    sums
}
