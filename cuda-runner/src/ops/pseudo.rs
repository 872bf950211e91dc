//! Pseudo labels in two passes over the masks.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;
use wseg_core::pseudo::Cutoff;

#[cfg(feature = "cuda")]
use super::kernels;
use super::{
    element::{Element, elements, with_element},
    lanes::vectorised,
    softmax::PIXELS,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory};

/// One-hot pseudo labels of masks, the background first. Without gradient.
///
/// # Shapes
/// masks `[n, c + 1, h, w]` -> `[n, c + 1, h, w]` in {0, 1}
///
/// # Errors
/// If the masks are empty.
///
/// # Reference
/// [`wseg_core::pseudo::pseudo_labels`] is the definition.
pub fn pseudo_labels(masks: &Tensor, cutoff: &Cutoff) -> Result<Tensor> {
    if masks.dims4()?.1 == 0 || masks.elem_count() == 0 {
        bail!("pseudo labels of empty masks {:?}", masks.dims());
    }
    masks.contiguous()?.apply_op1_no_bwd(&Claims { cutoff: *cutoff })
}

struct Claims {
    cutoff: Cutoff,
}

impl Claims {
    /// What a channel's masks must exceed.
    fn threshold<T: Element>(&self, channel: usize, mask: &[T]) -> T {
        let share = T::from_f64(if channel == 0 { self.cutoff.background } else { self.cutoff.class });
        (largest(mask) * share).larger(T::from_f64(self.cutoff.low))
    }
}

vectorised! {
    /// The largest element.
    ['a, T: Element] ['a, T]
    fn largest(mask: &'a [T]) -> T {
        const LANES: usize = 32;
        let mut peaks = [mask[0]; LANES];
        for mask in mask.chunks(LANES) {
            for (peak, &value) in peaks.iter_mut().zip(mask) {
                *peak = value.larger(*peak);
            }
        }
        let mut peak = mask[0];
        for value in peaks {
            peak = value.larger(peak);
        }
        peak
    }

    /// The pseudo labels of one image.
    ['a, T: Element] ['a, T]
    fn label(masks: &'a [T], thresholds: &'a [T], pixels: usize, labels: &'a mut [T]) -> () {
        let mut claims = [T::zero(); PIXELS];
        for from in (0..pixels).step_by(PIXELS) {
            let claims = &mut claims[..PIXELS.min(pixels - from)];
            claims.fill(T::zero());
            for (mask, &threshold) in masks.chunks_exact(pixels).zip(thresholds) {
                for (claims, &value) in claims.iter_mut().zip(&mask[from..]) {
                    *claims += if value > threshold { T::one() } else { T::zero() };
                }
            }
            let channels = masks.chunks_exact(pixels).zip(labels.chunks_exact_mut(pixels));
            for ((mask, labels), &threshold) in channels.zip(thresholds) {
                for ((label, &value), &claims) in labels[from..].iter_mut().zip(&mask[from..]).zip(claims.iter()) {
                    let sole = value > threshold && claims == T::one();
                    *label = if sole { T::one() } else { T::zero() };
                }
            }
        }
    }
}

impl CustomOp1 for Claims {
    fn name(&self) -> &'static str {
        "pseudo_labels"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, c, h, w) = layout.shape().dims4()?;
        with_element!(storage.dtype(), self.name(), T => {
            let masks = elements::<T>(self.name(), storage, layout)?;
            let mut labels = vec![0.0 as T; masks.len()];
            labels.par_chunks_mut(c * h * w).zip(masks.par_chunks(c * h * w)).for_each(|(labels, masks)| {
                let channels = masks.chunks_exact(h * w).enumerate();
                let thresholds: Vec<T> = channels.map(|(channel, mask)| self.threshold(channel, mask)).collect();
                label(masks, &thresholds, h * w, labels);
            });
            Ok((T::to_cpu_storage_owned(labels), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (_, c, h, w) = layout.shape().dims4()?;
        let masks = Memory::new(self.name(), storage, layout)?;
        let labels = kernels::pseudo::labels(&Gpu::new(storage), &masks, c, h * w, &self.cutoff)?;
        Ok((labels.into_storage()?, layout.shape().clone()))
    }
}
