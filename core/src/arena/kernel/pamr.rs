//! PAMR, row by row: weights of one offset for one row, used for every channel before the next.
//!
//! Two variants with the same result, bit by bit. [`pamr_stored`](ArenaTensor::pamr_stored) computes the weights once
//! and keeps `P` maps of them; [`pamr_streamed`](ArenaTensor::pamr_streamed) computes them again in every iteration.

use super::super::{
    ArenaError, ArenaTensor, Real,
    part::{copy, part, part_mut, rows, rows_mut, split_mut},
    sample::{clamped, resize, zip_shifted},
};
use crate::{
    Corners, Shape, ShapeError, Tensor,
    pamr::{self, Pamr},
};

/// Scratch elements of [`pamr_streamed`](ArenaTensor::pamr_streamed) for masks of `c` channels and an image
/// `[n, k, h, w]`: `(c + k + 2) h w + w`, whatever the batch and the number of offsets.
#[must_use]
pub const fn pamr_streamed_scratch(masks: Shape, image: Shape) -> usize {
    let maps = masks.c.saturating_add(image.c).saturating_add(2);
    maps.saturating_mul(image.h.saturating_mul(image.w)).saturating_add(image.w)
}

/// Scratch elements of [`pamr_stored`](ArenaTensor::pamr_stored): those of the streamed variant and a map of weights
/// for each of the `P` offsets.
#[must_use]
pub fn pamr_stored_scratch(masks: Shape, image: Shape, pamr: &Pamr) -> usize {
    let weights = pamr.offsets().count().saturating_mul(image.h.saturating_mul(image.w));
    pamr_streamed_scratch(masks, image).saturating_add(weights)
}

/// The image of one sample and what the softmax over its offsets needs.
struct Guide<'s, F> {
    pamr: &'s Pamr,
    h: usize,
    w: usize,
    image: &'s [F],
    /// `1 / (k (epsilon + w sigma))`, `[k, h, w]`.
    scale: &'s mut [F],
    /// Largest kernel value over the offsets, `[h, w]`.
    peak: &'s mut [F],
    /// `sum_p exp(k_p - peak)`, `[h, w]`.
    total: &'s mut [F],
}

