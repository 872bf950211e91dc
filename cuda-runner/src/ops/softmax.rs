//! Softmax and log-softmax over channels, in one pass over the pixels.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::kernels;
use super::{
    element::{Element, elements, on_host, with_element},
    lanes::vectorised,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// `exp(x_c) / sum_k exp(x_k)` over the channels, finite for any finite x.
///
/// # Shapes
/// `[n, c, h, w]`, kept
///
/// # Errors
/// If there is no channel.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    apply(x, Softmax::Plain)
}

/// `x_c - ln sum_k exp(x_k)` over the channels, finite for any finite x.
///
/// # Shapes
/// `[n, c, h, w]`, kept
///
/// # Errors
/// If there is no channel.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    apply(x, Softmax::Logarithm)
}

fn apply(x: &Tensor, op: Softmax) -> Result<Tensor> {
    match x.dims4()? {
        (_, 0, ..) => bail!("softmax over no channel"),
        _ => x.contiguous()?.apply_op1(op),
    }
}

/// Pixels worked on at once: their maxima and sums stay in the first-level cache.
pub(super) const PIXELS: usize = 512;

#[derive(Clone, Copy)]
enum Softmax {
    Plain,
    Logarithm,
}

/// `peak` and `total` of some pixels: the largest channel, and the sum of `exp(x - peak)` over channels, which are
/// `stride` apart in `x`.
#[inline(always)]
pub(super) fn normalisers<T: Element>(x: &[T], stride: usize, from: usize, peak: &mut [T], total: &mut [T]) {
    let channels = x.len() / stride;
    peak.copy_from_slice(&x[from..][..peak.len()]);
    for c in 1..channels {
        for (peak, &x) in peak.iter_mut().zip(&x[c * stride + from..]) {
            *peak = x.larger(*peak);
        }
    }
    total.fill(T::zero());
    for c in 0..channels {
        for ((total, &x), &peak) in total.iter_mut().zip(&x[c * stride + from..]).zip(peak.iter()) {
            *total += (x - peak).exp();
        }
    }
}

vectorised! {
    /// The softmax of one image, or its logarithm.
    ['a, T: Element] ['a, T]
    fn forward(op: Softmax, x: &'a [T], pixels: usize, y: &'a mut [T]) -> () {
        let (mut peak, mut total) = ([T::zero(); PIXELS], [T::zero(); PIXELS]);
        for from in (0..pixels).step_by(PIXELS) {
            let count = PIXELS.min(pixels - from);
            let (peak, total) = (&mut peak[..count], &mut total[..count]);
            normalisers(x, pixels, from, peak, total);
            for total in total.iter_mut() {
                *total = match op {
                    Softmax::Plain => T::one() / *total,
                    Softmax::Logarithm => total.ln(),
                };
            }
            for start in (from..x.len()).step_by(pixels) {
                let pairs = y[start..start + count].iter_mut().zip(&x[start..start + count]);
                for ((y, &x), (&peak, &total)) in pairs.zip(peak.iter().zip(total.iter())) {
                    *y = match op {
                        Softmax::Plain => (x - peak).exp() * total,
                        // In this order: the maximum may be large, the logarithm is small.
                        Softmax::Logarithm => (x - peak) - total,
                    };
                }
            }
        }
    }

    /// The gradient of one image.
    ['a, T: Element] ['a, T]
    fn backward(op: Softmax, y: &'a [T], dy: &'a [T], pixels: usize, dx: &'a mut [T]) -> () {
        let mut total = [T::zero(); PIXELS];
        for from in (0..pixels).step_by(PIXELS) {
            let count = PIXELS.min(pixels - from);
            let total = &mut total[..count];
            total.fill(T::zero());
            for start in (from..y.len()).step_by(pixels) {
                let pairs = y[start..start + count].iter().zip(&dy[start..start + count]);
                for (total, (&y, &dy)) in total.iter_mut().zip(pairs) {
                    *total += match op {
                        Softmax::Plain => y * dy,
                        Softmax::Logarithm => dy,
                    };
                }
            }
            for start in (from..y.len()).step_by(pixels) {
                let pairs = y[start..start + count].iter().zip(&dy[start..start + count]);
                for ((dx, (&y, &dy)), &total) in dx[start..start + count].iter_mut().zip(pairs).zip(total.iter()) {
                    *dx = match op {
                        Softmax::Plain => y * (dy - total),
                        Softmax::Logarithm => dy - y.exp() * total,
                    };
                }
            }
        }
    }
}

impl Softmax {
    fn run<T: Element>(self, x: &[T], channels: usize, pixels: usize) -> Vec<T> {
        let image = (channels * pixels).max(1);
        let mut y = vec![T::zero(); x.len()];
        y.par_chunks_mut(image).zip(x.par_chunks(image)).for_each(|(y, x)| forward(self, x, pixels, y));
        y
    }

    fn gradient<T: Element>(self, y: &[T], dy: &[T], channels: usize, pixels: usize) -> Vec<T> {
        let image = (channels * pixels).max(1);
        let mut dx = vec![T::zero(); y.len()];
        let images = dx.par_chunks_mut(image).zip(y.par_chunks(image).zip(dy.par_chunks(image)));
        images.for_each(|(dx, (y, dy))| backward(self, y, dy, pixels, dx));
        dx
    }
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        match self {
            Self::Plain => "softmax",
            Self::Logarithm => "log_softmax",
        }
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, c, h, w) = layout.shape().dims4()?;
        with_element!(storage.dtype(), self.name(), T => {
            let y = self.run(elements::<T>(self.name(), storage, layout)?, c, h * w);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (_, c, h, w) = layout.shape().dims4()?;
        let x = Memory::new(self.name(), storage, layout)?;
        let y = kernels::softmax::forward(&Gpu::new(storage), self.name(), &x, c, h * w)?;
        Ok((y.into_storage()?, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, c, h, w) = x.dims4()?;
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return on_device(self.name(), [y, &dy], |[y, dy]| {
                let gpu = Gpu::of(&y);
                let dx = kernels::softmax::backward(&gpu, self.name(), [&y.into(), &dy.into()], c, h * w)?;
                Ok(Some(dx.into_tensor(x.shape())?))
            });
        }
        with_element!(x.dtype(), self.name(), T => {
            let dx = on_host::<T, 2, _>(self.name(), [y, &dy], |[y, dy]| Ok(self.gradient(y, dy, c, h * w)))?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}
