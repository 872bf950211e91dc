//! Batch normalisation with the batch's own statistics.

use std::{
    mem::MaybeUninit,
    sync::{Arc, OnceLock},
};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{
    CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail,
};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::kernels::norm::Maps;
use super::{
    element::{Element, elements, on_host, with_element, written},
    lanes::vectorised,
    scale_shift::transform,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

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
    #[cfg(feature = "cuda")]
    let on_gpu = Arc::new(OnceLock::new());
    let op = BatchNormOp {
        eps,
        relu,
        statistics: statistics.clone(),
        #[cfg(feature = "cuda")]
        on_gpu: on_gpu.clone(),
    };
    let output = x.contiguous()?.apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?;
    #[cfg(feature = "cuda")]
    if let Some([mean, variance]) = on_gpu.get() {
        return Ok(BatchNorm { mean: mean.clone(), variance: variance.clone(), output });
    }
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
    /// The same, mean and variance, where they are on a GPU.
    #[cfg(feature = "cuda")]
    on_gpu: Arc<OnceLock<[Tensor; 2]>>,
}

fn missing() -> Error {
    Error::Msg("batch norm: no statistics from the forward pass".into())
}

/// The planes of one channel.
fn planes<T>(x: &[T], channel: usize, channels: usize, pixels: usize) -> impl Iterator<Item = &[T]> + Clone {
    x.chunks_exact(pixels).skip(channel).step_by(channels)
}

/// The planes of every channel, to be written.
fn planes_mut<T>(y: &mut [T], channels: usize, pixels: usize) -> Vec<Vec<&mut [T]>> {
    let images = y.len() / pixels / channels;
    let mut planes: Vec<Vec<&mut [T]>> = (0..channels).map(|_| Vec::with_capacity(images)).collect();
    for (index, plane) in y.chunks_exact_mut(pixels).enumerate() {
        planes[index % channels].push(plane);
    }
    planes
}

/// Interleaved partial sums that stay in vector registers.
const LANES: usize = 32;

vectorised! {
    /// Sum of `x - centre`, or of its squares.
    ['a, T: Element] ['a, T]
    fn moment(x: &'a [T], centre: T, squared: bool) -> f64 {
        let mut partial = [T::zero(); LANES];
        let whole = x.len() / LANES * LANES;
        for x in x.chunks_exact(LANES) {
            for lane in 0..LANES {
                let distance = x[lane] - centre;
                partial[lane] += if squared { distance * distance } else { distance };
            }
        }
        let mut sum = 0.0;
        for &x in &x[whole..] {
            let distance = x - centre;
            sum += (if squared { distance * distance } else { distance }).to_f64();
        }
        for partial in partial {
            sum += partial.to_f64();
        }
        sum
    }

    /// Sums of the gradients that the rectification lets pass, and of their products with `x - centre`.
    ['a, T: Element] ['a, T]
    pub(super) fn gradient_sums(x: &'a [T], y: &'a [T], dy: &'a [T], centre: T, relu: bool) -> (f64, f64) {
        let (mut plain, mut centred) = ([T::zero(); LANES], [T::zero(); LANES]);
        let whole = x.len() / LANES * LANES;
        for ((x, y), dy) in x.chunks_exact(LANES).zip(y.chunks_exact(LANES)).zip(dy.chunks_exact(LANES)) {
            for lane in 0..LANES {
                let dy = if !relu || y[lane] > T::zero() { dy[lane] } else { T::zero() };
                plain[lane] += dy;
                centred[lane] += (x[lane] - centre) * dy;
            }
        }
        let mut sums = (0.0, 0.0);
        for index in whole..x.len() {
            let dy = if !relu || y[index] > T::zero() { dy[index] } else { T::zero() };
            sums.0 += dy.to_f64();
            sums.1 += ((x[index] - centre) * dy).to_f64();
        }
        for lane in 0..LANES {
            sums.0 += plain[lane].to_f64();
            sums.1 += centred[lane].to_f64();
        }
        sums
    }

    /// Writes `factors[0] * dy + factors[1] * x + factors[2]`, with the `dy` that the rectification lets pass, to
    /// every element of `dx`, which is as long as the inputs.
    ['a, T: Element] ['a, T]
    pub(super) fn input_gradient(
        x: &'a [T],
        y: &'a [T],
        dy: &'a [T],
        factors: [T; 3],
        relu: bool,
        dx: &'a mut [MaybeUninit<T>],
    ) -> () {
        for (((dx, &x), &y), &dy) in dx.iter_mut().zip(x).zip(y).zip(dy) {
            let dy = if !relu || y > T::zero() { dy } else { T::zero() };
            dx.write(factors[0] * dy + (factors[1] * x + factors[2]));
        }
    }
}

