//! `Tensor` for the arena: one loop an operation, no overrides.

use super::{ArenaError, ArenaTensor, Real, sample, sum};
use crate::{Axes, Corners, Shape, ShapeError, Tensor};

/// `f(lhs, rhs)` for each pixel of a row, an operand of one element standing for the whole row.
#[inline]
fn zip_row<F: Real>(out: &mut [F], lhs: &[F], rhs: &[F], f: impl Fn(F, F) -> F) {
    match (lhs, rhs) {
        (&[l], &[r]) => out.fill(f(l, r)),
        (lhs, &[r]) => out.iter_mut().zip(lhs).for_each(|(out, &l)| *out = f(l, r)),
        (&[l], rhs) => out.iter_mut().zip(rhs).for_each(|(out, &r)| *out = f(l, r)),
        (lhs, rhs) => out.iter_mut().zip(lhs).zip(rhs).for_each(|((out, &l), &r)| *out = f(l, r)),
    }
}

/// Memory distance between neighbours along batch, channel and row: 0 where `shape` repeats.
fn strides(shape: Shape) -> [usize; 3] {
    let plane = shape.h * shape.w;
    let stride = |extent, step| if extent == 1 { 0 } else { step };
    [stride(shape.n, shape.c * plane), stride(shape.c, plane), stride(shape.h, shape.w)]
}

/// `f` over two broadcast operands.
fn zip<F: Real>(out: &mut [F], shape: Shape, lhs: (&[F], Shape), rhs: (&[F], Shape), f: impl Fn(F, F) -> F + Copy) {
    if out.is_empty() {
        return;
    }
    let whole = |from: Shape| from == shape || from == Shape::SCALAR;
    if whole(lhs.1) && whole(rhs.1) {
        return zip_row(out, lhs.0, rhs.0, f);
    }
    // Planes that are whole or one element run as one long row.
    let plain = |from: Shape| (from.h, from.w) == (shape.h, shape.w) || (from.h, from.w) == (1, 1);
    let (h, w) = if plain(lhs.1) && plain(rhs.1) { (1, shape.h * shape.w) } else { (shape.h, shape.w) };
    let row_of = |from: Shape| if h == 1 && from.h == shape.h && from.w == shape.w { w } else { from.w };
    let (lhs_row, rhs_row) = (row_of(lhs.1), row_of(rhs.1));
    let (lhs_step, rhs_step) = (strides(lhs.1), strides(rhs.1));
    let mut rows = out.chunks_exact_mut(w);
    for n in 0..shape.n {
        for c in 0..shape.c {
            for y in 0..h {
                let Some(out) = rows.next() else { return };
                let at = |step: [usize; 3]| n * step[0] + c * step[1] + y * step[2];
                zip_row(out, &lhs.0[at(lhs_step)..][..lhs_row], &rhs.0[at(rhs_step)..][..rhs_row], f);
            }
        }
    }
}

impl<'a, 'm, F: Real> ArenaTensor<'a, 'm, F> {
    fn map(&self, f: impl Fn(F) -> F) -> Result<Self, ArenaError> {
        self.arena.produce(self.shape, 0, [self], |out, _, [values]| {
            out.iter_mut().zip(values).for_each(|(out, &value)| *out = f(value));
        })
    }

    fn zip(&self, rhs: &Self, f: impl Fn(F, F) -> F + Copy) -> Result<Self, ArenaError> {
        let shape = self.shape.broadcast(rhs.shape)?;
        self.arena.produce(shape, 0, [self, rhs], |out, _, [left, right]| {
            zip(out, shape, (left, self.shape), (right, rhs.shape), f);
        })
    }
}

impl<F: Real> Tensor for ArenaTensor<'_, '_, F> {
    type Error = ArenaError;

    fn shape(&self) -> Shape {
        self.shape
    }

    fn fill(&self, shape: Shape, value: f64) -> Result<Self, ArenaError> {
        self.arena.produce(shape, 0, [], |out, _, []| out.fill(F::from_f64(value)))
    }

    fn affine(&self, mul: f64, add: f64) -> Result<Self, ArenaError> {
        let (mul, add) = (F::from_f64(mul), F::from_f64(add));
        self.map(|value| mul * value + add)
    }

    fn add(&self, rhs: &Self) -> Result<Self, ArenaError> {
        self.zip(rhs, |l, r| l + r)
    }

    fn sub(&self, rhs: &Self) -> Result<Self, ArenaError> {
        self.zip(rhs, |l, r| l - r)
    }

    fn mul(&self, rhs: &Self) -> Result<Self, ArenaError> {
        self.zip(rhs, |l, r| l * r)
    }

    fn div(&self, rhs: &Self) -> Result<Self, ArenaError> {
        self.zip(rhs, |l, r| l / r)
    }

    fn maximum(&self, rhs: &Self) -> Result<Self, ArenaError> {
        self.zip(rhs, F::larger)
    }

    fn gt(&self, rhs: &Self) -> Result<Self, ArenaError> {
        self.zip(rhs, |l, r| if l > r { F::ONE } else { F::ZERO })
    }

    fn exp(&self) -> Result<Self, ArenaError> {
        self.map(F::exp)
    }

