//! Sums whose error grows with the logarithm of their length: pairwise, in lanes that vectorise.

use super::{Real, part::split};

/// Neighbouring columns that are added side by side.
const LANES: usize = 8;

/// Rows that are added one after the other before halves are paired.
const RUN: usize = 16;

/// Sum of `L` neighbouring columns over `rows` rows, `stride` apart.
fn columns<F: Real, const L: usize>(data: &[F], stride: usize, rows: usize) -> [F; L] {
    if rows <= RUN {
        let mut total = [F::ZERO; L];
        for row in data.chunks(stride.max(1)).take(rows) {
            total.iter_mut().zip(row).for_each(|(total, &value)| *total += value);
        }
        return total;
    }
    // A multiple of RUN, so that only the last run is short.
    let half = (rows / 2).next_multiple_of(RUN);
    let mut total = columns::<F, L>(data, stride, half);
    let rest = columns::<F, L>(split(data, half * stride).1, stride, rows - half);
    total.iter_mut().zip(rest).for_each(|(total, value)| *total += value);
    total
}

/// Sum of a slice.
pub(super) fn sum<F: Real>(values: &[F]) -> F {
    let rows = values.len() / LANES;
    let (lanes, rest) = split(values, rows * LANES);
    let total = columns::<F, LANES>(lanes, LANES, rows);
    let rest = rest.iter().fold(F::ZERO, |total, &value| total + value);
    pair(&total) + rest
}

/// Sum of `f` over pairs of elements of two slices of one length.
pub(super) fn sum_with<F: Real>(lhs: &[F], rhs: &[F], f: impl Fn(F, F) -> F + Copy) -> F {
    if lhs.len() <= RUN * LANES {
        let mut total = [F::ZERO; LANES];
        let (lhs, rhs) = (lhs.chunks_exact(LANES), rhs.chunks_exact(LANES));
        let rest = lhs.remainder().iter().zip(rhs.remainder()).fold(F::ZERO, |total, (&l, &r)| total + f(l, r));
        for (lhs, rhs) in lhs.zip(rhs) {
            for ((total, &l), &r) in total.iter_mut().zip(lhs).zip(rhs) {
                *total += f(l, r);
            }
        }
        return pair(&total) + rest;
    }
    let half = (lhs.len() / 2).next_multiple_of(RUN * LANES);
    let ((lhs, more_lhs), (rhs, more_rhs)) = (split(lhs, half), split(rhs, half));
    sum_with(lhs, rhs, f) + sum_with(more_lhs, more_rhs, f)
}

fn pair<F: Real>(lanes: &[F]) -> F {
    match lanes {
        [] => F::ZERO,
        [one] => *one,
        _ => {
            let (left, right) = lanes.split_at(lanes.len() / 2);
            pair(left) + pair(right)
        }
    }
}

/// Sums over the middle extent of `[outer, rows, inner]`, into `[outer, inner]`.
pub(super) fn sum_rows<F: Real>(out: &mut [F], data: &[F], rows: usize, inner: usize) {
    if inner == 0 || rows == 0 {
        out.fill(F::ZERO);
        return;
    }
    if inner == 1 {
        out.iter_mut().zip(data.chunks_exact(rows)).for_each(|(out, row)| *out = sum(row));
        return;
    }
    for (out, block) in out.chunks_exact_mut(inner).zip(data.chunks_exact(rows * inner)) {
        let mut lanes = out.chunks_exact_mut(LANES);
        let mut column = 0;
        for lane in &mut lanes {
            lane.copy_from_slice(&columns::<F, LANES>(&block[column..], inner, rows));
            column += LANES;
        }
        for out in lanes.into_remainder() {
            let [total] = columns::<F, 1>(&block[column..], inner, rows);
            *out = total;
            column += 1;
        }
    }
}
