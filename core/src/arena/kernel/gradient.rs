//! Analytic gradients, tile by tile: the masks are kept in the result until the gradient takes their place.

use super::{
    super::{
        Real,
        part::{part, part_mut, rows, rows_mut, split, split_mut},
        sample::Tap,
        sum,
    },
    TILE,
    loss::{claims_what_is_labelled, class_weights, logits_row},
    softmax::log_sum_exp,
    tiles,
};
use crate::{Corners, Shape, pooling::Pooling};

/// Scratch elements of the gradient of class scores for scores `[n, c, h, w]`: two values a class, `2c`.
#[must_use]
pub const fn class_scores_gradient_scratch(scores: Shape) -> usize {
    scores.c.saturating_mul(2)
}

/// As [`gradient::focal_penalty`](crate::gradient::focal_penalty).
fn focal_slope<F: Real>(mean: F, pooling: &Pooling) -> F {
    let (p, shifted) = (F::from_f64(pooling.p), mean + F::from_f64(pooling.lambda));
    if pooling.p == 0.0 {
        return F::ONE / shifted;
    }
    let rest = (F::ONE - mean).larger(F::ZERO);
    rest.powf(p) / shifted - p * rest.powf(p - F::ONE) * shifted.ln()
}

/// Softmax of one sample's classes beside a constant background, `[c, pixels]`, without the background's own mask.
fn foreground<F: Real>(out: &mut [F], scores: &[F], pixels: usize, background: F) {
    for (first, width) in tiles(pixels) {
        let tile = first..first + width;
        let mut peak = [background; TILE];
        for row in rows(scores, pixels) {
            peak.iter_mut().zip(part(row, tile.clone())).for_each(|(peak, &score)| *peak = peak.larger(score));
        }
        let mut total = peak.map(|peak| (background - peak).exp());
        for (out, scores) in rows_mut(out, pixels).zip(rows(scores, pixels)) {
            let pixels = part_mut(out, tile.clone()).iter_mut().zip(part(scores, tile.clone()));
            for (((out, &score), &peak), total) in pixels.zip(&peak).zip(&mut total) {
                *out = (score - peak).exp();
                *total += *out;
            }
        }
        for out in rows_mut(out, pixels) {
            part_mut(out, tile.clone()).iter_mut().zip(&total).for_each(|(out, &total)| *out = *out / total);
        }
    }
}

/// [`gradient::class_scores`](crate::gradient::class_scores) of scores `[n, c, h, w]` without an empty extent and a
/// cotangent `[n, c]`; scratch [`class_scores_gradient_scratch`].
pub(crate) fn class_scores_gradient<F: Real>(
    out: &mut [F],
    scores: &[F],
    cotangent: &[F],
    shape: Shape,
    pooling: &Pooling,
    scratch: &mut [F],
) {
    let pixels = shape.h * shape.w;
    let each = F::from_f64(1.0 / pixels as f64);
    let (direct, level) = split_mut(scratch, shape.c);
    let samples = rows_mut(out, shape.c * pixels).zip(rows(scores, shape.c * pixels)).zip(rows(cotangent, shape.c));
    for ((out, scores), cotangent) in samples {
        foreground(out, scores, pixels, F::from_f64(pooling.background));
        let maps = rows(out, pixels).zip(rows(scores, pixels)).zip(cotangent);
        for (((mask, scores), &cotangent), (direct, level)) in maps.zip(direct.iter_mut().zip(&mut *level)) {
            let mass = sum::sum(mask);
            let divisor = mass + F::from_f64(pooling.epsilon);
            let ngwp = sum::sum_with(mask, scores, |mask, score| mask * score) / divisor;
            *direct = cotangent / divisor;
            *level = cotangent * focal_slope(mass * each, pooling) * each - *direct * ngwp;
        }
        for (first, width) in tiles(pixels) {
            let (tile, mut spread) = (first..first + width, [F::ZERO; TILE]);
            let maps = rows(out, pixels).zip(rows(scores, pixels)).zip(direct.iter().zip(&*level));
            for ((mask, scores), (&direct, &level)) in maps {
                let pixels = part(mask, tile.clone()).iter().zip(part(scores, tile.clone()));
                for ((&mask, &score), spread) in pixels.zip(&mut spread) {
                    *spread += mask * (direct * score + level);
                }
            }
            let maps = rows_mut(out, pixels).zip(rows(scores, pixels)).zip(direct.iter().zip(&*level));
            for ((out, scores), (&direct, &level)) in maps {
                let pixels = part_mut(out, tile.clone()).iter_mut().zip(part(scores, tile.clone()));
                for ((out, &score), &spread) in pixels.zip(&spread) {
                    *out *= direct * score + level + direct - spread;
                }
            }
        }
    }
}

/// Gradient of equation (12), the mean of `count` scores.
pub(crate) fn soft_margin_gradient<F: Real>(out: &mut [F], scores: &[F], labels: &[F], count: usize) {
    let each = F::from_f64(1.0 / count.max(1) as f64);
    for ((out, &score), &label) in out.iter_mut().zip(scores).zip(labels) {
        // The exponential of a number that is not positive never overflows.
        let decay = (-score.abs()).exp();
        let sigmoid = if score < F::ZERO { decay } else { F::ONE } / (F::ONE + decay);
        *out = (sigmoid - label) * each;
    }
}