    fn ln(&self) -> Result<Self, ArenaError> {
        self.map(F::ln)
    }

    fn sqrt(&self) -> Result<Self, ArenaError> {
        self.map(F::sqrt)
    }

    fn abs(&self) -> Result<Self, ArenaError> {
        self.map(F::abs)
    }

    fn powf(&self, exponent: f64) -> Result<Self, ArenaError> {
        let exponent = F::from_f64(exponent);
        self.map(|value| value.powf(exponent))
    }

    fn sum(&self, axes: Axes) -> Result<Self, ArenaError> {
        let (rows, inner) = reduction(self.shape, axes);
        self.arena.produce(self.shape.reduced(axes), 0, [self], |out, _, [values]| {
            sum::sum_rows(out, values, rows, inner);
        })
    }

    fn max(&self, axes: Axes) -> Result<Self, ArenaError> {
        let (rows, inner) = reduction(self.shape, axes);
        let reduced = self.shape.reduced(axes);
        if rows == 0 {
            // The largest of no elements does not exist.
            return Err(ShapeError { lhs: self.shape, rhs: reduced }.into());
        }
        self.arena.produce(reduced, 0, [self], |out, _, [values]| {
            out.fill(F::NEG_INFINITY);
            if inner == 0 {
                return;
            }
            if inner == 1 {
                return out.iter_mut().zip(values.chunks_exact(rows)).for_each(|(out, row)| *out = largest(row));
            }
            for (out, block) in out.chunks_exact_mut(inner).zip(values.chunks_exact(rows * inner)) {
                for row in block.chunks_exact(inner) {
                    out.iter_mut().zip(row).for_each(|(out, &value)| *out = out.larger(value));
                }
            }
        })
    }

    fn shift(&self, dy: isize, dx: isize) -> Result<Self, ArenaError> {
        let shape = self.shape;
        self.arena.produce(shape, 0, [self], |out, _, [map]| sample::shift(out, map, shape, dy, dx))
    }

    fn mirror(&self) -> Result<Self, ArenaError> {
        let width = self.shape.w.max(1);
        self.arena.produce(self.shape, 0, [self], |out, _, [map]| {
            for (out, row) in out.chunks_exact_mut(width).zip(map.chunks_exact(width)) {
                out.iter_mut().zip(row.iter().rev()).for_each(|(out, &value)| *out = value);
            }
        })
    }

    fn resize(&self, h: usize, w: usize, corners: Corners) -> Result<Self, ArenaError> {
        let (from, to) = (self.shape, self.shape.with_size(h, w));
        if from.h == 0 || from.w == 0 || h == 0 || w == 0 {
            return Err(ShapeError { lhs: from, rhs: to }.into());
        }
        self.arena.produce(to, 0, [self], |out, _, [map]| sample::resize(out, map, from, to, corners))
    }

    fn cat_channels(&self, rhs: &Self) -> Result<Self, ArenaError> {
        let (left, right) = (self.shape, rhs.shape);
        if left.with_channels(0) != right.with_channels(0) {
            return Err(ShapeError { lhs: left, rhs: right }.into());
        }
        let shape = left.with_channels(left.c.saturating_add(right.c));
        let (left, right) = (left.c * left.h * left.w, right.c * right.h * right.w);
        self.arena.produce(shape, 0, [self, rhs], |out, _, [first, second]| {
            for (n, out) in out.chunks_exact_mut((left + right).max(1)).enumerate() {
                let (head, tail) = out.split_at_mut(left);
                head.copy_from_slice(&first[n * left..][..left]);
                tail.copy_from_slice(&second[n * right..][..right]);
            }
        })
    }

    fn narrow_channels(&self, start: usize, len: usize) -> Result<Self, ArenaError> {
        let shape = self.shape;
        let to = shape.with_channels(len);
        if start.checked_add(len).is_none_or(|end| end > shape.c) {
            return Err(ShapeError { lhs: shape, rhs: to }.into());
        }
        let plane = shape.h * shape.w;
        self.arena.produce(to, 0, [self], |out, _, [values]| {
            for (n, out) in out.chunks_exact_mut((len * plane).max(1)).enumerate() {
                out.copy_from_slice(&values[(n * shape.c + start) * plane..][..len * plane]);
            }
        })
    }

    fn detach(&self) -> Self {
        self.clone()
    }
}

/// Largest element of a slice, found in lanes that vectorise.
pub(super) fn largest<F: Real>(values: &[F]) -> F {
    let mut lanes = [F::NEG_INFINITY; 8];
    let chunks = values.chunks_exact(lanes.len());
    let rest = chunks.remainder().iter().fold(F::NEG_INFINITY, |peak, &value| peak.larger(value));
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &value)| *lane = lane.larger(value));
    }
    lanes.into_iter().fold(rest, F::larger)
}

/// A reduction as one over the middle of `[outer, rows, inner]`: `(rows, inner)`.
fn reduction(shape: Shape, axes: Axes) -> (usize, usize) {
    match axes {
        Axes::Batch => (shape.n, shape.c * shape.h * shape.w),
        Axes::Channel => (shape.c, shape.h * shape.w),
        Axes::Spatial => (shape.h * shape.w, 1),
    }
}
