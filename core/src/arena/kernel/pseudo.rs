//! Pseudo labels in two passes: the thresholds, then the claims.

use super::{
    super::{ArenaError, ArenaTensor, Real, ops::largest},
    TILE, tiles,
};
use crate::{
    Shape, Tensor,
    pseudo::{self, Cutoff},
};

/// Scratch elements of the pseudo labels of masks `[n, c, h, w]`: a threshold for each channel, `c`.
#[must_use]
pub const fn pseudo_labels_scratch(masks: Shape) -> usize {
    masks.c
}

fn claim<F: Real>(out: &mut [F], masks: &[F], pixels: usize, thresholds: &[F]) {
    for (first, width) in tiles(pixels) {
        let mut claims = [F::ZERO; TILE];
        for ((out, mask), &threshold) in out.chunks_exact_mut(pixels).zip(masks.chunks_exact(pixels)).zip(thresholds) {
            let (out, mask) = (&mut out[first..][..width], &mask[first..][..width]);
            for ((out, &mask), claims) in out.iter_mut().zip(mask).zip(&mut claims) {
                *out = if mask > threshold { F::ONE } else { F::ZERO };
                *claims += *out;
            }
        }
        for out in out.chunks_exact_mut(pixels) {
            for (out, &claims) in out[first..][..width].iter_mut().zip(&claims) {
                *out = if claims > F::ONE { F::ZERO } else { *out };
            }
        }
    }
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn pseudo_labels_fused(&self, cutoff: &Cutoff) -> Result<Self, ArenaError> {
        let shape = self.shape();
        let pixels = shape.h * shape.w;
        if shape.count() == 0 {
            return pseudo::pseudo_labels(self, cutoff);
        }
        self.arena().produce(shape, pseudo_labels_scratch(shape), [self], |out, thresholds, [masks]| {
            let samples = masks.chunks_exact(shape.c * pixels);
            for (out, masks) in out.chunks_exact_mut(shape.c * pixels).zip(samples) {
                for (c, (threshold, mask)) in thresholds.iter_mut().zip(masks.chunks_exact(pixels)).enumerate() {
                    let share = F::from_f64(if c == 0 { cutoff.background } else { cutoff.class });
                    *threshold = (largest(mask) * share).larger(F::from_f64(cutoff.low));
                }
                claim(out, masks, pixels, thresholds);
            }
        })
    }
}
