//! The inner loop of all convolutions: a tile of sums in registers.

use pulp::Simd;

use super::super::lanes::Lanes;

/// Calls `$body` with the constants `R` and `V`: outputs and vectors of a tile, as large as the registers allow.
///
/// Accumulators, a row of inputs and the weight in use must leave a register free: a compiler short of one keeps a sum
/// in memory, and every step then waits for the last one's store.
macro_rules! with_tile {
    ($simd:ident, $r:ident, $v:ident => $body:expr) => {
        if $simd::REGISTER_COUNT >= 32 {
            const $r: usize = 8;
            const $v: usize = 3;
            $body
        } else {
            const $r: usize = 6;
            const $v: usize = 2;
            $body
        }
    };
}
pub(super) use with_tile;

/// Sums of `R` outputs over `V` vectors of pixels:
/// `sums[r][v] (+)= sum over k of a[k][r] * b[offsets[k] + v * apart]`.
///
/// # Safety
/// `a` must hold `R` elements for each offset; `V` whole vectors, `apart` elements from start to start (or, if `valid`
/// is less than a vector and `V` is 1, `valid` elements), must be readable at `b` plus every offset; `sums` must hold
/// `R` rows, `width` apart, of `V` vectors.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an inner loop: everything in registers")]
pub(super) unsafe fn tile<T: Lanes, S: Simd, const R: usize, const V: usize>(
    simd: S,
    a: *const T,
    offsets: &[usize],
    b: *const T,
    apart: usize,
    valid: usize,
    sums: *mut T,
    width: usize,
    fresh: bool,
) {
    let lanes = T::lanes::<S>();
    let mut totals = [[T::splat(simd, T::zero()); V]; R];
    let mut a = a;
    for &offset in offsets {
        // SAFETY: the caller's promise on `b` and `a`.
        unsafe {
            let b = b.add(offset);
            let mut inputs = [T::splat(simd, T::zero()); V];
            for (v, input) in inputs.iter_mut().enumerate() {
                *input = match valid == lanes {
                    true => T::load::<S>(b.add(v * apart)),
                    false => T::load_some(simd, std::slice::from_raw_parts(b, valid)),
                };
            }
            for (r, totals) in totals.iter_mut().enumerate() {
                let weight = T::splat(simd, *a.add(r));
                for (total, &input) in totals.iter_mut().zip(&inputs) {
                    *total = T::mul_add(simd, weight, input, *total);
                }
            }
            a = a.add(R);
        }
    }
    for (r, totals) in totals.iter().enumerate() {
        for (v, &total) in totals.iter().enumerate() {
            // SAFETY: the caller's promise on `sums`.
            unsafe {
                let sum = sums.add(r * width + v * lanes);
                let total = if fresh { total } else { T::plus(simd, T::load::<S>(sum), total) };
                T::store::<S>(sum, total);
            }
        }
    }
}
