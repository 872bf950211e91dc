//! Softmax and log-softmax, tile by tile. No scratch memory.

use super::{
    super::{
        ArenaError, ArenaTensor, Real,
        part::{part, part_mut, rows, rows_mut},
    },
    TILE, tiles,
};
use crate::{Tensor, activation};

/// Softmax of one sample, `[c, pixels]`, or `[c + 1, pixels]` with a constant background score as channel 0.
pub(super) fn softmax_sample<F: Real>(out: &mut [F], logits: &[F], pixels: usize, background: Option<F>) {
    for (first, width) in tiles(pixels) {
        let (mut peak, mut total) = ([background.unwrap_or(F::NEG_INFINITY); TILE], [F::ZERO; TILE]);
        let tile = first..first + width;
        for row in rows(logits, pixels) {
            peak.iter_mut().zip(part(row, tile.clone())).for_each(|(peak, &logit)| *peak = peak.larger(logit));
        }
        let mut masks = rows_mut(out, pixels).map(|row| part_mut(row, tile.clone()));
        if let Some((background, row)) = background.and_then(|score| Some((score, masks.next()?))) {
            for ((out, &peak), total) in row.iter_mut().zip(&peak).zip(&mut total) {
                *out = (background - peak).exp();
                *total = *out;
            }
        }
        for (out, logits) in masks.zip(rows(logits, pixels)) {
            let logits = part(logits, tile.clone());
            for (((out, &logit), &peak), total) in out.iter_mut().zip(logits).zip(&peak).zip(&mut total) {
                *out = (logit - peak).exp();
                *total += *out;
            }
        }
        for row in rows_mut(out, pixels) {
            part_mut(row, tile.clone()).iter_mut().zip(&total).for_each(|(out, &total)| *out = *out / total);
        }
    }
}

/// `peak` and `ln sum exp(y - peak)` of each pixel of a tile, over the channels.
pub(super) fn log_sum_exp<F: Real>(logits: &[F], pixels: usize, first: usize, width: usize) -> ([F; TILE], [F; TILE]) {
    let (mut peak, mut total) = ([F::NEG_INFINITY; TILE], [F::ZERO; TILE]);
    let tile = first..first + width;
    for row in rows(logits, pixels) {
        peak.iter_mut().zip(part(row, tile.clone())).for_each(|(peak, &logit)| *peak = peak.larger(logit));
    }
    for row in rows(logits, pixels) {
        for ((total, &logit), &peak) in total.iter_mut().zip(part(row, tile.clone())).zip(&peak) {
            *total += (logit - peak).exp();
        }
    }
    total.iter_mut().take(width).for_each(|total| *total = total.ln());
    (peak, total)
}

fn log_softmax_sample<F: Real>(out: &mut [F], logits: &[F], pixels: usize) {
    for (first, width) in tiles(pixels) {
        let (peak, total) = log_sum_exp(logits, pixels, first, width);
        for (out, logits) in out.chunks_exact_mut(pixels).zip(logits.chunks_exact(pixels)) {
            let (out, logits) = (&mut out[first..][..width], &logits[first..][..width]);
            for (((out, &logit), &peak), &total) in out.iter_mut().zip(logits).zip(&peak).zip(&total) {
                *out = (logit - peak) - total;
            }
        }
    }
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn softmax_fused(&self) -> Result<Self, ArenaError> {
        let shape = self.shape();
        let pixels = shape.h * shape.w;
        if shape.count() == 0 {
            return activation::softmax(self);
        }
        self.arena().produce(shape, 0, [self], |out, _, [logits]| {
            let samples = logits.chunks_exact(shape.c * pixels);
            for (out, logits) in out.chunks_exact_mut(shape.c * pixels).zip(samples) {
                softmax_sample(out, logits, pixels, None);
            }
        })
    }

    pub(super) fn log_softmax_fused(&self) -> Result<Self, ArenaError> {
        let shape = self.shape();
        let pixels = shape.h * shape.w;
        if shape.count() == 0 {
            return activation::log_softmax(self);
        }
        self.arena().produce(shape, 0, [self], |out, _, [logits]| {
            let samples = logits.chunks_exact(shape.c * pixels);
            for (out, logits) in out.chunks_exact_mut(shape.c * pixels).zip(samples) {
                log_softmax_sample(out, logits, pixels);
            }
        })
    }
}
