//! The losses. The segmentation loss resizes the logits one row at a time.

use super::{
    super::{
        ArenaError, ArenaTensor, Real,
        sample::{self, Tap},
        sum,
    },
    TILE,
    softmax::log_sum_exp,
    tiles,
};
use crate::{Corners, Shape, Tensor, loss, shape::expect};

/// Scratch elements of the segmentation loss for pseudo labels `[n, c, h, w]`: a weight for each class and one row of
/// resized logits, `c + c w`.
#[must_use]
pub const fn segmentation_loss_scratch(pseudo: Shape) -> usize {
    pseudo.c.saturating_mul(pseudo.w.saturating_add(1))
}

/// Row `y` of the logits of one sample, `[c, w]`, resized with aligned corners.
fn logits_row<F: Real>(out: &mut [F], logits: &[F], from: Shape, to: Shape, y: usize) {
    let row = Tap::<F>::new(y, from.h, to.h, Corners::Aligned);
    for (first, width) in tiles(to.w) {
        let taps: [Tap<F>; TILE] = core::array::from_fn(|x| Tap::new(first + x, from.w, to.w, Corners::Aligned));
        for (out, map) in out.chunks_exact_mut(to.w).zip(logits.chunks_exact(from.h * from.w)) {
            sample::resize_row(&mut out[first..][..width], map, from.w, row, &taps);
        }
    }
}

/// `sum over classes and pixels of q_c log m_c` (not yet negated) of one sample, and its claimed pixels.
fn cross_entropy<F: Real>(logits: &[F], from: Shape, pseudo: &[F], to: Shape, scratch: &mut [F]) -> (f64, F) {
    let pixels = to.h * to.w;
    let (weights, row) = scratch.split_at_mut(to.c);
    for (count, plane) in weights.iter_mut().zip(pseudo.chunks_exact(pixels)) {
        *count = sum::sum(plane);
    }
    let claimed = sum::sum(weights);
    // Equation (22).
    weights.iter_mut().for_each(|count| *count = (claimed - *count) / (claimed + F::ONE));
    let mut total = 0.0;
    for y in 0..to.h {
        logits_row(row, logits, from, to, y);
        for (first, width) in tiles(to.w) {
            let (peak, log_sum) = log_sum_exp(row, to.w, first, width);
            let mut losses = [F::ZERO; TILE];
            for ((logits, plane), &weight) in row.chunks_exact(to.w).zip(pseudo.chunks_exact(pixels)).zip(&*weights) {
                let (logits, claims) = (&logits[first..][..width], &plane[y * to.w + first..][..width]);
                let pixels = logits.iter().zip(claims).zip(peak.iter().zip(&log_sum));
                for (loss, ((&logit, &claim), (&peak, &log_sum))) in losses.iter_mut().zip(pixels) {
                    *loss += claim * weight * ((logit - peak) - log_sum);
                }
            }
            total += sum::sum(&losses[..width]).to_f64();
        }
    }
    (total, claimed)
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn soft_margin_fused(&self, labels: &Self) -> Result<Self, ArenaError> {
        let shape = self.shape();
        expect(shape, labels.shape())?;
        self.arena().produce(Shape::SCALAR, 0, [self, labels], |out, _, [scores, labels]| {
            let total = sum::sum_with(scores, labels, |score, label| {
                score.larger(F::ZERO) + (F::ONE + (-score.abs()).exp()).ln() - label * score
            });
            out.fill(total * F::from_f64(1.0 / (shape.n * shape.c).max(1) as f64));
        })
    }

    pub(super) fn segmentation_loss_fused(&self, pseudo: &Self) -> Result<Self, ArenaError> {
        let (from, to) = (self.shape(), pseudo.shape());
        expect(from.with_size(to.h, to.w), to)?;
        if from.count() == 0 || to.count() == 0 {
            return loss::segmentation_loss(self, pseudo);
        }
        let pixels = (to.h * to.w) as f64;
        let scratch = segmentation_loss_scratch(to);
        self.arena().produce(Shape::SCALAR, scratch, [self, pseudo], |out, scratch, [logits, pseudo]| {
            let logits = logits.chunks_exact(from.c * from.h * from.w);
            let (mut weighted, mut total) = (0.0, 0.0);
            for (logits, pseudo) in logits.zip(pseudo.chunks_exact(to.c * to.h * to.w)) {
                let (log_masks, claimed) = cross_entropy(logits, from, pseudo, to, scratch);
                weighted += claimed.to_f64() * (-log_masks / pixels);
                total += claimed.to_f64();
            }
            out.fill(F::from_f64(weighted / total.max(1.0)));
        })
    }
}
