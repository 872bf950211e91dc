//! Batch normalisation with the batch's own statistics.

use std::sync::{Arc, OnceLock};

use candle_core::{
    CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail,
};
use rayon::prelude::*;

use super::element::{Element, elements, on_host, with_element};

/// What [`batch_norm_train`] gives.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// The normalised map, `[n, c, h, w]`.
    pub output: Tensor,
    /// Mean of each channel over batch and pixels, `[c]`, without gradient.
    pub mean: Tensor,
    /// Variance of each channel over batch and pixels, `[c]`, without gradient. It is the biased one (divided by the
    /// number of pixels `m`); PyTorch's running variance takes `m / (m - 1)` times this.
    pub variance: Tensor,
}

/// `gamma (x - mean) / sqrt(variance + eps) + beta`, each channel by its own mean and variance over the batch, then
/// ReLU if `relu`. The gradient runs through mean and variance; at 0 the rectification's gradient is 0. Running
/// statistics are the caller's to keep, from the mean and the variance returned.
///
/// # Shapes
/// x `[n, c, h, w]`, gamma and beta `[c]` -> output `[n, c, h, w]`, mean and variance `[c]`
///
/// # Errors
/// If the shapes do not match or the map is empty.
///
/// # Reference
/// Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 1.
pub fn batch_norm_train(x: &Tensor, gamma: &Tensor, beta: &Tensor, eps: f64, relu: bool) -> Result<BatchNorm> {
    let (n, c, h, w) = x.dims4()?;
    if gamma.dims() != [c] || beta.dims() != [c] {
        bail!("batch norm of {c} channels with gamma {:?} and beta {:?}", gamma.dims(), beta.dims());
    }
    if n * h * w == 0 {
        bail!("batch norm of an empty map {:?}", x.dims());
    }
    let statistics = Arc::new(OnceLock::new());
    let op = BatchNormOp { eps, relu, statistics: statistics.clone() };
    let output = x.contiguous()?.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?;
    let statistics = statistics.get().ok_or_else(missing)?;
    let vector = |select: fn(&Statistics) -> f64| {
        let values: Vec<f64> = statistics.iter().map(select).collect();
        Tensor::from_vec(values, c, x.device())?.to_dtype(x.dtype())
    };
    Ok(BatchNorm { mean: vector(|s| s.mean)?, variance: vector(|s| s.variance)?, output })
}

/// Mean and variance of a channel.
#[derive(Clone, Copy, Debug)]
struct Statistics {
    mean: f64,
    variance: f64,
}

struct BatchNormOp {
    eps: f64,
    relu: bool,
    /// Of each channel; left by the forward pass for the backward pass and the caller.
    statistics: Arc<OnceLock<Vec<Statistics>>>,
}

fn missing() -> Error {
    Error::Msg("batch norm: no statistics from the forward pass".into())
}

/// The planes of one channel.
fn planes<T>(x: &[T], channel: usize, channels: usize, pixels: usize) -> impl Iterator<Item = &[T]> + Clone {
    x.chunks_exact(pixels).skip(channel).step_by(channels)
}

/// Sum of `term` over two slices, in 16 interleaved partial sums that a compiler keeps in vector registers.
fn sum_pairs<T: Element>(a: &[T], b: &[T], term: impl Fn(T, T) -> T) -> f64 {
    const LANES: usize = 16;
    let mut partial = [T::zero(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| term(a, b).to_f64()).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((partial, &a), &b) in partial.iter_mut().zip(a).zip(b) {
            *partial += term(a, b);
        }
    }
    rest + partial.iter().map(|sum| sum.to_f64()).sum::<f64>()
}

