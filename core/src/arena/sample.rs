//! Where a pixel's value comes from: shifted rows with repeated borders, and the taps of a bilinear resize.

use super::{
    Real,
    part::{at, copy, head, part, part_mut, rows, rows_mut, split, split_mut},
};
use crate::{Corners, Shape};

/// `index + offset`, held inside `0..len`.
#[inline]
pub(super) fn clamped(index: usize, offset: isize, len: usize) -> usize {
    index.saturating_add_signed(offset).min(len.saturating_sub(1))
}

/// The columns of a row of `width` whose source column `x + dx` lies inside the row.
#[inline]
fn inside(width: usize, dx: isize) -> (usize, usize) {
    let from = dx.min(0).unsigned_abs().min(width);
    let to = width - dx.max(0).unsigned_abs().min(width);
    (from, to.max(from))
}

/// `f(out, source(x + dx), first, second)` for each x, the source's ends repeated beyond its borders.
#[inline]
pub(super) fn zip_shifted<F: Real>(
    out: &mut [F],
    source: &[F],
    dx: isize,
    first: &[F],
    second: &[F],
    f: impl Fn(&mut F, F, F, F),
) {
    let width = out.len();
    let (Some(&left), Some(&right)) = (source.first(), source.last()) else { return };
    let (from, to) = inside(width, dx);
    let (first, second) = (head(first, width), head(second, width));
    for ((out, &a), &b) in part_mut(out, 0..from).iter_mut().zip(first).zip(second) {
        f(out, left, a, b);
    }
    if from < to {
        let start = from.saturating_add_signed(dx);
        let middle = part(source, start..start + (to - from));
        let operands = part(first, from..to).iter().zip(part(second, from..to));
        for ((out, &value), (&a, &b)) in part_mut(out, from..to).iter_mut().zip(middle).zip(operands) {
            f(out, value, a, b);
        }
    }
    let operands = split(first, to).1.iter().zip(split(second, to).1);
    for (out, (&a, &b)) in split_mut(out, to).1.iter_mut().zip(operands) {
        f(out, right, a, b);
    }
}

/// `out(y, x) = map(y + dy, x + dx)` for every plane, borders repeated.
pub(super) fn shift<F: Real>(out: &mut [F], map: &[F], shape: Shape, dy: isize, dx: isize) {
    let (h, w) = (shape.h, shape.w);
    if out.is_empty() {
        return;
    }
    let (from, to) = inside(w, dx);
    for (out, plane) in out.chunks_exact_mut(h * w).zip(map.chunks_exact(h * w)) {
        for (y, out) in out.chunks_exact_mut(w).enumerate() {
            let row = &plane[clamped(y, dy, h) * w..][..w];
            out[..from].fill(row[0]);
            if from < to {
                out[from..to].copy_from_slice(&row[from.saturating_add_signed(dx)..][..to - from]);
            }
            out[to..].fill(row[w - 1]);
        }
    }
}

/// Two neighbouring source positions and the share of the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap<F> {
    pub(super) low: usize,
    pub(super) high: usize,
    pub(super) share: F,
}

impl<F: Real> Tap<F> {
    /// The tap of output position `index`, as PyTorch's `F.interpolate(mode="bilinear")` places it.
    pub(super) fn new(index: usize, from: usize, to: usize, corners: Corners) -> Self {
        // Positions in f64 whatever the element: a position's rounding error is multiplied by the map's contrast.
        let position = match corners {
            Corners::Aligned if to > 1 => index as f64 * ((from - 1) as f64 / (to - 1) as f64),
            Corners::Aligned => 0.0,
            Corners::HalfPixel => ((index as f64 + 0.5) * (from as f64 / to as f64) - 0.5).max(0.0),
        };
        // Truncation is the floor of a position that is not negative.
        let low = (position as usize).min(from - 1);
        let share = if low + 1 < from { position - low as f64 } else { 0.0 };
        Self { low, high: (low + 1).min(from - 1), share: F::from_f64(share) }
    }

    #[inline(always)]
    pub(super) fn mix(self, low: F, high: F) -> F {
        low * (F::ONE - self.share) + high * self.share
    }
}

/// Columns `taps` of a resized row, between two rows of the map.
#[inline]
pub(super) fn resize_row<F: Real>(out: &mut [F], map: &[F], width: usize, row: Tap<F>, taps: &[Tap<F>]) {
    let upper = part(map, row.low * width..(row.low + 1) * width);
    let lower = part(map, row.high * width..(row.high + 1) * width);
    for (out, tap) in out.iter_mut().zip(taps) {
        let (above, below) = ((at(upper, tap.low), at(upper, tap.high)), (at(lower, tap.low), at(lower, tap.high)));
        *out = row.mix(tap.mix(above.0, above.1), tap.mix(below.0, below.1));
    }
}

/// Columns whose taps are held at a time.
const CHUNK: usize = 32;

/// Bilinear resize of every plane; no extent is 0.
pub(super) fn resize<F: Real>(out: &mut [F], map: &[F], from: Shape, to: Shape, corners: Corners) {
    if (from.h, from.w) == (to.h, to.w) {
        copy(out, map);
        return;
    }
    for first in (0..to.w).step_by(CHUNK) {
        let columns = CHUNK.min(to.w - first);
        let taps: [Tap<F>; CHUNK] = core::array::from_fn(|x| Tap::new(first + x, from.w, to.w, corners));
        for (out, plane) in rows_mut(out, to.h * to.w).zip(rows(map, from.h * from.w)) {
            for (y, out) in rows_mut(out, to.w).enumerate() {
                let row = Tap::new(y, from.h, to.h, corners);
                resize_row(part_mut(out, first..first + columns), plane, from.w, row, &taps);
            }
        }
    }
}
