//! Cross entropy against a class at each pixel, without a map of log-probabilities or of targets.

use candle_core::{
    CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail,
};
use rayon::prelude::*;

use super::{
    element::{Element, elements, on_host, with_element},
    lanes::vectorised,
    softmax::{PIXELS, normalisers},
};

/// The label of a pixel that counts for nothing.
pub const IGNORED: u8 = 255;

/// `-sum over pixels of w_y log_softmax(logits)_y / sum over pixels of w_y`, with `y` the label of a pixel: the mean over
/// the batch's pixels that are not [`IGNORED`], weighted by class. 0 if none is left.
///
/// # Shapes
/// logits `[n, c, h, w]`, labels `[n, 1, h, w]` of bytes, weights `[c]` -> `[1, 1, 1, 1]`
///
/// # Errors
/// If the shapes do not match or a label is neither a channel nor [`IGNORED`].
///
/// # Reference
/// PyTorch's `cross_entropy(weight=, ignore_index=255)`; [`wseg_core::loss::cross_entropy`] is the definition.
pub fn pixel_cross_entropy(logits: &Tensor, labels: &Tensor, weights: &[f64]) -> Result<Tensor> {
    let (n, c, h, w) = logits.dims4()?;
    if labels.dims() != [n, 1, h, w] || labels.dtype() != DType::U8 || weights.len() != c || logits.elem_count() == 0 {
        bail!(
            "a cross entropy of logits {:?} against labels {:?} of {:?} with {} weights",
            logits.dims(),
            labels.dims(),
            labels.dtype(),
            weights.len()
        );
    }
    logits.contiguous()?.apply_op2(&labels.contiguous()?, PixelCrossEntropy { weights: weights.to_vec() })
}

/// The sum of the weights of all pixels that are not [`IGNORED`]: how much a batch's loss counts among others.
///
/// # Errors
/// If the labels are no bytes or one is beyond the weights.
pub fn pixel_weight(labels: &Tensor, weights: &[f64]) -> Result<f64> {
    total(&labels.flatten_all()?.to_vec1()?, weights)
}

fn total(labels: &[u8], weights: &[f64]) -> Result<f64> {
    let mut counts = [0_u64; 256];
    labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
    if let Some(label) = (weights.len()..usize::from(IGNORED)).find(|&label| counts[label] > 0) {
        bail!("a cross entropy against the label {label} of {} classes", weights.len());
    }
    Ok(weights.iter().zip(counts).take(usize::from(IGNORED)).map(|(weight, count)| weight * count as f64).sum())
}

struct PixelCrossEntropy {
    weights: Vec<f64>,
}

