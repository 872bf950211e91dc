//! Two-dimensional convolution with all its gradients.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

use super::element::{Element, elements, on_host, with_element};

/// How a convolution's kernel moves over the map; the same along rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Distance between neighbouring outputs, in input pixels.
    pub stride: usize,
    /// Zeros around the map.
    pub padding: usize,
    /// Distance between neighbouring kernel taps, in input pixels.
    pub dilation: usize,
}

impl Default for Conv2d {
    /// Stride 1, no padding, no dilation.
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1 }
    }
}

impl Conv2d {
    /// Output extent along one axis; nothing if the kernel does not fit the padded map.
    #[must_use]
    pub fn output(&self, extent: usize, kernel: usize) -> Option<usize> {
        let span = self.dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
        let room = extent.checked_add(2 * self.padding)?.checked_sub(span)?;
        room.checked_div(self.stride).map(|steps| steps + 1)
    }
}

/// Cross-correlation of a map with a bank of kernels, plus a bias for each output channel. Gradients of inputs that
/// are not tracked are not computed.
///
/// # Shapes
/// x `[n, i, h, w]`, weight `[o, i, kh, kw]`, bias `[o]` -> `[n, o, h', w']` with
/// `h' = (h + 2 padding - dilation (kh - 1) - 1) / stride + 1`
///
/// # Errors
/// If the shapes do not match, the stride or dilation is 0 or the kernel does not fit the padded map.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, p: Conv2d) -> Result<Tensor> {
    let op = Convolution::new(x, weight, p)?;
    let y = x.contiguous()?.apply_op2(&weight.contiguous()?, op)?;
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?),
        None => Ok(y),
    }
}

/// A convolution of given shapes.
#[derive(Clone, Copy)]
struct Convolution {
    p: Conv2d,
    n: usize,
    inputs: usize,
    outputs: usize,
    kernel: (usize, usize),
    from: (usize, usize),
    to: (usize, usize),
}

impl Convolution {
    fn new(x: &Tensor, weight: &Tensor, p: Conv2d) -> Result<Self> {
        let (n, inputs, h, w) = x.dims4()?;
        let (outputs, channels, kh, kw) = weight.dims4()?;
        if inputs != channels {
            bail!("a convolution of {channels} channels (weight {:?}) on a map of {:?}", weight.dims(), x.dims());
        }
        match (p.output(h, kh), p.output(w, kw)) {
            (Some(rows), Some(columns)) if p.dilation > 0 => {
                Ok(Self { p, n, inputs, outputs, kernel: (kh, kw), from: (h, w), to: (rows, columns) })
            }
            _ => bail!("a convolution {p:?} with weight {:?} does not fit a map of {:?}", weight.dims(), x.dims()),
        }
    }

    /// Calls `visit` with kernel tap, output row, input row, and the run of output columns inside the map with the
    /// input column of its first.
    fn for_each_run(&self, mut visit: impl FnMut(usize, usize, usize, std::ops::Range<usize>, usize)) {
        let Conv2d { stride, padding, dilation } = self.p;
        for tap in 0..self.kernel.0 * self.kernel.1 {
            let (ky, kx) = (tap / self.kernel.1 * dilation, tap % self.kernel.1 * dilation);
            let start = padding.saturating_sub(kx).div_ceil(stride);
            let end = (self.from.1 + padding).saturating_sub(kx).div_ceil(stride).min(self.to.1);
            if start >= end {
                continue;
            }
            for oy in 0..self.to.0 {
                if let Some(iy) = (oy * stride + ky).checked_sub(padding).filter(|&iy| iy < self.from.0) {
                    visit(tap, oy, iy, start..end, start * stride + kx - padding);
                }
            }
        }
    }

    fn forward<T: Element>(&self, x: &[T], weight: &[T]) -> Vec<T> {
        let (taps, from, to) = (self.kernel.0 * self.kernel.1, self.from.0 * self.from.1, self.to.0 * self.to.1);
        let mut y = vec![T::zero(); self.n * self.outputs * to];
        y.par_chunks_mut(to).enumerate().for_each(|(plane, y)| {
            let (image, output) = (plane / self.outputs, plane % self.outputs);
            for input in 0..self.inputs {
                let x = &x[(image * self.inputs + input) * from..][..from];
                let weight = &weight[(output * self.inputs + input) * taps..][..taps];
                self.for_each_run(|tap, oy, iy, run, ix| {
                    let x = x[iy * self.from.1 + ix..].iter().step_by(self.p.stride);
                    y[oy * self.to.1..][run].iter_mut().zip(x).for_each(|(y, &x)| *y += weight[tap] * x);
                });
            }
        });
        y
    }

    fn input_gradient<T: Element>(&self, weight: &[T], dy: &[T]) -> Vec<T> {
        let (taps, from, to) = (self.kernel.0 * self.kernel.1, self.from.0 * self.from.1, self.to.0 * self.to.1);
        let mut dx = vec![T::zero(); self.n * self.inputs * from];
        dx.par_chunks_mut(from).enumerate().for_each(|(plane, dx)| {
            let (image, input) = (plane / self.inputs, plane % self.inputs);
            for output in 0..self.outputs {
                let dy = &dy[(image * self.outputs + output) * to..][..to];
                let weight = &weight[(output * self.inputs + input) * taps..][..taps];
                self.for_each_run(|tap, oy, iy, run, ix| {
                    let dx = dx[iy * self.from.1 + ix..].iter_mut().step_by(self.p.stride);
                    dx.zip(&dy[oy * self.to.1..][run]).for_each(|(dx, &dy)| *dx += weight[tap] * dy);
                });
            }
        });
        dx
    }

    fn weight_gradient<T: Element>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let (taps, from, to) = (self.kernel.0 * self.kernel.1, self.from.0 * self.from.1, self.to.0 * self.to.1);
        let mut dweight = vec![T::zero(); self.outputs * self.inputs * taps];
        dweight.par_chunks_mut(taps).enumerate().for_each(|(filter, dweight)| {
            let (output, input) = (filter / self.inputs, filter % self.inputs);
            for image in 0..self.n {
                let x = &x[(image * self.inputs + input) * from..][..from];
                let dy = &dy[(image * self.outputs + output) * to..][..to];
                self.for_each_run(|tap, oy, iy, run, ix| {
                    let x = x[iy * self.from.1 + ix..].iter().step_by(self.p.stride);
                    dweight[tap] +=
                        dy[oy * self.to.1..][run].iter().zip(x).fold(T::zero(), |sum, (&dy, &x)| sum + dy * x);
                });
            }
        });
        dweight
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_element!(x.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), x, x_layout)?;
            let y = self.forward(x, elements::<T>(self.name(), weight, weight_layout)?);
            Ok((T::to_cpu_storage_owned(y), Shape::from((self.n, self.outputs, self.to.0, self.to.1))))
        })
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        with_element!(x.dtype(), self.name(), T => {
            on_host::<T, 3, _>(self.name(), [x, weight, &dy], |[xs, weights, dy]| {
                let dx = x.track_op().then(|| self.input_gradient(weights, dy));
                let dweight = weight.track_op().then(|| self.weight_gradient(xs, dy));
                Ok((
                    dx.map(|dx| Tensor::from_vec(dx, x.shape(), x.device())).transpose()?,
                    dweight.map(|dweight| Tensor::from_vec(dweight, weight.shape(), weight.device())).transpose()?,
                ))
            })
        })
    }
}
