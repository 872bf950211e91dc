//! Class-balanced cross entropy against pseudo labels, without a map of log-probabilities.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::kernels;
use super::{
    element::{Element, elements, on_host, with_element},
    lanes::vectorised,
    softmax::{PIXELS, normalisers},
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// `-sum_n a_n sum_c q_nc sum over pixels of pseudo * log_softmax(logits) / (pixels * max(1, sum_n a_n))`, with `a_n`
/// the claimed pixels of a sample and `q` the balancing weights. The pseudo labels are a constant to the gradient.
///
/// # Shapes
/// logits `[n, c, h, w]`, pseudo `[n, c, h, w]` -> `[1, 1, 1, 1]`
///
/// # Errors
/// If the shapes differ or are empty.
///
/// # Reference
/// Equations (21) to (23); [`wseg_core::loss::segmentation_loss`] is the definition.
pub fn balanced_cross_entropy(logits: &Tensor, pseudo: &Tensor) -> Result<Tensor> {
    logits.dims4()?;
    if logits.dims() != pseudo.dims() || logits.elem_count() == 0 {
        bail!("a cross entropy of logits {:?} against pseudo labels {:?}", logits.dims(), pseudo.dims());
    }
    logits.contiguous()?.apply_op2(&pseudo.detach().contiguous()?, BalancedCrossEntropy::default())
}

#[derive(Default)]
struct BalancedCrossEntropy {
    /// The weights of the classes, which a GPU's forward pass leaves for its backward pass.
    #[cfg(feature = "cuda")]
    weights: std::sync::OnceLock<Tensor>,
}

/// The weight of every class of every sample: `a_n q_nc / (pixels * max(1, sum a_n))`.
fn weights<T: Element>(pseudo: &[T], channels: usize, pixels: usize) -> Vec<T> {
    let counts: Vec<f64> = pseudo
        .par_chunks(pixels)
        // In pieces whose counts an f32 holds exactly.
        .map(|map| map.chunks(1 << 16).map(|piece| piece.iter().fold(T::zero(), |sum, &v| sum + v).to_f64()).sum())
        .collect();
    let totals: Vec<f64> = counts.chunks_exact(channels).map(|counts| counts.iter().sum()).collect();
    let divisor = pixels as f64 * totals.iter().sum::<f64>().max(1.0);
    let weight = |(counts, total): (&[f64], f64)| -> Vec<T> {
        counts.iter().map(|count| T::from_f64(total * ((total - count) / (1.0 + total)) / divisor)).collect()
    };
    counts.chunks_exact(channels).zip(totals).flat_map(weight).collect()
}

vectorised! {
    /// The loss of one sample.
    ['a, T: Element] ['a, T]
    fn loss(logits: &'a [T], pseudo: &'a [T], weights: &'a [T], pixels: usize) -> f64 {
        let (mut peak, mut total) = ([T::zero(); PIXELS], [T::zero(); PIXELS]);
        let mut loss = 0.0;
        for from in (0..pixels).step_by(PIXELS) {
            let count = PIXELS.min(pixels - from);
            let (peak, total) = (&mut peak[..count], &mut total[..count]);
            normalisers(logits, pixels, from, peak, total);
            for total in total.iter_mut() {
                *total = total.ln();
            }
            let mut sums = [T::zero(); PIXELS];
            for (c, &weight) in weights.iter().enumerate() {
                let range = c * pixels + from..c * pixels + from + count;
                let inputs = logits[range.clone()].iter().zip(&pseudo[range]).zip(peak.iter().zip(total.iter()));
                for (sum, ((&logit, &pseudo), (&peak, &log))) in sums.iter_mut().zip(inputs) {
                    *sum += weight * pseudo * ((logit - peak) - log);
                }
            }
            for sum in &sums[..count] {
                loss -= sum.to_f64();
            }
        }
        loss
    }

    /// The gradient of one sample's loss, times `factor`: `softmax_c sum_k v_k - v_c` with `v = weight * pseudo`.
    /// `gradients` are 0 before.
    ['a, T: Element] ['a, T]
    fn gradient(
        logits: &'a [T],
        pseudo: &'a [T],
        weights: &'a [T],
        pixels: usize,
        factor: T,
        gradients: &'a mut [T],
    ) -> () {
        let (mut peak, mut total) = ([T::zero(); PIXELS], [T::zero(); PIXELS]);
        for from in (0..pixels).step_by(PIXELS) {
            let count = PIXELS.min(pixels - from);
            let (peak, total) = (&mut peak[..count], &mut total[..count]);
            let mut claimed = [T::zero(); PIXELS];
            for (c, &weight) in weights.iter().enumerate() {
                let pseudo = &pseudo[c * pixels + from..][..count];
                for (claimed, &pseudo) in claimed.iter_mut().zip(pseudo) {
                    *claimed += factor * weight * pseudo;
                }
            }
            // Where nobody claims anything the gradient is 0, and no exponential is needed.
            if claimed[..count].iter().all(|&claimed| claimed == T::zero()) {
                continue;
            }
            normalisers(logits, pixels, from, peak, total);
            for (total, &claimed) in total.iter_mut().zip(&claimed) {
                *total = claimed / *total;
            }
            for (c, &weight) in weights.iter().enumerate() {
                let range = c * pixels + from..c * pixels + from + count;
                let inputs = logits[range.clone()].iter().zip(&pseudo[range.clone()]);
                let inputs = inputs.zip(peak.iter().zip(total.iter()));
                for (gradient, ((&logit, &pseudo), (&peak, &scale))) in gradients[range].iter_mut().zip(inputs) {
                    *gradient = (logit - peak).exp() * scale - factor * weight * pseudo;
                }
            }
        }
    }
}

impl BalancedCrossEntropy {
    fn backward<T: Element>(&self, logits: &Tensor, pseudo: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let (_, c, h, w) = logits.dims4()?;
        let pixels = h * w;
        let factor = T::from_f64(dy.flatten_all()?.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?[0]);
        let gradients = on_host::<T, 2, _>("cross_entropy", [logits, pseudo], |[logits, pseudo]| {
            let weights = weights(pseudo, c, pixels);
            let mut gradients = vec![T::zero(); logits.len()];
            let samples = logits.par_chunks(c * pixels).zip(pseudo.par_chunks(c * pixels)).zip(weights.par_chunks(c));
            gradients.par_chunks_mut(c * pixels).zip(samples).for_each(|(gradients, ((logits, pseudo), weights))| {
                gradient(logits, pseudo, weights, pixels, factor, gradients);
            });
            Ok(gradients)
        })?;
        Tensor::from_vec(gradients, logits.shape(), logits.device())
    }
}

impl CustomOp2 for BalancedCrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        pseudo: &CpuStorage,
        pseudo_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, c, h, w) = logits_layout.shape().dims4()?;
        let pixels = h * w;
        with_element!(logits.dtype(), self.name(), T => {
            let logits = elements::<T>(self.name(), logits, logits_layout)?;
            let pseudo = elements::<T>(self.name(), pseudo, pseudo_layout)?;
            let weights = weights(pseudo, c, pixels);
                let samples = logits.par_chunks(c * pixels).zip(pseudo.par_chunks(c * pixels)).zip(weights.par_chunks(c));
            let losses: Vec<f64> = samples
                .map(|((logits, pseudo), weights)| loss(logits, pseudo, weights, pixels))
                .collect();
            let total = vec![losses.iter().sum::<f64>() as T];
            Ok((T::to_cpu_storage_owned(total), Shape::from((1, 1, 1, 1))))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        logits_layout: &Layout,
        pseudo: &CudaStorage,
        pseudo_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (n, c, h, w) = logits_layout.shape().dims4()?;
        let logits = Memory::new(self.name(), storage, logits_layout)?;
        let pseudo = Memory::new(self.name(), pseudo, pseudo_layout)?;
        let gpu = Gpu::new(storage);
        let weights = kernels::cross_entropy::weights(&gpu, &pseudo, c, h * w)?;
        let loss = kernels::cross_entropy::forward(&gpu, [&logits, &pseudo, &weights], c, h * w)?;
        // A second forward pass of the same operation would compute the same.
        let _ = self.weights.set(weights.into_tensor((n, c))?);
        Ok((loss.into_storage()?, Shape::from((1, 1, 1, 1))))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        pseudo: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if logits.device().is_cuda() {
            let (_, c, h, w) = logits.dims4()?;
            let Some(weights) = self.weights.get() else { bail!("cross entropy: no weights from the forward pass") };
            return on_device(self.name(), [logits, pseudo, weights, &dy.contiguous()?], |tensors| {
                let gpu = Gpu::of(&tensors[0]);
                let [on_gpu, pseudo, weights, dy] = tensors.map(Memory::from);
                let tensors = [&on_gpu, &pseudo, &weights, &dy];
                let gradient = kernels::cross_entropy::backward(&gpu, tensors, c, h * w)?;
                Ok((Some(gradient.into_tensor(logits.shape())?), None))
            });
        }
        with_element!(logits.dtype(), self.name(), T => Ok((Some(self.backward::<T>(logits, pseudo, dy)?), None)))
    }
}