/// Gradient of equation (23) with logits of shape `from`, for pseudo labels of shape `to`, neither with an empty
/// extent; scratch [`segmentation_loss_scratch`](super::segmentation_loss_scratch).
pub(crate) fn segmentation_loss_gradient<F: Real>(
    out: &mut [F],
    (logits, from): (&[F], Shape),
    (pseudo, to): (&[F], Shape),
    scratch: &mut [F],
) {
    let pixels = to.h * to.w;
    let (weights, _) = split_mut(scratch, to.c);
    let samples = rows(pseudo, to.c * pixels);
    let total = samples.fold(0.0, |total, pseudo| total + class_weights(weights, pseudo, pixels).to_f64());
    cross_entropy_gradient(out, (logits, from), (pseudo, to), scratch, |_, _, claimed| {
        claimed.to_f64() / (total.max(1.0) * pixels as f64)
    });
}

/// Gradient of [`gated_segmentation_loss`](super::loss::gated_segmentation_loss), with its shapes.
pub(crate) fn gated_segmentation_loss_gradient<F: Real>(
    out: &mut [F],
    logits: (&[F], Shape),
    (pseudo, to): (&[F], Shape),
    labels: &[F],
    scratch: &mut [F],
) {
    let (pixels, classes) = (to.h * to.w, to.c.saturating_sub(1));
    let each = 1.0 / (to.n * pixels).max(1) as f64;
    cross_entropy_gradient(out, logits, (pseudo, to), scratch, |sample, pseudo, _| {
        let labels = part(labels, sample * classes..(sample + 1) * classes);
        if claims_what_is_labelled(pseudo, labels, pixels) { each } else { 0.0 }
    });
}

/// Gradient of the class-balanced cross entropies of all samples, each times the `share` of its number, its pseudo
/// labels and its claimed pixels.
#[inline(always)]
fn cross_entropy_gradient<F: Real>(
    out: &mut [F],
    (logits, from): (&[F], Shape),
    (pseudo, to): (&[F], Shape),
    scratch: &mut [F],
    share: impl Fn(usize, &[F], F) -> f64,
) {
    let pixels = to.h * to.w;
    let (weights, row) = split_mut(scratch, to.c);
    out.fill(F::ZERO);
    let samples = rows_mut(out, from.c * from.h * from.w).zip(rows(logits, from.c * from.h * from.w));
    for (sample, ((out, logits), pseudo)) in samples.zip(rows(pseudo, to.c * pixels)).enumerate() {
        let claimed = class_weights(weights, pseudo, pixels);
        let share = F::from_f64(share(sample, pseudo, claimed));
        for y in 0..to.h {
            logits_row(row, logits, from, to, y);
            row_gradient(row, split(pseudo, y * to.w).1, to, weights, share);
            spread_row(out, row, from, to, y);
        }
    }
}

/// Turns a row of resized logits `[c, w]` into the gradient with them; `pseudo` starts at that row.
fn row_gradient<F: Real>(row: &mut [F], pseudo: &[F], to: Shape, weights: &[F], share: F) {
    for (first, width) in tiles(to.w) {
        let tile = first..first + width;
        let (peak, log_sum) = log_sum_exp(row, to.w, first, width);
        let mut claims = [F::ZERO; TILE];
        let plane = |c: usize| {
            let start = c * to.h * to.w + first;
            part(pseudo, start..start + width)
        };
        for (c, &weight) in weights.iter().enumerate() {
            claims.iter_mut().zip(plane(c)).for_each(|(claims, &claim)| *claims += claim * weight);
        }
        for (c, (row, &weight)) in rows_mut(row, to.w).zip(weights).enumerate() {
            let pixels = part_mut(row, tile.clone()).iter_mut().zip(plane(c)).zip(&claims);
            for (((value, &claim), &claims), (&peak, &log_sum)) in pixels.zip(peak.iter().zip(&log_sum)) {
                *value = share * (((*value - peak) - log_sum).exp() * claims - claim * weight);
            }
        }
    }
}

/// Adds row `y` of a gradient at the pseudo labels' size to the logits it was resized from: the transpose of
/// [`logits_row`].
fn spread_row<F: Real>(out: &mut [F], row: &[F], from: Shape, to: Shape, y: usize) {
    let vertical = Tap::<F>::new(y, from.h, to.h, Corners::Aligned);
    for x in 0..to.w {
        let tap = Tap::<F>::new(x, from.w, to.w, Corners::Aligned);
        for (map, row) in rows_mut(out, from.h * from.w).zip(rows(row, to.w)) {
            let value = row.get(x).copied().unwrap_or(F::ZERO);
            for (line, share) in [(vertical.low, F::ONE - vertical.share), (vertical.high, vertical.share)] {
                for (column, across) in [(tap.low, F::ONE - tap.share), (tap.high, tap.share)] {
                    if let Some(cell) = map.get_mut(line * from.w + column) {
                        *cell += value * share * across;
                    }
                }
            }
        }
    }
}
