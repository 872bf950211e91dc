//! The gradient of one channel's kernel: its framed input times its framed output gradient, shifted by every tap.

use pulp::Simd;

use super::{
    super::lanes::Lanes,
    plan::{Band, Frame, Tap, VECTOR, Way},
};

/// Writes `sum over outputs p of dy(p) * framed(p + offset(t))` for every tap `t` to its place in `sums`, and 0 for
/// those that see nothing. `gradients` is the framed output gradient, `spread` its frame.
#[inline(always)]
pub(super) fn correlate<T: Lanes, S: Simd>(
    simd: S,
    way: &Way,
    framed: &[T],
    (spread, gradients): (&Frame, &[T]),
    sums: &mut [T],
) {
    sums.fill(T::zero());
    let width = way.width.next_multiple_of(VECTOR);
    for band in way.bands.iter().filter(|band| !band.taps.is_empty()) {
        let last = band.taps.iter().map(|tap| tap.offset).max().unwrap_or_default();
        assert!(last + (band.rows - 1) * band.pitch + width <= framed.len());
        assert!(spread.left + (band.first + band.rows - 1) * spread.pitch + width <= gradients.len());
        let mut taps = band.taps.as_slice();
        while let Some(&first) = taps.first() {
            let rows = Rows { simd, width: way.width, band, framed, spread, gradients };
            // SAFETY: the assertions above are what the rows rely on.
            let taken = unsafe {
                match taps.len() {
                    9.. => rows.products::<9>(taps, sums),
                    6.. => rows.products::<6>(taps, sums),
                    3.. => rows.products::<3>(taps, sums),
                    _ => rows.products::<1>(&[first], sums),
                }
            };
            taps = &taps[taken..];
        }
    }
}

/// The sum of all outputs' gradients.
#[inline(always)]
pub(super) fn total<T: Lanes, S: Simd>(simd: S, spread: &Frame, gradients: &[T]) -> T {
    let lanes = T::lanes::<S>();
    let width = ((spread.map.1 - 1) * spread.spread + 1).next_multiple_of(lanes);
    let mut sum = T::splat(simd, T::zero());
    for row in 0..spread.map.0 {
        let row = &gradients[spread.left + row * spread.pitch..][..width];
        for vector in row.chunks_exact(lanes) {
            // SAFETY: a chunk is a whole vector.
            sum = T::plus(simd, sum, unsafe { T::load::<S>(vector.as_ptr()) });
        }
    }
    T::sum(simd, sum)
}

/// The rows of a band.
struct Rows<'a, T, S> {
    simd: S,
    width: usize,
    band: &'a Band,
    framed: &'a [T],
    spread: &'a Frame,
    gradients: &'a [T],
}

impl<T: Lanes, S: Simd> Rows<'_, T, S> {
    /// Adds the products of the first `N` taps to their sums; says how many taps these were.
    ///
    /// # Safety
    /// A row of whole vectors from every tap on must be in the frame, and of every output row in that of the gradients.
    #[inline(always)]
    unsafe fn products<const N: usize>(&self, taps: &[Tap], sums: &mut [T]) -> usize {
        let (simd, lanes) = (self.simd, T::lanes::<S>());
        let taps: [Tap; N] = std::array::from_fn(|index| taps[index]);
        let mut totals = [T::splat(simd, T::zero()); N];
        for row in 0..self.band.rows {
            let output = self.band.first + row * self.band.step;
            // SAFETY: the caller's promise. Beyond the last output of a row the gradients are 0.
            unsafe {
                let gradients = self.gradients.as_ptr().add(self.spread.left + output * self.spread.pitch);
                let mut inputs = [self.framed.as_ptr().add(row * self.band.pitch); N];
                for (input, tap) in inputs.iter_mut().zip(&taps) {
                    *input = input.add(tap.offset);
                }
                let mut at = 0;
                while at < self.width {
                    let gradient = T::load::<S>(gradients.add(at));
                    for (total, input) in totals.iter_mut().zip(&inputs) {
                        *total = T::mul_add(simd, gradient, T::load::<S>(input.add(at)), *total);
                    }
                    at += lanes;
                }
            }
        }
        for (total, tap) in totals.into_iter().zip(&taps) {
            sums[tap.weight] += T::sum(simd, total);
        }
        N
    }
}
