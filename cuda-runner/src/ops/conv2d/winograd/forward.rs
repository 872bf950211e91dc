//! Outputs: evaluate, multiply point by point, interpolate.

use std::{mem::MaybeUninit, ops::Range};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    super::{
        super::{
            element::written,
            lanes::Lanes,
            scratch::{Pooled, Scratch},
        },
        finish::Finish,
        product::{tile, with_tile},
    },
    FREQUENCIES, Plan,
    tiles::{Kept, Reader},
    transform::{OUTPUTS, OfInput, POINTS, TAPS, kernels, outputs},
};

/// Tiles that are multiplied at a time: the products of a block of outputs stay in the second-level cache.
const PART: usize = 256;

/// Elements of evaluated inputs that are kept at a time.
const LARGEST: usize = 1 << 23;

/// Outputs of a task, about.
const BLOCK: usize = 32;

/// Channels whose evaluated inputs lie together.
const GROUP: usize = 16;

/// Elements of a strip of evaluated inputs that stay in the first-level cache.
const STRIP: usize = 8192;

/// `y(o, p) = sum over channels c and taps t of weight(o, c, t) * x(c, p + offset(t))`, finished, for a batch.
pub(in super::super) struct Forward<'a, T, W> {
    pub plan: &'a Plan,
    /// The batch.
    pub inputs: &'a [T],
    /// The weight of output, channel and kernel tap.
    pub weight: W,
    pub finish: Finish<'a, T>,
}

impl<T: Lanes + Pooled, W: Fn(usize, usize, usize) -> T + Sync> Forward<'_, T, W> {
    pub(in super::super) fn run(self) -> Vec<T> {
        Arch::new().dispatch(self)
    }
}

impl<T: Lanes + Pooled, W: Fn(usize, usize, usize) -> T + Sync> WithSimd for Forward<'_, T, W> {
    type Output = Vec<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<T> {
        with_tile!(S, R, V => self.tiled::<S, R, V>(simd))
    }
}

/// Where evaluated inputs lie: parts of tiles, in them groups of channels, in them points, in them channels.
#[derive(Clone, Copy)]
struct Layout {
    /// Rows of tiles in a part.
    rows: usize,
    /// Distance of neighbouring channels at one point.
    pitch: usize,
    groups: usize,
}

impl Layout {
    fn new(plan: &Plan, width: usize) -> Self {
        let rows = (PART / plan.tiles.columns).clamp(1, plan.rows());
        let needed = (rows - 1) * plan.tiles.columns + width;
        // An odd number of cache lines: the same tile of all channels does not fall into the same few sets of a cache.
        Self { rows, pitch: (needed.div_ceil(16) | 1) * 16, groups: plan.channels.div_ceil(GROUP) }
    }

    const fn group(&self) -> usize {
        FREQUENCIES * GROUP * self.pitch
    }

    const fn part(&self) -> usize {
        self.groups * self.group()
    }

    /// Where a channel lies at point 0.
    const fn channel(&self, channel: usize) -> usize {
        channel / GROUP * self.group() + channel % GROUP * self.pitch
    }
}

impl<T: Lanes + Pooled, W: Fn(usize, usize, usize) -> T + Sync> Forward<'_, T, W> {
    fn tiled<S: Simd, const R: usize, const V: usize>(&self, simd: S) -> Vec<T> {
        let plan = self.plan;
        let lanes = T::lanes::<S>();
        let reader = Reader::of_input(&plan.tiles, lanes);
        let layout = Layout::new(plan, reader.width);
        let pixels = plan.tiles.to.0 * plan.tiles.to.1;
        let block = BLOCK.next_multiple_of(R).min(plan.outputs.next_multiple_of(R));
        let parts = plan.rows().div_ceil(layout.rows);
        let chunk = (LARGEST / layout.part()).clamp(1, parts);
        let table = plan.tiles.written(reader.width);
        let mut evaluated = Scratch::new(chunk * layout.part());
        let fill = |y: &mut [MaybeUninit<T>]| {
            for first in (0..parts).step_by(chunk) {
                let rows = first * layout.rows..((first + chunk) * layout.rows).min(plan.rows());
                evaluated.par_chunks_mut(layout.group()).enumerate().for_each(|(index, out)| {
                    let start = rows.start + index / layout.groups * layout.rows;
                    let rows = start.min(rows.end)..(start + layout.rows).min(rows.end);
                    simd.vectorize(Evaluate { forward: self, reader: &reader, layout, rows, group: index, out });
                });
                let mut blocks: Vec<Vec<&mut [MaybeUninit<T>]>> = Vec::new();
                blocks.resize_with(plan.outputs.div_ceil(block), Vec::new);
                for (index, plane) in y.chunks_exact_mut(pixels).enumerate() {
                    blocks[index % plan.outputs / block].push(plane);
                }
                blocks.into_par_iter().enumerate().for_each(|(index, planes)| {
                    simd.vectorize(Multiply::<T, W, R, V> {
                        forward: self,
                        evaluated: &evaluated,
                        layout,
                        rows: rows.clone(),
                        first: index * block,
                        planes,
                        width: reader.width,
                        table: &table,
                    });
                });
            }
        };
        // SAFETY: the tiles of all rows together are the map, and every output of them is written.
        unsafe { written(plan.images * plan.outputs * pixels, fill) }
    }
}

