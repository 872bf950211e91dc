//! The classification head: masks in one pass over the scores, class scores in another. No scratch memory.

use super::{
    super::{ArenaError, ArenaTensor, Real, sum},
    softmax::softmax_sample,
};
use crate::{
    Tensor,
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

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn classify_fused(&self, pooling: &Pooling) -> Result<Classification<Self>, ArenaError> {
        let shape = self.shape();
        let pixels = shape.h * shape.w;
        if shape.count() == 0 {
            return pooling::classify(self, pooling);
        }
        let (classes, channels) = (shape.c * pixels, (shape.c + 1) * pixels);
        let background = Some(F::from_f64(pooling.background));
        let masks = self.arena().produce(shape.with_channels(shape.c + 1), 0, [self], |out, _, [scores]| {
            for (out, scores) in out.chunks_exact_mut(channels).zip(scores.chunks_exact(classes)) {
                softmax_sample(out, scores, pixels, background);
            }
        })?;
        let scores = self.arena().produce(shape.with_size(1, 1), 0, [self, &masks], |out, _, [scores, masks]| {
            let scores = scores.chunks_exact(pixels);
            let masks = masks.chunks_exact(channels).flat_map(|sample| sample.chunks_exact(pixels).skip(1));
            for ((out, scores), mask) in out.iter_mut().zip(scores).zip(masks) {
                *out = class_score(scores, mask, pooling);
            }
        })?;
        Ok(Classification { masks, scores })
    }
}
