//! Pseudo labels in two passes: the thresholds, then the claims.

use super::{
    super::{
        ArenaError, ArenaTensor, Real,
        ops::largest,
        part::{part, part_mut, rows, rows_mut},
    },
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
        let (tile, mut claims) = (first..first + width, [F::ZERO; TILE]);
        for ((out, mask), &threshold) in rows_mut(out, pixels).zip(rows(masks, pixels)).zip(thresholds) {
            let (out, mask) = (part_mut(out, tile.clone()), part(mask, tile.clone()));
            for ((out, &mask), claims) in out.iter_mut().zip(mask).zip(&mut claims) {
                *out = if mask > threshold { F::ONE } else { F::ZERO };
                *claims += *out;
            }
        }
        for out in rows_mut(out, pixels) {
            for (out, &claims) in part_mut(out, tile.clone()).iter_mut().zip(&claims) {
                *out = if claims > F::ONE { F::ZERO } else { *out };
            }
        }
    }
}

/// Pseudo labels of masks `[n, c, h, w]` without an empty extent; scratch [`pseudo_labels_scratch`].
pub(crate) fn pseudo_labels<F: Real>(out: &mut [F], masks: &[F], shape: Shape, cutoff: &Cutoff, thresholds: &mut [F]) {
    let pixels = shape.h * shape.w;
    for (out, masks) in rows_mut(out, shape.c * pixels).zip(rows(masks, shape.c * pixels)) {
        for (c, (threshold, mask)) in thresholds.iter_mut().zip(rows(masks, pixels)).enumerate() {
            let share = F::from_f64(if c == 0 { cutoff.background } else { cutoff.class });
            *threshold = (largest(mask) * share).larger(F::from_f64(cutoff.low));
        }
        claim(out, masks, pixels, thresholds);
    }
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn pseudo_labels_fused(&self, cutoff: &Cutoff) -> Result<Self, ArenaError> {
        let shape = self.shape();
        if shape.count() == 0 {
            return pseudo::pseudo_labels(self, cutoff);
        }
        self.arena().produce(shape, pseudo_labels_scratch(shape), [self], |out, thresholds, [masks]| {
            pseudo_labels(out, masks, shape, cutoff, thresholds);
        })
    }
}
