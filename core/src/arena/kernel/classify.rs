//! The classification head: masks in one pass over the scores, class scores in another. No scratch memory.

use super::{
    super::{
        ArenaError, ArenaTensor, Real,
        part::{rows, rows_mut},
        sum,
    },
    softmax::softmax_sample,
};
use crate::{
    Shape, Tensor,
    pooling::{self, Classification, Pooling},
};

/// Equation (13) of one class.
fn class_score<F: Real>(scores: &[F], mask: &[F], pooling: &Pooling) -> F {
    let mass = sum::sum(mask);
    let weighted = sum::sum_with(mask, scores, |mask, score| mask * score);
    let ngwp = weighted / (mass + F::from_f64(pooling.epsilon));
    let mean = mass * F::from_f64(1.0 / mask.len() as f64);
    // As in the definition: rounding may lift the mean of a full mask above 1.
    let rest = (F::ONE - mean).larger(F::ZERO);
    ngwp + rest.powf(F::from_f64(pooling.p)) * (mean + F::from_f64(pooling.lambda)).ln()
}

/// Masks of score maps `[n, c, h, w]` without an empty extent, into `[n, c + 1, h, w]`.
pub(crate) fn masks<F: Real>(out: &mut [F], scores: &[F], shape: Shape, background: f64) {
    let pixels = shape.h * shape.w;
    for (out, scores) in rows_mut(out, (shape.c + 1) * pixels).zip(rows(scores, shape.c * pixels)) {
        softmax_sample(out, scores, pixels, Some(F::from_f64(background)));
    }
}

/// Class scores `[n, c]` of score maps `[n, c, h, w]` without an empty extent and their masks `[n, c + 1, h, w]`.
pub(crate) fn class_scores<F: Real>(out: &mut [F], scores: &[F], masks: &[F], shape: Shape, pooling: &Pooling) {
    let pixels = shape.h * shape.w;
    let masks = rows(masks, (shape.c + 1) * pixels).flat_map(|sample| rows(sample, pixels).skip(1));
    for ((out, scores), mask) in out.iter_mut().zip(rows(scores, pixels)).zip(masks) {
        *out = class_score(scores, mask, pooling);
    }
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn classify_fused(&self, pooling: &Pooling) -> Result<Classification<Self>, ArenaError> {
        let shape = self.shape();
        if shape.count() == 0 {
            return pooling::classify(self, pooling);
        }
        let masks = self.arena().produce(shape.with_channels(shape.c + 1), 0, [self], |out, _, [scores]| {
            masks(out, scores, shape, pooling.background);
        })?;
        let scores = self.arena().produce(shape.with_size(1, 1), 0, [self, &masks], |out, _, [scores, masks]| {
            class_scores(out, scores, masks, shape, pooling);
        })?;
        Ok(Classification { masks, scores })
    }
}