impl BatchNormOp {
    /// Channel-major output: each task owns a channel; its planes are put in place afterwards.
    fn forward<T: Element>(&self, x: &[T], gamma: &[T], beta: &[T], pixels: usize) -> (Vec<T>, Vec<Statistics>) {
        let channels = gamma.len();
        let samples = (x.len() / channels) as f64;
        let statistics: Vec<Statistics> = (0..channels)
            .into_par_iter()
            .map(|channel| {
                let planes = planes(x, channel, channels, pixels);
                let sum: f64 = planes.clone().map(|x| sum_pairs(x, x, |x, _| x)).sum();
                let mean = sum / samples;
                let centre = T::from_f64(mean);
                let squares: f64 = planes.map(|x| sum_pairs(x, x, |x, _| (x - centre) * (x - centre))).sum();
                Statistics { mean, variance: squares / samples }
            })
            .collect();
        let mut y = vec![T::zero(); x.len()];
        y.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).enumerate().for_each(|(plane, (y, x))| {
            let channel = plane % channels;
            let Statistics { mean, variance } = statistics[channel];
            let scale = gamma[channel].to_f64() / (variance + self.eps).sqrt();
            let shift = T::from_f64(beta[channel].to_f64() - mean * scale);
            let scale = T::from_f64(scale);
            if self.relu {
                for (y, &x) in y.iter_mut().zip(x) {
                    let value = x * scale + shift;
                    *y = if value > T::zero() { value } else { T::zero() };
                }
            } else {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = x * scale + shift);
            }
        });
        (y, statistics)
    }

    fn backward<T: Element>(&self, x: &Tensor, gamma: &Tensor, y: &Tensor, dy: &Tensor) -> Result<[Tensor; 3]> {
        let (_, channels, h, w) = x.dims4()?;
        let pixels = h * w;
        let dy = dy.contiguous()?;
        let statistics = self.statistics.get().ok_or_else(missing)?;
        let (dx, sums) = on_host::<T, 4, _>("batch_norm", [x, gamma, y, &dy], |[x, gamma, y, dy]| {
            let rectified: Vec<T>;
            let dy = if self.relu {
                let mut kept = vec![T::zero(); dy.len()];
                kept.par_chunks_mut(pixels).zip(y.par_chunks(pixels)).zip(dy.par_chunks(pixels)).for_each(
                    |((kept, y), dy)| {
                        for ((kept, &y), &dy) in kept.iter_mut().zip(y).zip(dy) {
                            *kept = if y > T::zero() { dy } else { T::zero() };
                        }
                    },
                );
                rectified = kept;
                &rectified[..]
            } else {
                dy
            };
            let sums: Vec<(f64, f64)> = (0..channels)
                .into_par_iter()
                .map(|channel| {
                    let mean = T::from_f64(statistics[channel].mean);
                    let pairs = planes(x, channel, channels, pixels).zip(planes(dy, channel, channels, pixels));
                    pairs.fold((0.0, 0.0), |(plain, centred), (x, dy)| {
                        (plain + sum_pairs(x, dy, |_, dy| dy), centred + sum_pairs(x, dy, |x, dy| (x - mean) * dy))
                    })
                })
                .collect();
            let samples = (x.len() / channels) as f64;
            let mut dx = vec![T::zero(); x.len()];
            let planes = dx.par_chunks_mut(pixels).zip(x.par_chunks(pixels).zip(dy.par_chunks(pixels))).enumerate();
            planes.for_each(|(plane, (dx, (x, dy)))| {
                let channel = plane % channels;
                let (plain, centred) = sums[channel];
                let Statistics { mean, variance } = statistics[channel];
                let deviation = (variance + self.eps).sqrt();
                let scale = gamma[channel].to_f64() / deviation;
                // dx = scale (dy - mean(dy) - normalised x * mean(dy * normalised x)), as a x + b dy + c.
                let slope = -scale * centred / (samples * (variance + self.eps));
                let offset = T::from_f64(-scale * plain / samples - slope * mean);
                let (slope, scale) = (T::from_f64(slope), T::from_f64(scale));
                for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                    *dx = scale * dy + (slope * x + offset);
                }
            });
            Ok((dx, sums))
        })?;
        let vector = |values: Vec<f64>| Tensor::from_vec(values, channels, x.device())?.to_dtype(x.dtype());
        let deviations = statistics.iter().map(|s| (s.variance + self.eps).sqrt());
        let dgamma =
            vector(sums.iter().zip(deviations).map(|((_, centred), deviation)| centred / deviation).collect())?;
        let dbeta = vector(sums.iter().map(|(plain, _)| *plain).collect())?;
        Ok([Tensor::from_vec(dx, x.shape(), x.device())?, dgamma, dbeta])
    }
}

impl CustomOp3 for BatchNormOp {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, _, h, w) = x_layout.shape().dims4()?;
        with_element!(x.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), x, x_layout)?;
            let gamma = elements::<T>(self.name(), gamma, gamma_layout)?;
            let beta = elements::<T>(self.name(), beta, beta_layout)?;
            let (y, statistics) = self.forward(x, gamma, beta, h * w);
            // A second forward pass of the same operation would compute the same.
            let _ = self.statistics.set(statistics);
            Ok((T::to_cpu_storage_owned(y), x_layout.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dgamma, dbeta] = with_element!(x.dtype(), self.name(), T => self.backward::<T>(x, gamma, y, dy))?;
        Ok((x.track_op().then_some(dx), gamma.track_op().then_some(dgamma), beta.track_op().then_some(dbeta)))
    }
}
