//! The losses. The segmentation loss resizes the logits one row at a time.

use super::{
    super::{
        ArenaError, ArenaTensor, Real,
        part::{part, part_mut, rows, rows_mut, split_mut},
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
pub(super) fn logits_row<F: Real>(out: &mut [F], logits: &[F], from: Shape, to: Shape, y: usize) {
    let row = Tap::<F>::new(y, from.h, to.h, Corners::Aligned);
    for (first, width) in tiles(to.w) {
        let taps: [Tap<F>; TILE] = core::array::from_fn(|x| Tap::new(first + x, from.w, to.w, Corners::Aligned));
        for (out, map) in rows_mut(out, to.w).zip(rows(logits, from.h * from.w)) {
            sample::resize_row(part_mut(out, first..first + width), map, from.w, row, &taps);
        }
    }
}

/// Equation (22): weights `[c]` of one sample of pseudo labels; returns its claimed pixels.
pub(super) fn class_weights<F: Real>(weights: &mut [F], pseudo: &[F], pixels: usize) -> F {
    for (count, plane) in weights.iter_mut().zip(rows(pseudo, pixels)) {
        *count = sum::sum(plane);
    }
    let claimed = sum::sum(weights);
    weights.iter_mut().for_each(|count| *count = (claimed - *count) / (claimed + F::ONE));
    claimed
}

/// `sum over classes and pixels of q_c log m_c` (not yet negated) of one sample, and its claimed pixels.
fn cross_entropy<F: Real>(logits: &[F], from: Shape, pseudo: &[F], to: Shape, scratch: &mut [F]) -> (f64, F) {
    let pixels = to.h * to.w;
    let (weights, row) = split_mut(scratch, to.c);
    let claimed = class_weights(weights, pseudo, pixels);
    let mut total = 0.0;
    for y in 0..to.h {
        logits_row(row, logits, from, to, y);
        for (first, width) in tiles(to.w) {
            let (peak, log_sum) = log_sum_exp(row, to.w, first, width);
            let mut losses = [F::ZERO; TILE];
            for ((logits, plane), &weight) in rows(row, to.w).zip(rows(pseudo, pixels)).zip(&*weights) {
                let from = y * to.w + first;
                let (logits, claims) = (part(logits, first..first + width), part(plane, from..from + width));
                let pixels = logits.iter().zip(claims).zip(peak.iter().zip(&log_sum));
                for (loss, ((&logit, &claim), (&peak, &log_sum))) in losses.iter_mut().zip(pixels) {
                    *loss += claim * weight * ((logit - peak) - log_sum);
                }
            }
            total += sum::sum(part(&losses, 0..width)).to_f64();
        }
    }
    (total, claimed)
}

/// Equation (12), the mean of `count` scores.
pub(crate) fn soft_margin<F: Real>(scores: &[F], labels: &[F], count: usize) -> F {
    let total = sum::sum_with(scores, labels, |score, label| {
        score.larger(F::ZERO) + (F::ONE + (-score.abs()).exp()).ln() - label * score
    });
    total * F::from_f64(1.0 / count.max(1) as f64)
}

/// Equation (23) of logits of shape `from` and pseudo labels of shape `to`, neither with an empty extent; scratch
/// [`segmentation_loss_scratch`].
pub(crate) fn segmentation_loss<F: Real>(logits: &[F], from: Shape, pseudo: &[F], to: Shape, scratch: &mut [F]) -> F {
    let pixels = (to.h * to.w) as f64;
    let (mut weighted, mut total) = (0.0, 0.0);
    for (logits, pseudo) in rows(logits, from.c * from.h * from.w).zip(rows(pseudo, to.c * to.h * to.w)) {
        let (log_masks, claimed) = cross_entropy(logits, from, pseudo, to, scratch);
        weighted += claimed.to_f64() * (-log_masks / pixels);
        total += claimed.to_f64();
    }
    F::from_f64(weighted / total.max(1.0))
}

/// Whether the classes that a sample of pseudo labels claims are the labelled ones and the background.
pub(super) fn claims_what_is_labelled<F: Real>(pseudo: &[F], labels: &[F], pixels: usize) -> bool {
    let present = |plane: &[F]| plane.iter().any(|&claim| claim > F::ZERO);
    let wanted = core::iter::once(true).chain(labels.iter().map(|&label| label > F::ZERO));
    rows(pseudo, pixels).zip(wanted).all(|(plane, wanted)| present(plane) == wanted)
}

/// The mean of the reference's gated loss; labels `[n, c - 1]` for `c > 1` channels, else as [`segmentation_loss`].
pub(crate) fn gated_segmentation_loss<F: Real>(
    (logits, from): (&[F], Shape),
    (pseudo, to): (&[F], Shape),
    labels: &[F],
    scratch: &mut [F],
) -> F {
    let pixels = to.h * to.w;
    let labels = rows(labels, to.c.saturating_sub(1));
    let samples = rows(logits, from.c * from.h * from.w).zip(rows(pseudo, to.c * pixels)).zip(labels);
    let total =
        samples.fold(0.0, |total, ((logits, pseudo), labels)| match claims_what_is_labelled(pseudo, labels, pixels) {
            true => total - cross_entropy(logits, from, pseudo, to, scratch).0,
            false => total,
        });
    F::from_f64(total / (to.n * pixels).max(1) as f64)
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn soft_margin_fused(&self, labels: &Self) -> Result<Self, ArenaError> {
        let shape = self.shape();
        expect(shape, labels.shape())?;
        self.arena().produce(Shape::SCALAR, 0, [self, labels], |out, _, [scores, labels]| {
            out.fill(soft_margin(scores, labels, shape.n * shape.c));
        })
    }

    pub(super) fn segmentation_loss_fused(&self, pseudo: &Self) -> Result<Self, ArenaError> {
        let (from, to) = (self.shape(), pseudo.shape());
        expect(from.with_size(to.h, to.w), to)?;
        if from.count() == 0 || to.count() == 0 {
            return loss::segmentation_loss(self, pseudo);
        }
        let scratch = segmentation_loss_scratch(to);
        self.arena().produce(Shape::SCALAR, scratch, [self, pseudo], |out, scratch, [logits, pseudo]| {
            out.fill(segmentation_loss(logits, from, pseudo, to, scratch));
        })
    }
}