/// Evaluates a group of channels over a part.
struct Evaluate<'a, 'b, T, W> {
    forward: &'a Forward<'b, T, W>,
    reader: &'a Reader<'a>,
    layout: Layout,
    rows: Range<usize>,
    group: usize,
    out: &'a mut [T],
}

impl<T: Lanes + Pooled, W> WithSimd for Evaluate<'_, '_, T, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { forward, reader, layout, rows, .. } = self;
        let plan = forward.plan;
        let map = plan.tiles.from.0 * plan.tiles.from.1;
        let mut kept: Kept<T> = reader.kept();
        let first = self.group % layout.groups * GROUP;
        for channel in first..(first + GROUP).min(plan.channels) {
            kept.restart();
            for row in rows.clone() {
                let (image, row_of) = (row / plan.tiles.rows, row % plan.tiles.rows);
                let map = &forward.inputs[(image * plan.channels + channel) * map..][..map];
                let out = &mut self.out[(channel - first) * layout.pitch + (row - rows.start) * plan.tiles.columns..];
                reader.evaluate::<T, S, OfInput, POINTS>(simd, map, row_of, &mut kept, out, GROUP * layout.pitch);
            }
        }
    }
}

/// Multiplies and interpolates a block of outputs.
struct Multiply<'a, 'b, T, W, const R: usize, const V: usize> {
    forward: &'a Forward<'b, T, W>,
    evaluated: &'a [T],
    layout: Layout,
    /// Rows of tiles, of the whole batch.
    rows: Range<usize>,
    /// The first output.
    first: usize,
    /// The maps of these outputs, image by image.
    planes: Vec<&'a mut [MaybeUninit<T>]>,
    /// Lanes of a row of tiles.
    width: usize,
    /// Where each column of an output stands.
    table: &'a [u32],
}

impl<T, W, const R: usize, const V: usize> WithSimd for Multiply<'_, '_, T, W, R, V>
where
    T: Lanes + Pooled,
    W: Fn(usize, usize, usize) -> T + Sync,
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (plan, layout) = (self.forward.plan, self.layout);
        let outputs = self.planes.len() / plan.images;
        let kernels = self.kernels(outputs);
        let mut products = Scratch::<T>::new(FREQUENCIES * outputs.next_multiple_of(R) * layout.pitch);
        let parts = self.evaluated.chunks_exact(layout.part());
        for (start, evaluated) in self.rows.clone().step_by(layout.rows).zip(parts) {
            let rows = start..(start + layout.rows).min(self.rows.end);
            self.multiply(simd, outputs, &kernels, evaluated, rows.len() * plan.tiles.columns, &mut products);
            self.interpolate(simd, outputs, rows, &products);
        }
    }
}

