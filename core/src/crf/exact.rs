//! The definition of the dense CRF: every pair of pixels, in f64. Time grows with the square of the pixels; for
//! pictures of some thousand pixels, and for tests.

use alloc::{vec, vec::Vec};

use super::{CrfError, DenseCrf, Rgb};

/// A kernel's part of the energy.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    /// The kernel's weight.
    pub weight: f64,
    /// `K(i, j)`, normalised: what pixel i hears of pixel j.
    pub affinity: &'a dyn Fn(usize, usize) -> f64,
}

/// Mean field: `Q <- softmax(log p + sum_m w_m K_m Q)`, from `Q = softmax(log p)` on, `iterations` times.
///
/// # Shapes
/// log_p `[classes, pixels]` -> `[classes, pixels]`
#[must_use]
pub fn mean_field(log_p: &[f64], classes: usize, iterations: usize, terms: &[Term<'_>]) -> Vec<f64> {
    let pixels = log_p.len().checked_div(classes).unwrap_or(0);
    let mut q = softmax(log_p, classes, pixels);
    for _ in 0..iterations {
        let mut logits = log_p.to_vec();
        for term in terms {
            for i in 0..pixels {
                for j in 0..pixels {
                    let affinity = term.weight * (term.affinity)(i, j);
                    for class in 0..classes {
                        logits[class * pixels + i] += affinity * q[class * pixels + j];
                    }
                }
            }
        }
        q = softmax(&logits, classes, pixels);
    }
    q
}

/// Softmax over the classes of each pixel.
fn softmax(logits: &[f64], classes: usize, pixels: usize) -> Vec<f64> {
    let mut q = vec![0.0; logits.len()];
    for pixel in 0..pixels {
        let places = (0..classes).map(|class| class * pixels + pixel);
        let peak = places.clone().fold(f64::NEG_INFINITY, |peak, place| logits[place].max(peak));
        let total: f64 = places.clone().map(|place| libm::exp(logits[place] - peak)).sum();
        places.for_each(|place| q[place] = libm::exp(logits[place] - peak) / total);
    }
    q
}

/// The symmetric normalisation of a kernel: `n_i = (sum_j k(i, j))^(-1/2)` for each pixel.
#[must_use]
pub fn norms(pixels: usize, affinity: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let sum = |i| (0..pixels).map(|j| affinity(i, j)).sum::<f64>();
    (0..pixels).map(|i| 1.0 / libm::sqrt(sum(i) + 1e-20)).collect()
}

/// Inference with exactly Gaussian kernels. As [`infer`](super::infer) otherwise.
///
/// # Shapes
/// probabilities `[classes, h, w]` -> `[classes, h, w]`, with h and w the image's
///
/// # Errors
/// As [`infer`](super::infer).
pub fn infer(probabilities: &[f32], classes: usize, image: Rgb<'_>, crf: &DenseCrf) -> Result<Vec<f64>, CrfError> {
    crf.check_input(probabilities, classes, image)?;
    let log_p: Vec<f64> = probabilities.iter().map(|&p| libm::log(f64::from(p).max(crf.floor).min(1.0))).collect();
    let normalised = crf.kernels().map(|(weight, kernel)| {
        let norms = norms(image.count(), |i, j| kernel.affinity(image, i, j));
        (weight, move |i: usize, j: usize| norms[i] * kernel.affinity(image, i, j) * norms[j])
    });
    let terms: Vec<Term<'_>> = normalised.iter().map(|(weight, affinity)| Term { weight: *weight, affinity }).collect();
    Ok(mean_field(&log_p, classes, crf.iterations, &terms))
}