vectorised! {
    /// The loss of one sample.
    ['a, T: Element] ['a, T]
    fn loss(logits: &'a [T], labels: &'a [u8], weights: &'a [T]) -> f64 {
        let (mut peak, mut total) = ([T::zero(); PIXELS], [T::zero(); PIXELS]);
        let (pixels, mut loss) = (labels.len(), 0.0);
        for from in (0..pixels).step_by(PIXELS) {
            let labels = &labels[from..pixels.min(from + PIXELS)];
            if labels.iter().all(|&label| label == IGNORED) {
                continue;
            }
            let (peak, total) = (&mut peak[..labels.len()], &mut total[..labels.len()]);
            normalisers(logits, pixels, from, peak, total);
            for (at, (&label, (&peak, &total))) in labels.iter().zip(peak.iter().zip(total.iter())).enumerate() {
                if let Some(&weight) = weights.get(usize::from(label)) {
                    let logit = logits[usize::from(label) * pixels + from + at];
                    loss += (weight * (total.ln() - (logit - peak))).to_f64();
                }
            }
        }
        loss
    }

    /// The gradient of one sample's loss, times `factor`: `w_y (softmax_c - [c = y])`. `gradients` are 0 before.
    ['a, T: Element] ['a, T]
    fn gradient(logits: &'a [T], labels: &'a [u8], weights: &'a [T], factor: T, gradients: &'a mut [T]) -> () {
        let (mut peak, mut total) = ([T::zero(); PIXELS], [T::zero(); PIXELS]);
        let pixels = labels.len();
        for from in (0..pixels).step_by(PIXELS) {
            let labels = &labels[from..pixels.min(from + PIXELS)];
            if labels.iter().all(|&label| label == IGNORED) {
                continue;
            }
            let (peak, total) = (&mut peak[..labels.len()], &mut total[..labels.len()]);
            normalisers(logits, pixels, from, peak, total);
            for (total, &label) in total.iter_mut().zip(labels) {
                *total = weights.get(usize::from(label)).map_or(T::zero(), |&weight| factor * weight / *total);
            }
            for c in 0..weights.len() {
                let range = c * pixels + from..c * pixels + from + labels.len();
                let inputs = logits[range.clone()].iter().zip(peak.iter().zip(total.iter()));
                for (gradient, (&logit, (&peak, &scale))) in gradients[range].iter_mut().zip(inputs) {
                    *gradient = (logit - peak).exp() * scale;
                }
            }
            for (at, &label) in labels.iter().enumerate() {
                if let Some(&weight) = weights.get(usize::from(label)) {
                    gradients[usize::from(label) * pixels + from + at] -= factor * weight;
                }
            }
        }
    }
}

impl PixelCrossEntropy {
    fn weights<T: Element>(&self) -> Vec<T> {
        // 255 channels at most: no label of a pixel that is ignored finds a weight.
        self.weights.iter().take(usize::from(IGNORED)).map(|&weight| T::from_f64(weight)).collect()
    }

    fn backward<T: Element>(&self, logits: &Tensor, labels: &[u8], dy: &Tensor) -> Result<Tensor> {
        let (_, c, h, w) = logits.dims4()?;
        let dy = dy.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?[0];
        let total = total(labels, &self.weights)?;
        let factor = T::from_f64(if total > 0.0 { dy / total } else { 0.0 });
        let weights = self.weights::<T>();
        let gradients = on_host::<T, 1, _>("pixel_cross_entropy", [logits], |[logits]| {
            let mut gradients = vec![T::zero(); logits.len()];
            let samples = logits.par_chunks(c * h * w).zip(labels.par_chunks(h * w));
            gradients.par_chunks_mut(c * h * w).zip(samples).for_each(|(gradients, (logits, labels))| {
                gradient(logits, labels, &weights, factor, gradients);
            });
            Ok(gradients)
        })?;
        Tensor::from_vec(gradients, logits.shape(), logits.device())
    }
}

impl CustomOp2 for PixelCrossEntropy {
    fn name(&self) -> &'static str {
        "pixel_cross_entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        labels: &CpuStorage,
        labels_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, c, h, w) = logits_layout.shape().dims4()?;
        let Some((start, end)) = labels_layout.contiguous_offsets() else { bail!("labels that are not contiguous") };
        let labels = &labels.as_slice::<u8>()?[start..end];
        let total = total(labels, &self.weights)?;
        with_element!(logits.dtype(), self.name(), T => {
            let logits = elements::<T>(self.name(), logits, logits_layout)?;
            let weights = self.weights::<T>();
            let samples = logits.par_chunks(c * h * w).zip(labels.par_chunks(h * w));
            let losses: Vec<f64> = samples.map(|(logits, labels)| loss(logits, labels, &weights)).collect();
            let mean = if total > 0.0 { losses.iter().sum::<f64>() / total } else { 0.0 };
            Ok((T::to_cpu_storage_owned(vec![mean as T]), Shape::from((1, 1, 1, 1))))
        })
    }

    fn bwd(
        &self,
        logits: &Tensor,
        labels: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let labels = labels.flatten_all()?.to_vec1::<u8>()?;
        with_element!(logits.dtype(), self.name(), T => Ok((Some(self.backward::<T>(logits, &labels, dy)?), None)))
    }
}