impl BatchNormOp {
    /// Every task owns a channel, whose pixels stay in its cache from the first sum to the output.
    fn forward<T: Element>(&self, x: &[T], gamma: &[T], beta: &[T], pixels: usize) -> (Vec<T>, Vec<Statistics>) {
        let channels = gamma.len();
        let samples = (x.len() / channels) as f64;
        let mut statistics = Vec::new();
        let normalise = |(channel, outputs): (usize, Vec<&mut [MaybeUninit<T>]>)| {
            let planes = planes(x, channel, channels, pixels);
            let mean = planes.clone().map(|x| moment(x, T::zero(), false)).sum::<f64>() / samples;
            let centre = T::from_f64(mean);
            let variance = planes.clone().map(|x| moment(x, centre, true)).sum::<f64>() / samples;
            let scale = gamma[channel].to_f64() / (variance + self.eps).sqrt();
            let shift = T::from_f64(beta[channel].to_f64() - mean * scale);
            for (x, y) in planes.zip(outputs) {
                transform(x, T::from_f64(scale), shift, self.relu, y);
            }
            Statistics { mean, variance }
        };
        // SAFETY: every plane belongs to one channel, and `transform` writes all of it.
        let y = unsafe {
            written(x.len(), |y| {
                statistics = planes_mut(y, channels, pixels).into_par_iter().enumerate().map(normalise).collect();
            })
        };
        (y, statistics)
    }

    fn backward<T: Element>(&self, x: &Tensor, gamma: &Tensor, y: &Tensor, dy: &Tensor) -> Result<[Tensor; 3]> {
        let (_, channels, h, w) = x.dims4()?;
        let pixels = h * w;
        let dy = dy.contiguous()?;
        let statistics = self.statistics.get().ok_or_else(missing)?;
        let (dx, sums) = on_host::<T, 4, _>("batch_norm", [x, gamma, y, &dy], |[x, gamma, y, dy]| {
            let samples = (x.len() / channels) as f64;
            let mut sums: Vec<(f64, f64)> = Vec::new();
            let differentiate = |(channel, outputs): (usize, Vec<&mut [MaybeUninit<T>]>)| {
                let of = |t| planes(t, channel, channels, pixels);
                let inputs = of(x).zip(of(y)).zip(of(dy));
                let Statistics { mean, variance } = statistics[channel];
                let (mut plain, mut centred) = (0.0, 0.0);
                for ((x, y), dy) in inputs.clone() {
                    let of_plane = gradient_sums(x, y, dy, T::from_f64(mean), self.relu);
                    plain += of_plane.0;
                    centred += of_plane.1;
                }
                // dx = scale (dy - mean(dy) - normalised x * mean(dy * normalised x)), as a dy + b x + c.
                let scale = gamma[channel].to_f64() / (variance + self.eps).sqrt();
                let slope = -scale * centred / (samples * (variance + self.eps));
                let factors = [scale, slope, -scale * plain / samples - slope * mean].map(T::from_f64);
                for (((x, y), dy), dx) in inputs.zip(outputs) {
                    input_gradient(x, y, dy, factors, self.relu, dx);
                }
                (plain, centred)
            };
            // SAFETY: every plane belongs to one channel; its inputs are as long as it is.
            let dx = unsafe {
                written(x.len(), |dx| {
                    sums = planes_mut(dx, channels, pixels).into_par_iter().enumerate().map(differentiate).collect();
                })
            };
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        x_layout: &Layout,
        gamma: &CudaStorage,
        gamma_layout: &Layout,
        beta: &CudaStorage,
        beta_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let x = Memory::new(self.name(), storage, x_layout)?;
        let gamma = Memory::new(self.name(), gamma, gamma_layout)?;
        let beta = Memory::new(self.name(), beta, beta_layout)?;
        let maps = Maps::of(x_layout.shape(), self.relu)?;
        let normal = maps.batch_norm(&Gpu::new(storage), &x, [&gamma, &beta], self.eps)?;
        let statistics = [normal.mean.into_tensor(maps.channels)?, normal.variance.into_tensor(maps.channels)?];
        // A second forward pass of the same operation would compute the same.
        let _ = self.on_gpu.set(statistics);
        Ok((normal.output.into_storage()?, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let [mean, variance] = self.on_gpu.get().ok_or_else(missing)?;
            let maps = Maps::of(x.shape(), self.relu)?;
            return on_device(self.name(), [x, y, &dy.contiguous()?, gamma, mean, variance], |tensors| {
                let gpu = Gpu::of(&tensors[0]);
                let [on_gpu, y, dy, on_gamma, mean, variance] = tensors.map(Memory::from);
                let statistics = [&on_gamma, &mean, &variance];
                let [dx, dgamma, dbeta] = maps.batch_norm_gradient(&gpu, [&on_gpu, &y, &dy], statistics, self.eps)?;
                let (dgamma, dbeta) = (dgamma.into_tensor(gamma.shape())?, dbeta.into_tensor(beta.shape())?);
                Ok((
                    x.track_op().then_some(dx.into_tensor(x.shape())?),
                    gamma.track_op().then_some(dgamma),
                    beta.track_op().then_some(dbeta),
                ))
            });
        }
        let [dx, dgamma, dbeta] = with_element!(x.dtype(), self.name(), T => self.backward::<T>(x, gamma, y, dy))?;
        Ok((x.track_op().then_some(dx), gamma.track_op().then_some(dgamma), beta.track_op().then_some(dbeta)))
    }
}
