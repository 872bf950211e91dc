//! Pseudo labels in two passes over the masks.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use pulp::Arch;
use rayon::prelude::*;
use wseg_core::pseudo::Cutoff;

use super::{
    element::{Element, elements, with_element},
    softmax::PIXELS,
};

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
    /// The pseudo labels of one image.
    fn label<T: Element>(&self, masks: &[T], pixels: usize, labels: &mut [T]) {
        let low = T::from_f64(self.cutoff.low);
        let thresholds: Vec<T> = masks
            .chunks_exact(pixels)
            .enumerate()
            .map(|(channel, mask)| {
                let share = T::from_f64(if channel == 0 { self.cutoff.background } else { self.cutoff.class });
                let peak = mask.iter().fold(mask[0], |peak, &value| value.larger(peak));
                (peak * share).larger(low)
            })
            .collect();
        let mut claims = [T::zero(); PIXELS];
        for from in (0..pixels).step_by(PIXELS) {
            let claims = &mut claims[..PIXELS.min(pixels - from)];
            claims.fill(T::zero());
            for (mask, &threshold) in masks.chunks_exact(pixels).zip(&thresholds) {
                for (claims, &value) in claims.iter_mut().zip(&mask[from..]) {
                    *claims += if value > threshold { T::one() } else { T::zero() };
                }
            }
            let channels = masks.chunks_exact(pixels).zip(labels.chunks_exact_mut(pixels));
            for ((mask, labels), &threshold) in channels.zip(&thresholds) {
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
            let arch = Arch::new();
            labels.par_chunks_mut(c * h * w).zip(masks.par_chunks(c * h * w)).for_each(|(labels, masks)| {
                arch.dispatch(|| self.label(masks, h * w, labels));
            });
            Ok((T::to_cpu_storage_owned(labels), layout.shape().clone()))
        })
    }
}
