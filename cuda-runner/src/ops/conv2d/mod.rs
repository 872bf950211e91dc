//! Two-dimensional convolution with all its gradients.
//!
//! No map is unrolled into columns: `frame` copies it once between zeros, `gather` sums shifted copies of the frame
//! (the output, and the input gradient), `correlate` multiplies them with output gradients (the weight gradient).

mod correlate;
mod frame;
mod gather;

use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail,
};
use rayon::prelude::*;

use self::{
    correlate::Correlate,
    frame::{Frame, Pass, Reach, Wish},
    gather::Gather,
};
use super::{
    element::{elements, on_host, with_element},
    lanes::Lanes,
    scratch::Pooled,
};

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
        let room = extent.checked_add(self.padding.checked_mul(2)?)?.checked_sub(span)?;
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
/// If the shapes do not match, an extent, the stride or the dilation is 0, or the kernel does not fit the padded map.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, p: Conv2d) -> Result<Tensor> {
    let op = Convolution::new(x, weight, p)?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) if bias.dims() != [op.outputs] => {
            bail!("a convolution with {} outputs and a bias of shape {:?}", op.outputs, bias.dims())
        }
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

/// A convolution of given shapes.
#[derive(Clone, Copy)]
struct Convolution {
    p: Conv2d,
    images: usize,
    inputs: usize,
    outputs: usize,
    kernel: (usize, usize),
    from: (usize, usize),
    to: (usize, usize),
}

impl Convolution {
    fn new(x: &Tensor, weight: &Tensor, p: Conv2d) -> Result<Self> {
        let (images, inputs, h, w) = x.dims4()?;
        let (outputs, channels, kh, kw) = weight.dims4()?;
        if inputs != channels {
            bail!("a convolution of {channels} channels (weight {:?}) on a map of {:?}", weight.dims(), x.dims());
        }
        if x.elem_count() == 0 || weight.elem_count() == 0 {
            bail!("a convolution with weight {:?} on a map of {:?}: nothing to do", weight.dims(), x.dims());
        }
        match (p.output(h, kh), p.output(w, kw)) {
            (Some(rows), Some(columns)) if p.dilation > 0 => {
                Ok(Self { p, images, inputs, outputs, kernel: (kh, kw), from: (h, w), to: (rows, columns) })
            }
            _ => bail!("a convolution {p:?} with weight {:?} does not fit a map of {:?}", weight.dims(), x.dims()),
        }
    }

    fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    /// Offset of every kernel tap from the pixel `stride * output`.
    fn reaches(&self) -> impl Iterator<Item = Reach> + '_ {
        let offset = |tap: usize| (tap * self.p.dilation) as isize - self.p.padding as isize;
        (0..self.taps()).map(move |weight| Reach {
            weight,
            dy: offset(weight / self.kernel.1),
            dx: offset(weight % self.kernel.1),
        })
    }

    /// The forward pass over the framed input.
    fn forward_plan(&self) -> (Frame, Vec<Pass>) {
        Frame::new(self.from, self.p.stride, vec![(self.to, (0, 0), 1, self.reaches().collect())])
    }

    /// The input gradient over the framed output gradient: input pixel `stride * i + phase` took part in output
    /// `i + (phase - offset) / stride` through every tap whose offset leaves that whole.
    fn backward_plan(&self) -> (Frame, Vec<Pass>) {
        let stride = self.p.stride;
        let mut wishes: Vec<Wish> = Vec::new();
        for (y, x) in (0..stride * stride).map(|phase| (phase / stride, phase % stride)) {
            let size = (self.from.0.saturating_sub(y).div_ceil(stride), self.from.1.saturating_sub(x).div_ceil(stride));
            if size.0 == 0 || size.1 == 0 {
                continue;
            }
            let steps = |phase: usize, offset: isize| {
                let distance = phase as isize - offset;
                (distance % stride as isize == 0).then_some(distance / stride as isize)
            };
            let reaches = self
                .reaches()
                .filter_map(|r| Some(Reach { weight: r.weight, dy: steps(y, r.dy)?, dx: steps(x, r.dx)? }))
                .collect();
            wishes.push((size, (y, x), stride, reaches));
        }
        Frame::new(self.to, 1, wishes)
    }

    fn forward<T: Lanes + Pooled>(&self, x: &[T], weight: &[T], bias: Option<&[T]>) -> Vec<T> {
        let (frame, passes) = self.forward_plan();
        let framed = (!frame.is_direct()).then(|| frame.fill(x, self.images * self.inputs));
        let taps = self.taps();
        Gather {
            frame: &frame,
            passes: &passes,
            inputs: framed.as_deref().unwrap_or(x),
            images: self.images,
            channels: self.inputs,
            outputs: self.outputs,
            map: self.to,
            weight: |output, input, tap| weight[(output * self.inputs + input) * taps + tap],
            bias,
        }
        .run()
    }

    fn input_gradient<T: Lanes + Pooled>(&self, weight: &[T], dy: &[T]) -> Vec<T> {
        let (frame, passes) = self.backward_plan();
        let framed = (!frame.is_direct()).then(|| frame.fill(dy, self.images * self.outputs));
        let taps = self.taps();
        Gather {
            frame: &frame,
            passes: &passes,
            inputs: framed.as_deref().unwrap_or(dy),
            images: self.images,
            channels: self.outputs,
            outputs: self.inputs,
            map: self.from,
            weight: |input, output, tap| weight[(output * self.inputs + input) * taps + tap],
            bias: None,
        }
        .run()
    }

    fn weight_gradient<T: Lanes + Pooled>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        let (frame, passes) = self.forward_plan();
        let framed = (!frame.is_direct()).then(|| frame.fill(x, self.images * self.inputs));
        Correlate {
            frame: &frame,
            pass: &passes[0],
            inputs: framed.as_deref().unwrap_or(x),
            gradients: dy,
            images: self.images,
            channels: self.inputs,
            outputs: self.outputs,
            kernel: self.taps(),
        }
        .run()
    }

    fn bias_gradient<T: Lanes>(&self, dy: &[T]) -> Vec<T> {
        let pixels = self.to.0 * self.to.1;
        let planes: Vec<f64> = dy.par_chunks(pixels).map(|dy| dy.iter().map(|dy| dy.to_f64()).sum::<f64>()).collect();
        (0..self.outputs).map(|output| T::from_f64(planes.iter().skip(output).step_by(self.outputs).sum())).collect()
    }

    fn backward(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, dy: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let dy = dy.contiguous()?;
        with_element!(x.dtype(), "conv2d", T => {
            on_host::<T, 3, _>("conv2d", [x, weight, &dy], |[xs, weights, dy]| {
                let like = |values: Vec<T>, of: &Tensor| Tensor::from_vec(values, of.shape(), of.device());
                let dx = x.track_op().then(|| like(self.input_gradient(weights, dy), x)).transpose()?;
                let dweight = weight.track_op().then(|| like(self.weight_gradient(xs, dy), weight)).transpose()?;
                let bias = bias.filter(|bias| bias.track_op());
                let dbias = bias.map(|bias| like(self.bias_gradient(dy), bias)).transpose()?;
                Ok([dx, dweight, dbias])
            })
        })
    }

    fn storage(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        with_element!(x.dtype(), "conv2d", T => {
            let x = elements::<T>("conv2d", x, x_layout)?;
            let weight = elements::<T>("conv2d", weight, weight_layout)?;
            let bias = bias.map(|(bias, layout)| elements::<T>("conv2d", bias, layout)).transpose()?;
            let y = self.forward(x, weight, bias);
            Ok((T::to_cpu_storage_owned(y), Shape::from((self.images, self.outputs, self.to.0, self.to.1))))
        })
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
        self.storage((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dweight, _] = self.backward(x, weight, None, dy)?;
        Ok((dx, dweight))
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.storage((x, x_layout), (weight, weight_layout), Some((bias, bias_layout)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dweight, dbias] = self.backward(x, weight, Some(bias), dy)?;
        Ok((dx, dweight, dbias))
    }
}
