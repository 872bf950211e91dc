//! Outputs of one channel as sums over its framed input: the forward pass.

use std::mem::MaybeUninit;

use pulp::Simd;

use super::{
    super::lanes::Lanes,
    plan::{Band, Tap, VECTOR, Way},
};

/// Writes `bias + sum over taps t of kernel(t) * framed(p + offset(t))` to every output, cut at 0 if `rectified`.
/// `line` is room for the sums of a row.
#[inline(always)]
pub(super) fn gather<T: Lanes, S: Simd>(
    simd: S,
    way: &Way,
    framed: &[T],
    kernel: &[T],
    (bias, rectified): (T, bool),
    line: &mut [T],
    y: &mut [MaybeUninit<T>],
) {
    assert!(y.len() == way.size.0 * way.size.1 && line.len() >= way.width.next_multiple_of(VECTOR));
    for band in &way.bands {
        let last = band.taps.iter().map(|tap| tap.offset).max().unwrap_or_default();
        let end = last + (band.rows - 1) * band.pitch + way.width.next_multiple_of(VECTOR);
        assert!(band.taps.is_empty() || end <= framed.len());
        let mut rows = Rows { simd, way, band, framed, kernel, bias, rectified, line, y };
        // SAFETY: the assertions above are what the rows rely on.
        unsafe {
            match band.taps.len() {
                9 => rows.of_few::<9>(),
                6 => rows.of_few::<6>(),
                3 => rows.of_few::<3>(),
                _ => rows.of_any(),
            }
        }
    }
}

/// The rows of a band.
struct Rows<'a, T, S> {
    simd: S,
    way: &'a Way,
    band: &'a Band,
    framed: &'a [T],
    kernel: &'a [T],
    bias: T,
    rectified: bool,
    line: &'a mut [T],
    y: &'a mut [MaybeUninit<T>],
}

impl<T: Lanes, S: Simd> Rows<'_, T, S> {
    /// `N` taps, whose weights stay in registers.
    ///
    /// # Safety
    /// A row of whole vectors from every tap on must be in the frame, and there must be `N` taps.
    #[inline(always)]
    unsafe fn of_few<const N: usize>(&mut self) {
        let (simd, lanes) = (self.simd, T::lanes::<S>());
        let taps: [Tap; N] = std::array::from_fn(|index| self.band.taps[index]);
        let mut weights = [T::splat(simd, T::zero()); N];
        for (weight, tap) in weights.iter_mut().zip(&taps) {
            *weight = T::splat(simd, self.kernel[tap.weight]);
        }
        for row in 0..self.band.rows {
            // SAFETY: the caller's promise.
            unsafe {
                let row_start = self.framed.as_ptr().add(row * self.band.pitch);
                let mut inputs = [row_start; N];
                for (input, tap) in inputs.iter_mut().zip(&taps) {
                    *input = input.add(tap.offset);
                }
                let mut at = 0;
                // Three vectors at once, for the processor to have sums that do not wait for each other.
                while at + 3 * lanes <= self.way.width {
                    self.strip::<N, 3>(row, at, &inputs, &weights);
                    at += 3 * lanes;
                }
                match (self.way.width - at).div_ceil(lanes) {
                    0 => {}
                    1 => self.strip::<N, 1>(row, at, &inputs, &weights),
                    2 => self.strip::<N, 2>(row, at, &inputs, &weights),
                    _ => self.strip::<N, 3>(row, at, &inputs, &weights),
                }
            }
            self.keep(row);
        }
    }

    /// `V` vectors of sums from column `at` on.
    ///
    /// # Safety
    /// `V` whole vectors from column `at` on must be readable at every input.
    #[inline(always)]
    unsafe fn strip<const N: usize, const V: usize>(
        &mut self,
        row: usize,
        at: usize,
        inputs: &[*const T; N],
        weights: &[T::Vector<S>; N],
    ) {
        let (simd, lanes) = (self.simd, T::lanes::<S>());
        let mut starts = [at; V];
        for (v, start) in starts.iter_mut().enumerate() {
            *start = self.start(at + v * lanes);
        }
        let mut sums = [T::splat(simd, self.bias); V];
        for (&input, &weight) in inputs.iter().zip(weights) {
            for (sum, &start) in sums.iter_mut().zip(&starts) {
                // SAFETY: the caller's promise; no start is behind its vector's column.
                *sum = T::mul_add(simd, weight, unsafe { T::load::<S>(input.add(start)) }, *sum);
            }
        }
        for (&sum, &start) in sums.iter().zip(&starts) {
            self.put(row, start, sum);
        }
    }

    /// Where the vector that would begin at a column begins: the last one of a row ends with it, and computes some sums
    /// for the second time rather than store a part of a vector.
    #[inline(always)]
    fn start(&self, at: usize) -> usize {
        let (lanes, width) = (T::lanes::<S>(), self.way.width);
        if at + lanes > width && width >= lanes { width - lanes } else { at }
    }

    /// Any number of taps.
    ///
    /// # Safety
    /// A row of whole vectors from every tap on must be in the frame.
    #[inline(always)]
    unsafe fn of_any(&mut self) {
        let (simd, lanes) = (self.simd, T::lanes::<S>());
        let bias = T::splat(simd, self.bias);
        for row in 0..self.band.rows {
            let mut at = 0;
            while at < self.way.width {
                let mut sum = bias;
                let start = self.start(at);
                for tap in &self.band.taps {
                    // SAFETY: the caller's promise.
                    let input = unsafe { self.framed.as_ptr().add(tap.offset + row * self.band.pitch + start) };
                    let weight = T::splat(simd, self.kernel[tap.weight]);
                    sum = T::mul_add(simd, weight, unsafe { T::load::<S>(input) }, sum);
                }
                self.put(row, start, sum);
                at += lanes;
            }
            self.keep(row);
        }
    }

    /// Stores a vector of sums: in its row of the output, or in the line where not all of them are kept.
    #[inline(always)]
    fn put(&mut self, row: usize, at: usize, sum: T::Vector<S>) {
        let sum = if self.rectified { T::rectify(self.simd, sum) } else { sum };
        let lanes = T::lanes::<S>();
        if self.way.keep != 1 {
            debug_assert!(at + lanes <= self.line.len());
            // SAFETY: the line has room for whole vectors.
            return unsafe { T::store::<S>(self.line.as_mut_ptr().add(at), sum) };
        }
        let columns = self.way.size.1;
        let start = (self.band.first + row * self.band.step) * columns + at;
        let count = lanes.min(columns - at);
        debug_assert!(start + count <= self.y.len());
        // SAFETY: `count` elements from `start` on are inside the output row, and these are only written.
        unsafe {
            let to = self.y.as_mut_ptr().add(start).cast::<T>();
            match count == lanes {
                true => T::store::<S>(to, sum),
                false => T::store_some(self.simd, std::slice::from_raw_parts_mut(to, count), sum),
            }
        }
    }

    /// Moves the sums that are outputs from the line to their row.
    #[inline(always)]
    fn keep(&mut self, row: usize) {
        if self.way.keep != 1 {
            let columns = self.way.size.1;
            let y = &mut self.y[(self.band.first + row * self.band.step) * columns..][..columns];
            for (y, &sum) in y.iter_mut().zip(self.line.iter().step_by(self.way.keep)) {
                y.write(sum);
            }
        }
    }
}