impl<T, W, const R: usize, const V: usize> Multiply<'_, '_, T, W, R, V>
where
    T: Lanes + Pooled,
    W: Fn(usize, usize, usize) -> T + Sync,
{
    /// The evaluated kernels: points, in them panels of `R` outputs, in them channels.
    #[inline(always)]
    fn kernels(&self, outputs: usize) -> Scratch<T> {
        let plan = self.forward.plan;
        let panels = outputs.div_ceil(R);
        let apart = panels * plan.channels * R;
        let mut evaluated = Scratch::<T>::new(FREQUENCIES * apart);
        for (panel, channel) in (0..panels).flat_map(|panel| (0..plan.channels).map(move |channel| (panel, channel))) {
            let mut rows = [[[T::zero(); R]; POINTS]; TAPS];
            for (i, row) in rows.iter_mut().enumerate() {
                let mut taps = [[T::zero(); R]; TAPS];
                for (j, tap) in taps.iter_mut().enumerate() {
                    for (r, tap) in tap.iter_mut().enumerate() {
                        let output = panel * R + r;
                        if output < outputs {
                            *tap = (self.forward.weight)(self.first + output, channel, i * TAPS + j);
                        }
                    }
                }
                *row = kernels(taps);
            }
            let to = &mut evaluated[(panel * plan.channels + channel) * R..];
            for f in 0..POINTS {
                for (g, values) in kernels([rows[0][f], rows[1][f], rows[2][f]]).iter().enumerate() {
                    to[(g * POINTS + f) * apart..][..R].copy_from_slice(values);
                }
            }
        }
        evaluated
    }

    /// Products of evaluated kernels and inputs: points, in them outputs, in them `tiles`.
    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        outputs: usize,
        kernels: &[T],
        evaluated: &[T],
        tiles: usize,
        products: &mut [T],
    ) {
        let (layout, lanes, channels) = (self.layout, T::lanes::<S>(), self.forward.plan.channels);
        let panels = outputs.div_ceil(R);
        let offsets: Vec<usize> = (0..channels).map(|channel| layout.channel(channel)).collect();
        let depth = (STRIP / (V * lanes)).next_multiple_of(GROUP);
        for f in 0..FREQUENCIES {
            let kernels = &kernels[f * panels * channels * R..][..panels * channels * R];
            let products = &mut products[f * panels * R * layout.pitch..][..panels * R * layout.pitch];
            for first in (0..channels).step_by(depth) {
                let offsets = &offsets[first..(first + depth).min(channels)];
                let mut at = 0;
                while at < tiles {
                    let vectors = (tiles - at).div_ceil(lanes).min(V);
                    let inputs = &evaluated[f * GROUP * layout.pitch + at..];
                    let last = offsets.last().copied().unwrap_or_default();
                    assert!(last + vectors * lanes <= inputs.len() && at + vectors * lanes <= layout.pitch);
                    for panel in 0..panels {
                        let a = kernels[(panel * channels + first) * R..][..offsets.len() * R].as_ptr();
                        let sums = products[panel * R * layout.pitch + at..].as_mut_ptr();
                        let (b, width, fresh) = (inputs.as_ptr(), layout.pitch, first == 0);
                        // SAFETY: `a` holds `R` elements for each offset; the assertion above covers `b`, whose largest
                        // offset is the last, and the columns of `sums`, which has `R` rows of a pitch from the panel's.
                        unsafe {
                            match vectors {
                                3 if V >= 3 => {
                                    tile::<T, S, R, 3>(simd, a, offsets, b, lanes, lanes, sums, width, fresh);
                                }
                                2 => tile::<T, S, R, 2>(simd, a, offsets, b, lanes, lanes, sums, width, fresh),
                                _ => tile::<T, S, R, 1>(simd, a, offsets, b, lanes, lanes, sums, width, fresh),
                            }
                        }
                    }
                    at += vectors * lanes;
                }
            }
        }
    }

    /// Writes the outputs of some rows of tiles.
    #[inline(always)]
    fn interpolate<S: Simd>(&mut self, simd: S, block: usize, rows: Range<usize>, products: &[T]) {
        let (forward, width, lanes) = (self.forward, self.width, T::lanes::<S>());
        let (plan, pitch, finish) = (forward.plan, self.layout.pitch, forward.finish);
        let (columns, pixels) = (plan.tiles.to.1, plan.tiles.to.0 * plan.tiles.to.1);
        let apart = block.div_ceil(R) * R * pitch;
        let mut interpolated = vec![T::zero(); OUTPUTS * OUTPUTS * width];
        for output in 0..block {
            let shift = finish.shift.map_or(T::zero(), |shift| shift[self.first + output]);
            for row in rows.clone() {
                let products = &products[output * pitch + (row - rows.start) * plan.tiles.columns..];
                assert!((FREQUENCIES - 1) * apart + width <= products.len() && interpolated.len() >= 16 * width);
                for at in (0..width).step_by(lanes) {
                    // SAFETY: the assertion above; `width` is a multiple of `lanes`.
                    unsafe {
                        let zero = T::splat(simd, T::zero());
                        let mut half = [[zero; POINTS]; OUTPUTS];
                        for f in 0..POINTS {
                            let mut column = [zero; POINTS];
                            for (g, value) in column.iter_mut().enumerate() {
                                *value = T::load::<S>(products.as_ptr().add((g * POINTS + f) * apart + at));
                            }
                            for (half, value) in half.iter_mut().zip(outputs::<T, S>(simd, column)) {
                                half[f] = value;
                            }
                        }
                        for (i, half) in half.into_iter().enumerate() {
                            for (j, value) in outputs::<T, S>(simd, half).into_iter().enumerate() {
                                T::store::<S>(interpolated.as_mut_ptr().add((i * OUTPUTS + j) * width + at), value);
                            }
                        }
                    }
                }
                let (image, row_of) = (row / plan.tiles.rows, row % plan.tiles.rows);
                let plane = &mut self.planes[image * block + output];
                let residual = finish
                    .residual
                    .map(|residual| &residual[(image * plan.outputs + self.first + output) * pixels..][..pixels]);
                for (i, interpolated) in interpolated.chunks_exact(OUTPUTS * width).enumerate() {
                    let Some(y) = plan.tiles.output_row(row_of, i) else { continue };
                    let plane = &mut plane[y * columns..][..columns];
                    match residual.map(|residual| &residual[y * columns..][..columns]) {
                        None => {
                            for (y, &at) in plane.iter_mut().zip(self.table) {
                                y.write(finish.cut(interpolated[at as usize] + shift));
                            }
                        }
                        Some(residual) => {
                            for ((y, &at), &residual) in plane.iter_mut().zip(self.table).zip(residual) {
                                y.write(finish.cut(interpolated[at as usize] + shift + residual));
                            }
                        }
                    }
                }
            }
        }
    }
}