impl<F: Real> Guide<'_, F> {
    fn row(&self, map: usize, y: usize) -> core::ops::Range<usize> {
        let start = (map * self.h + y) * self.w;
        start..start + self.w
    }

    /// The row of image channel `channel` that offset `dy` makes of row `y`.
    fn neighbours(&self, channel: usize, y: usize, dy: isize) -> &[F] {
        part(self.image, self.row(channel, clamped(y, dy, self.h)))
    }

    fn channels(&self) -> usize {
        self.image.len() / (self.h * self.w).max(1)
    }

    /// Fills `scale`, using `mean` (one row) on the way.
    fn measure(&mut self, mean: &mut [F]) {
        let (pamr, image, channels) = (self.pamr, self.image, self.channels());
        let samples = 9 * pamr.dilations.len();
        let share = F::from_f64(1.0 / samples as f64);
        let rest = F::from_f64(1.0 / (samples - 1) as f64);
        let (weight, epsilon) = (F::from_f64(pamr.sigma_weight), F::from_f64(pamr.epsilon));
        let each = F::from_f64(1.0 / channels as f64);
        for channel in 0..channels {
            for y in 0..self.h {
                let place = self.row(channel, y);
                let centre = part(image, place.clone());
                mean.fill(F::ZERO);
                for (dy, dx) in pamr.offsets() {
                    let row = part(image, self.row(channel, clamped(y, dy, self.h)));
                    zip_shifted(mean, row, dx, centre, centre, |sum, value, centre, _| *sum += value - centre);
                }
                mean.iter_mut().for_each(|sum| *sum *= share);
                let centres = F::from_f64(pamr.dilations.len() as f64);
                let squares = part_mut(self.scale, place);
                squares.iter_mut().zip(&*mean).for_each(|(square, &mean)| *square = mean * mean * centres);
                for (dy, dx) in pamr.offsets() {
                    let start = (channel * self.h + clamped(y, dy, self.h)) * self.w;
                    let row = part(image, start..start + self.w);
                    zip_shifted(squares, row, dx, centre, mean, |square, value, centre, mean| {
                        let difference = value - centre - mean;
                        *square += difference * difference;
                    });
                }
                squares.iter_mut().for_each(|square| *square = each / ((*square * rest).sqrt() * weight + epsilon));
            }
        }
    }

    /// `k_p` for row `y`.
    fn kernel(&self, out: &mut [F], y: usize, (dy, dx): (isize, isize)) {
        out.fill(F::ZERO);
        for channel in 0..self.channels() {
            let place = self.row(channel, y);
            let (centre, scale) = (part(self.image, place.clone()), part(self.scale, place));
            let neighbours = self.neighbours(channel, y, dy);
            zip_shifted(out, neighbours, dx, centre, scale, |kernel, value, centre, scale| {
                *kernel += -((value - centre).abs() * scale);
            });
        }
    }

    /// Fills `peak` and `total`, computing the kernel twice and keeping one row of it.
    fn normalise(&mut self, row: &mut [F]) {
        self.peak.fill(F::NEG_INFINITY);
        self.total.fill(F::ZERO);
        for y in 0..self.h {
            let place = self.row(0, y);
            for offset in self.pamr.offsets() {
                self.kernel(row, y, offset);
                self.raise(place.clone(), row);
            }
            for offset in self.pamr.offsets() {
                self.kernel(row, y, offset);
                self.exponentiate(place.clone(), row);
            }
        }
    }

    /// Fills `peak`, `total` and `weights`, `[P, h, w]`, computing the kernel once.
    fn store(&mut self, weights: &mut [F]) {
        self.peak.fill(F::NEG_INFINITY);
        self.total.fill(F::ZERO);
        for y in 0..self.h {
            let place = self.row(0, y);
            for (p, offset) in self.pamr.offsets().enumerate() {
                let row = self.row(p, y);
                self.kernel(part_mut(weights, row.clone()), y, offset);
                self.raise(place.clone(), part(weights, row));
            }
            for p in 0..self.pamr.offsets().count() {
                let row = self.row(p, y);
                self.exponentiate(place.clone(), part_mut(weights, row));
            }
            for p in 0..self.pamr.offsets().count() {
                let row = self.row(p, y);
                self.divide(place.clone(), part_mut(weights, row));
            }
        }
    }

    fn raise(&mut self, place: core::ops::Range<usize>, kernel: &[F]) {
        part_mut(self.peak, place).iter_mut().zip(kernel).for_each(|(peak, &kernel)| *peak = peak.larger(kernel));
    }

    fn exponentiate(&mut self, place: core::ops::Range<usize>, row: &mut [F]) {
        let (peak, total) = (part(self.peak, place.clone()), part_mut(self.total, place));
        for ((value, &peak), total) in row.iter_mut().zip(peak).zip(total) {
            *value = (*value - peak).exp();
            *total += *value;
        }
    }

    fn divide(&self, place: core::ops::Range<usize>, row: &mut [F]) {
        row.iter_mut().zip(part(self.total, place)).for_each(|(weight, &total)| *weight = *weight / total);
    }

    /// `alpha_p` for row `y`, computed anew.
    fn weights(&self, row: &mut [F], y: usize, offset: (isize, isize)) {
        self.kernel(row, y, offset);
        let place = self.row(0, y);
        row.iter_mut().zip(part(self.peak, place.clone())).for_each(|(value, &peak)| *value = (*value - peak).exp());
        self.divide(place, row);
    }
}

/// One iteration over all channels: `weights(row, y, p, offset)` gives the weights of offset `p` for row `y`.
fn average<F: Real>(
    target: &mut [F],
    source: &[F],
    guide: &Guide<'_, F>,
    row: &mut [F],
    weights: impl Fn(&mut [F], usize, usize, (isize, isize)),
) {
    let plane = guide.h * guide.w;
    target.fill(F::ZERO);
    for y in 0..guide.h {
        for (p, offset) in guide.pamr.offsets().enumerate() {
            weights(row, y, p, offset);
            let (from, to) = (guide.row(0, clamped(y, offset.0, guide.h)), guide.row(0, y));
            for (target, source) in rows_mut(target, plane).zip(rows(source, plane)) {
                let (target, source) = (part_mut(target, to.clone()), part(source, from.clone()));
                zip_shifted(target, source, offset.1, row, row, |sum, mask, weight, _| *sum += weight * mask);
            }
        }
    }
}

