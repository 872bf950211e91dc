//! Gradients of one channel's input and kernel: each vector of output gradients is read once for both.
//!
//! With `dy(p + offset(t))` what an input p gives to an output through tap t, the input's gradient is the sum of
//! `kernel(t) * dy(p + offset(t))` over the taps, and the tap's that of `x(p) * dy(p + offset(t))` over the inputs.

use std::mem::MaybeUninit;

use pulp::Simd;

use super::{
    super::lanes::Lanes,
    plan::{Band, Frame, Tap, VECTOR, Way},
};

/// One channel of one image.
pub(super) struct Channel<'a, T> {
    pub kernel: &'a [T],
    /// The framed output gradient.
    pub gradients: &'a [T],
    pub x: &'a [T],
    /// Whether the input is cut at 0.
    pub rectified: bool,
}

impl<T: Lanes> Channel<'_, T> {
    /// Writes the gradient of every input, and with `WEIGHTS` adds those of weights, still a vector each, to `totals`.
    #[inline(always)]
    pub(super) fn differentiate<S: Simd, const WEIGHTS: bool>(
        &self,
        simd: S,
        way: &Way,
        dx: &mut [MaybeUninit<T>],
        totals: &mut [T],
    ) {
        let (rows, columns) = way.size;
        assert!(self.x.len() == rows * columns && dx.len() == rows * columns);
        assert!(!WEIGHTS || totals.len() >= self.kernel.len() * T::lanes::<S>());
        for band in &way.bands {
            let last = band.taps.iter().map(|tap| tap.offset).max().unwrap_or_default();
            let end = last + (band.rows - 1) * band.pitch + columns.next_multiple_of(VECTOR);
            assert!(band.taps.is_empty() || end <= self.gradients.len());
            let mut rows = Rows { simd, channel: self, band, columns, dx, totals };
            // SAFETY: the assertions above are what the rows rely on.
            unsafe { rows.all::<WEIGHTS>() };
        }
    }
}

/// The rows of a band.
struct Rows<'a, T, S> {
    simd: S,
    channel: &'a Channel<'a, T>,
    band: &'a Band,
    columns: usize,
    dx: &'a mut [MaybeUninit<T>],
    totals: &'a mut [T],
}

impl<T: Lanes, S: Simd> Rows<'_, T, S> {
    /// Taps in groups that registers have room for.
    ///
    /// # Safety
    /// A row of whole vectors from every tap on must be in the frame, and `totals` have a vector for each weight.
    #[inline(always)]
    unsafe fn all<const WEIGHTS: bool>(&mut self) {
        let (mut taps, mut onto) = (self.band.taps.as_slice(), false);
        loop {
            // SAFETY: the caller's promise.
            let taken = unsafe {
                match taps.len() {
                    9.. => self.group::<9, WEIGHTS>(taps, onto),
                    6.. => self.group::<6, WEIGHTS>(taps, onto),
                    3.. => self.group::<3, WEIGHTS>(taps, onto),
                    1.. => self.group::<1, WEIGHTS>(taps, onto),
                    // No output saw these inputs.
                    0 => self.group::<0, false>(taps, onto),
                }
            };
            (taps, onto) = (&taps[taken..], true);
            if taps.is_empty() {
                return;
            }
        }
    }

    /// The first `N` taps; says how many these were. With `onto`, what they give to the inputs is added to what is there.
    ///
    /// # Safety
    /// As [`all`](Self::all), with at least `N` taps, and `dx` written before if `onto`.
    #[inline(always)]
    unsafe fn group<const N: usize, const WEIGHTS: bool>(&mut self, taps: &[Tap], onto: bool) -> usize {
        let (simd, lanes, columns) = (self.simd, T::lanes::<S>(), self.columns);
        let Channel { kernel, gradients, x, rectified } = *self.channel;
        let taps: [Tap; N] = std::array::from_fn(|index| taps[index]);
        let zero = T::splat(simd, T::zero());
        let (mut weights, mut totals) = ([zero; N], [zero; N]);
        for ((weight, total), tap) in weights.iter_mut().zip(&mut totals).zip(&taps) {
            *weight = T::splat(simd, kernel[tap.weight]);
            if WEIGHTS {
                // SAFETY: the caller's promise.
                *total = unsafe { T::load::<S>(self.totals.as_ptr().add(tap.weight * lanes)) };
            }
        }
        for row in 0..self.band.rows {
            let start = (self.band.first + row * self.band.step) * columns;
            let (x, dx) = (&x[start..][..columns], &mut self.dx[start..][..columns]);
            let mut sources = [gradients.as_ptr(); N];
            for (source, tap) in sources.iter_mut().zip(&taps) {
                // SAFETY: the caller's promise.
                *source = unsafe { source.add(tap.offset + row * self.band.pitch) };
            }
            let mut at = 0;
            while at < columns {
                let count = lanes.min(columns - at);
                let whole = count == lanes;
                // SAFETY: `count` elements from `at` on are inside the row; the sources are the caller's promise.
                unsafe {
                    let to = dx.as_mut_ptr().add(at).cast::<T>();
                    let value = match whole {
                        true => T::load::<S>(x.as_ptr().add(at)),
                        // Zeros behind the row: what the sources have there does not count.
                        false => T::load_some(simd, &x[at..]),
                    };
                    let seen = if rectified { T::rectify(simd, value) } else { value };
                    let mut sum = match (onto, whole) {
                        (false, _) => zero,
                        (true, true) => T::load::<S>(to),
                        (true, false) => T::load_some(simd, std::slice::from_raw_parts(to, count)),
                    };
                    for ((total, &weight), source) in totals.iter_mut().zip(&weights).zip(&sources) {
                        let gradient = T::load::<S>(source.add(at));
                        sum = T::mul_add(simd, weight, gradient, sum);
                        if WEIGHTS {
                            *total = T::mul_add(simd, seen, gradient, *total);
                        }
                    }
                    let sum = if rectified { T::pass(simd, value, sum) } else { sum };
                    match whole {
                        true => T::store::<S>(to, sum),
                        false => T::store_some(simd, std::slice::from_raw_parts_mut(to, count), sum),
                    }
                }
                at += lanes;
            }
        }
        if WEIGHTS {
            for (total, tap) in totals.into_iter().zip(&taps) {
                // SAFETY: the caller's promise.
                unsafe { T::store::<S>(self.totals.as_mut_ptr().add(tap.weight * lanes), total) };
            }
        }
        N
    }
}

/// The sum of all outputs' gradients.
#[inline(always)]
pub(super) fn total<T: Lanes, S: Simd>(simd: S, frame: &Frame, gradients: &[T]) -> T {
    let lanes = T::lanes::<S>();
    let width = ((frame.map.1 - 1) * frame.spread + 1).next_multiple_of(lanes);
    let mut sum = T::splat(simd, T::zero());
    for row in 0..frame.map.0 {
        let row = &gradients[frame.left + row * frame.pitch..][..width];
        for vector in row.chunks_exact(lanes) {
            // SAFETY: a chunk is a whole vector.
            sum = T::plus(simd, sum, unsafe { T::load::<S>(vector.as_ptr()) });
        }
    }
    T::sum(simd, sum)
}
