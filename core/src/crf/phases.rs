//! What an iteration does: splat, blur, slice, and mean field's update.

use super::{
    executor::Phase,
    lattice::{Lattice, Share},
    rows::{add_scaled, for_tiles, set_tile, softmax, tile},
};
use crate::arena::part::{at, part, rows, rows_mut, split};

/// Pixels whose rows stay in the nearest cache while they are finished.
const BLOCK: usize = 64;

/// Pixels' rows to the rows of lattice points, each the sum of its shares.
pub(super) struct Splat<'a> {
    pub(super) lattice: &'a Lattice,
    pub(super) pixels: &'a [f32],
    pub(super) stride: usize,
}

impl Phase for Splat<'_> {
    type Item = f32;

    fn unit(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let (stride, starts) = (self.stride, &self.lattice.starts);
        for (point, row) in (first / stride.max(1)..).zip(rows_mut(out, stride)) {
            let shares = at(starts, point) as usize..at(starts, point + 1) as usize;
            let shares = part(&self.lattice.splats, shares);
            for_tiles!(stride, |channel, WIDTH| {
                let sum = gathered::<WIDTH>(shares, self.pixels, stride, channel);
                set_tile(row, channel, sum);
            });
        }
    }
}

/// The sum of shares of rows.
#[inline(always)]
fn gathered<const W: usize>(shares: &[Share], rows: &[f32], stride: usize, channel: usize) -> [f32; W] {
    let mut sum = [0.0; W];
    for share in shares {
        add_scaled(&mut sum, share.weight, tile(rows, stride, share.row as usize, channel));
    }
    sum
}

/// One axis of the blur: half of both neighbours is added to each point.
pub(super) struct Blur<'a> {
    pub(super) neighbours: &'a [[u32; 2]],
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
}

impl Phase for Blur<'_> {
    type Item = f32;

    fn unit(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let (stride, values) = (self.stride, self.values);
        let first = first / stride.max(1);
        let neighbours = split(self.neighbours, first).1;
        for ((point, &[before, after]), row) in (first + 1..).zip(neighbours).zip(rows_mut(out, stride)) {
            for_tiles!(stride, |channel, WIDTH| {
                let own = tile::<WIDTH>(values, stride, point, channel);
                let before = tile::<WIDTH>(values, stride, before as usize, channel);
                let after = tile::<WIDTH>(values, stride, after as usize, channel);
                let mut sum = *own;
                for (sum, (&before, &after)) in sum.iter_mut().zip(before.iter().zip(after)) {
                    *sum += 0.5 * (before + after);
                }
                set_tile(row, channel, sum);
            });
        }
    }
}

/// Lattice points' rows to pixels' rows.
pub(super) struct Slice<'a> {
    pub(super) lattice: &'a Lattice,
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
}

impl Phase for Slice<'_> {
    type Item = f32;

    fn unit(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let (stride, corners) = (self.stride, self.lattice.corners);
        let slices = rows(split(&self.lattice.slices, first / stride.max(1) * corners).1, corners);
        for (shares, row) in slices.zip(rows_mut(out, stride)) {
            for_tiles!(stride, |channel, WIDTH| {
                let sum = gathered::<WIDTH>(shares, self.values, stride, channel);
                set_tile(row, channel, sum);
            });
        }
    }
}

/// A kernel's part in the update: its lattice with the values of this iteration, and its weight.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) lattice: &'a Lattice,
    pub(super) values: &'a [f32],
    pub(super) weight: f32,
}

/// `Q = softmax(log p + sum of weighted messages)`: Potts' model takes away from each class what the others are told,
/// which after the softmax is to give it what it is told itself.
pub(super) struct Update<'a> {
    pub(super) logits: &'a [f32],
    pub(super) messages: [Option<Message<'a>>; 2],
    pub(super) stride: usize,
}

impl Phase for Update<'_> {
    type Item = f32;

    fn unit(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let stride = self.stride.max(1);
        let mut pixel = first / stride;
        for rows in out.chunks_mut((BLOCK * stride).max(1)) {
            for_tiles!(stride, |channel, WIDTH| {
                for (pixel, row) in (pixel..).zip(rows.chunks_exact_mut(stride)) {
                    let mut sum = *tile::<WIDTH>(self.logits, stride, pixel, channel);
                    for message in self.messages.iter().flatten() {
                        let corners = message.lattice.corners;
                        let shares = part(&message.lattice.slices, pixel * corners..(pixel + 1) * corners);
                        let told = gathered::<WIDTH>(shares, message.values, stride, channel);
                        add_scaled(&mut sum, message.weight, &told);
                    }
                    set_tile(row, channel, sum);
                }
            });
            // Not for_each: its closure would be a function of its own, for the oldest processor's vectors.
            for row in rows.chunks_exact_mut(stride) {
                softmax(row);
            }
            pixel += rows.len() / stride;
        }
    }
}