/// [`pamr::refine`] of masks and an image without an empty extent; scratch [`pamr_stored_scratch`] or
/// [`pamr_streamed_scratch`].
pub(crate) fn refine<F: Real>(
    out: &mut [F],
    (masks, from): (&[F], Shape),
    (image, guide): (&[F], Shape),
    pamr: &Pamr,
    scratch: &mut [F],
    stored: bool,
) {
    let (h, w, plane) = (guide.h, guide.w, guide.h * guide.w);
    let to = from.with_size(h, w);
    let (scale, scratch) = split_mut(scratch, guide.c * plane);
    let (peak, scratch) = split_mut(scratch, plane);
    let (total, scratch) = split_mut(scratch, plane);
    let (other, scratch) = split_mut(scratch, to.c * plane);
    let (row, weights) = split_mut(scratch, w);
    let samples = rows(masks, from.c * from.h * from.w).zip(rows(image, guide.c * plane));
    for (out, (masks, image)) in rows_mut(out, to.c * plane).zip(samples) {
        let mut guide = Guide { pamr, h, w, image, scale: &mut *scale, peak: &mut *peak, total: &mut *total };
        guide.measure(row);
        match stored {
            true => guide.store(weights),
            false => guide.normalise(row),
        }
        // Two buffers take turns; the result is to end in `out`.
        let (mut source, mut target) =
            if pamr.iterations.is_multiple_of(2) { (out, &mut *other) } else { (&mut *other, out) };
        let one = |shape: Shape| Shape { n: 1, ..shape };
        resize(source, masks, one(from), one(to), Corners::Aligned);
        for _ in 0..pamr.iterations {
            average(target, source, &guide, row, |row, y, p, offset| match stored {
                true => copy(row, part(weights, guide.row(p, y))),
                false => guide.weights(row, y, offset),
            });
            core::mem::swap(&mut source, &mut target);
        }
    }
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    /// [`pamr::refine`] with the weights of all offsets stored: the fast variant.
    ///
    /// # Shapes
    /// masks `[n, c, h', w']`, image `[n, k, h, w]` in 0..=1 -> `[n, c, h, w]`
    ///
    /// # Errors
    /// As [`pamr::refine`]; [`ArenaError::Full`] without room for the result and [`pamr_stored_scratch`] elements.
    pub fn pamr_stored(&self, image: &Self, pamr: &Pamr) -> Result<Self, ArenaError> {
        self.refine_fused(image, pamr, true)
    }

    /// [`pamr::refine`] with the weights computed again in every iteration: the variant for little memory.
    ///
    /// # Shapes
    /// masks `[n, c, h', w']`, image `[n, k, h, w]` in 0..=1 -> `[n, c, h, w]`
    ///
    /// # Errors
    /// As [`pamr::refine`]; [`ArenaError::Full`] without room for the result and [`pamr_streamed_scratch`] elements.
    pub fn pamr_streamed(&self, image: &Self, pamr: &Pamr) -> Result<Self, ArenaError> {
        self.refine_fused(image, pamr, false)
    }

    fn refine_fused(&self, image: &Self, pamr: &Pamr, stored: bool) -> Result<Self, ArenaError> {
        let (from, guide) = (self.shape(), image.shape());
        let shape = from.with_size(guide.h, guide.w);
        if from.n != guide.n {
            return Err(ShapeError { lhs: from, rhs: guide }.into());
        }
        if pamr.dilations.is_empty() || from.count() == 0 || guide.count() == 0 {
            return pamr::refine(self, image, pamr);
        }
        let scratch = match stored {
            true => pamr_stored_scratch(from, guide, pamr),
            false => pamr_streamed_scratch(from, guide),
        };
        self.arena().produce(shape, scratch, [self, image], |out, scratch, [masks, image]| {
            refine(out, (masks, from), (image, guide), pamr, scratch, stored);
        })
    }
}
