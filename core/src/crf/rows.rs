//! Rows of channels: a value for each class, beside each other for a pixel or lattice point.

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::{CrfError, executor::Phase, memory::defaults};
use crate::{
    arena::part::{at, part, part_mut, rows_mut},
    math,
};

/// Channels that are computed side by side. Rows are padded to a multiple of it.
pub(super) const LANES: usize = 8;

/// Most channels whose sums are kept in registers.
pub(super) const WIDEST: usize = 4 * LANES;

/// Elements of a row of `channels`.
pub(super) const fn stride(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// Calls `$body` for each tile of a row of `$stride` channels, with its first channel and, as a constant, its width.
macro_rules! for_tiles {
    ($stride:expr, |$first:ident, $width:ident| $body:expr) => {{
        let stride: usize = $stride;
        let mut $first = 0;
        while $first < stride {
            match stride - $first {
                1 => {
                    const $width: usize = 1;
                    $body;
                    $first += 1;
                }
                8 => {
                    const $width: usize = 8;
                    $body;
                    $first += 8;
                }
                16 => {
                    const $width: usize = 16;
                    $body;
                    $first += 16;
                }
                24 => {
                    const $width: usize = 24;
                    $body;
                    $first += 24;
                }
                _ => {
                    const $width: usize = $crate::crf::rows::WIDEST;
                    $body;
                    $first += $width;
                }
            }
        }
    }};
}
pub(super) use for_tiles;

/// Channels `first..first + W` of row `row`.
#[inline(always)]
pub(super) fn tile<const W: usize>(rows: &[f32], stride: usize, row: usize, first: usize) -> &[f32; W] {
    let start = row * stride + first;
    // Within the rows, as every caller's numbers are; the one check of bounds for W values.
    let Some(tile) = rows.get(start..start + W) else { return &[0.0; W] };
    tile.first_chunk().unwrap_or(&[0.0; W])
}

/// Puts values into channels `first..` of a row.
#[inline(always)]
pub(super) fn set_tile<const W: usize>(row: &mut [f32], first: usize, values: [f32; W]) {
    let Some(tile) = row.get_mut(first..first + W) else { return };
    if let Some(tile) = tile.first_chunk_mut() {
        *tile = values;
    }
}

/// `sum += weight * tile`.
#[inline(always)]
pub(super) fn add_scaled<const W: usize>(sum: &mut [f32; W], weight: f32, tile: &[f32; W]) {
    for (sum, &value) in sum.iter_mut().zip(tile) {
        *sum += weight * value;
    }
}

/// From maps `[classes, pixels]` to rows, through a function of each value.
pub(super) struct Load<'a, F> {
    pub(super) maps: &'a [f32],
    pub(super) pixels: usize,
    pub(super) classes: usize,
    /// What the channels hold that are no class.
    pub(super) padding: f32,
    pub(super) value: F,
}

/// Pixels whose rows are filled together: a few kilobytes.
const BLOCK: usize = 64;

impl<F: Fn(f32) -> f32 + Sync> Phase for Load<'_, F> {
    type Item = f32;

    fn unit(&self) -> usize {
        stride(self.classes)
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let stride = self.unit().max(1);
        let mut pixel = first / stride;
        for rows in out.chunks_mut((BLOCK * stride).max(1)) {
            rows.fill(self.padding);
            let count = rows.len() / stride;
            for class in 0..self.classes {
                let start = class * self.pixels + pixel;
                let map = part(self.maps, start..start + count);
                let mut values = [0.0; BLOCK];
                for (value, &from) in values.iter_mut().zip(map) {
                    *value = (self.value)(from);
                }
                for (row, &value) in rows.chunks_exact_mut(stride).zip(&values) {
                    if let Some(channel) = row.get_mut(class) {
                        *channel = value;
                    }
                }
            }
            pixel += count;
        }
    }
}

/// Pixels of a piece of [`pieces`].
const PIECE: usize = 4096;

/// Maps `[classes, pixels]` cut into runs of pixels, each the slices of all classes.
pub(super) fn pieces(maps: &mut [f32], pixels: usize) -> Result<Vec<Vec<&mut [f32]>>, CrfError> {
    let mut pieces: Vec<Vec<&mut [f32]>> = defaults(pixels.div_ceil(PIECE))?;
    for piece in &mut pieces {
        *piece = defaults(maps.len() / pixels.max(1))?;
    }
    for (class, map) in rows_mut(maps, pixels).enumerate() {
        for (piece, run) in pieces.iter_mut().zip(map.chunks_mut(PIECE)) {
            if let Some(place) = piece.get_mut(class) {
                *place = run;
            }
        }
    }
    Ok(pieces)
}

/// From rows to the [`pieces`] of maps.
pub(super) struct Unload<'r, 'm> {
    rows: &'r [f32],
    classes: usize,
    maps: PhantomData<fn(&'m mut [f32])>,
}

impl<'r> Unload<'r, '_> {
    pub(super) fn new(rows: &'r [f32], classes: usize) -> Self {
        Self { rows, classes, maps: PhantomData }
    }
}

impl<'m> Phase for Unload<'_, 'm> {
    type Item = Vec<&'m mut [f32]>;

    fn unit(&self) -> usize {
        1
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [Self::Item]) {
        let stride = stride(self.classes).max(1);
        for (piece, maps) in (first..).zip(out) {
            let length = maps.first().map_or(0, |map| map.len());
            let mut block = 0;
            while block < length {
                let end = length.min(block + BLOCK);
                let from = piece * PIECE;
                let rows = part(self.rows, (from + block) * stride..(from + end) * stride);
                for (class, map) in maps.iter_mut().enumerate() {
                    for (value, row) in part_mut(map, block..end).iter_mut().zip(rows.chunks_exact(stride)) {
                        *value = at(row, class);
                    }
                }
                block = end;
            }
        }
    }
}

/// The softmax of a row, in place. Rows hold whole lanes; a channel of minus infinity becomes 0. The sum's order depends
/// on nothing but the number of channels.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) {
    let (lanes, _) = row.as_chunks_mut::<LANES>();
    let mut peaks = [f32::NEG_INFINITY; LANES];
    for values in lanes.iter() {
        for (peak, &value) in peaks.iter_mut().zip(values) {
            *peak = if value > *peak { value } else { *peak };
        }
    }
    let peak = fold(peaks, |a, b| if b > a { b } else { a });
    let mut sums = [0.0; LANES];
    for values in lanes.iter_mut() {
        for (sum, value) in sums.iter_mut().zip(values) {
            *value = math::exp(*value - peak);
            *sum += *value;
        }
    }
    let share = 1.0 / fold(sums, |a, b| a + b);
    for values in lanes {
        for value in values {
            *value *= share;
        }
    }
}

/// Halves together, three times.
#[inline(always)]
fn fold(lanes: [f32; LANES], both: impl Fn(f32, f32) -> f32) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    both(both(both(a, e), both(c, g)), both(both(b, f), both(d, h)))
}
