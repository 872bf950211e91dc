//! Softmax and log-softmax over channels, in one pass over the pixels.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use pulp::Arch;
use rayon::prelude::*;

use super::element::{Element, elements, on_host, with_element};

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
    let channel = |c: usize| &x[c * stride + from..][..peak.len()];
    peak.copy_from_slice(channel(0));
    for c in 1..channels {
        let x = &x[c * stride + from..][..peak.len()];
        peak.iter_mut().zip(x).for_each(|(peak, &x)| *peak = x.larger(*peak));
    }
    total.fill(T::zero());
    for c in 0..channels {
        let x = &x[c * stride + from..][..peak.len()];
        total.iter_mut().zip(x).zip(peak.iter()).for_each(|((total, &x), &peak)| *total += (x - peak).exp());
    }
}

impl Softmax {
    fn forward<T: Element>(self, x: &[T], channels: usize, pixels: usize) -> Vec<T> {
        let mut y = vec![T::zero(); x.len()];
        let arch = Arch::new();
        y.par_chunks_mut((channels * pixels).max(1)).zip(x.par_chunks((channels * pixels).max(1))).for_each(
            |(y, x)| {
                arch.dispatch(|| {
                    let (mut peak, mut total) = ([T::zero(); PIXELS], [T::zero(); PIXELS]);
                    for from in (0..pixels).step_by(PIXELS) {
                        let count = PIXELS.min(pixels - from);
                        let (peak, total) = (&mut peak[..count], &mut total[..count]);
                        normalisers(x, pixels, from, peak, total);
                        match self {
                            Self::Plain => total.iter_mut().for_each(|total| *total = T::one() / *total),
                            Self::Logarithm => total.iter_mut().for_each(|total| *total = total.ln()),
                        }
                        for c in 0..channels {
                            let x = &x[c * pixels + from..][..count];
                            let y = &mut y[c * pixels + from..][..count];
                            let terms = y.iter_mut().zip(x).zip(peak.iter().zip(total.iter()));
                            match self {
                                Self::Plain => {
                                    terms.for_each(|((y, &x), (&peak, &scale))| *y = (x - peak).exp() * scale)
                                }
                                // In this order: the maximum may be large, the logarithm is small.
                                Self::Logarithm => terms.for_each(|((y, &x), (&peak, &log))| *y = (x - peak) - log),
                            }
                        }
                    }
                });
            },
        );
        y
    }

    fn backward<T: Element>(self, y: &[T], dy: &[T], channels: usize, pixels: usize) -> Vec<T> {
        let mut dx = vec![T::zero(); y.len()];
        let arch = Arch::new();
        let image = (channels * pixels).max(1);
        dx.par_chunks_mut(image).zip(y.par_chunks(image).zip(dy.par_chunks(image))).for_each(|(dx, (y, dy))| {
            arch.dispatch(|| {
                let mut total = [T::zero(); PIXELS];
                for from in (0..pixels).step_by(PIXELS) {
                    let count = PIXELS.min(pixels - from);
                    let total = &mut total[..count];
                    total.fill(T::zero());
                    for c in 0..channels {
                        let range = c * pixels + from..c * pixels + from + count;
                        let terms = total.iter_mut().zip(&y[range.clone()]).zip(&dy[range]);
                        match self {
                            Self::Plain => terms.for_each(|((total, &y), &dy)| *total += y * dy),
                            Self::Logarithm => terms.for_each(|((total, _), &dy)| *total += dy),
                        }
                    }
                    for c in 0..channels {
                        let range = c * pixels + from..c * pixels + from + count;
                        let terms = dx[range.clone()].iter_mut().zip(&y[range.clone()]).zip(&dy[range]).zip(&*total);
                        match self {
                            Self::Plain => terms.for_each(|(((dx, &y), &dy), &total)| *dx = y * (dy - total)),
                            Self::Logarithm => terms.for_each(|(((dx, &y), &dy), &total)| *dx = dy - y.exp() * total),
                        }
                    }
                }
            });
        });
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
            let y = self.forward(elements::<T>(self.name(), storage, layout)?, c, h * w);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, c, h, w) = x.dims4()?;
        let dy = dy.contiguous()?;
        with_element!(x.dtype(), self.name(), T => {
            let dx = on_host::<T, 2, _>(self.name(), [y, &dy], |[y, dy]| Ok(self.backward(y, dy, c, h * w)))?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}
