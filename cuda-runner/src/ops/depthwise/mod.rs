//! Depthwise convolution: every channel with a kernel of its own, and all its gradients.
//!
//! `plan` says where outputs read, `frame` copies a map between zeros, `gather` sums shifted rows (the output),
//! `differentiate` does so with output gradients (the input gradient), and multiplies these with the input (the weight
//! gradient), `channels` does so for all maps of a batch. One map and its frame stay in a first-level cache while all of
//! this happens.

mod channels;
mod differentiate;
mod frame;
mod gather;
mod plan;

use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail,
};

use self::{
    channels::{Backward, Forward},
    plan::Geometry,
};
use super::{
    Conv2d,
    element::{elements, on_host, with_element},
};

/// Which maps a depthwise convolution cuts at 0. At 0 the gradient is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rectify {
    /// The input, before its products.
    pub input: bool,
    /// The output, with its bias.
    pub output: bool,
}

/// Cross-correlation of each channel with its own kernel, plus a bias for each channel. Gradients of inputs that are
/// not tracked are not computed. A frozen batch norm behind it is a factor of the kernel and a bias.
///
/// # Shapes
/// x `[n, c, h, w]`, weight `[c, 1, kh, kw]`, bias `[c]` -> `[n, c, h', w']` with
/// `h' = (h + 2 padding - dilation (kh - 1) - 1) / stride + 1`
///
/// # Errors
/// If the shapes do not match, an extent, the stride or the dilation is 0, or the kernel does not fit the padded map.
///
/// # Reference
/// Chollet, "Xception", 2017, section 3.
pub fn depthwise_conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    rectify: Rectify,
    p: Conv2d,
) -> Result<Tensor> {
    let op = Depthwise::new(x, weight, rectify, p)?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) if bias.dims() != [op.channels] => {
            bail!("a depthwise convolution of {} channels and a bias of shape {:?}", op.channels, bias.dims())
        }
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

/// A depthwise convolution of given shapes.
#[derive(Clone, Copy)]
struct Depthwise {
    images: usize,
    channels: usize,
    geometry: Geometry,
    rectify: Rectify,
}

/// What errors call it.
const NAME: &str = "depthwise_conv2d";

impl Depthwise {
    fn new(x: &Tensor, weight: &Tensor, rectify: Rectify, p: Conv2d) -> Result<Self> {
        let (images, channels, h, w) = x.dims4()?;
        let (kernels, one, kh, kw) = weight.dims4()?;
        if (kernels, one) != (channels, 1) {
            bail!("a depthwise convolution with weight {:?} on a map of {:?}", weight.dims(), x.dims());
        }
        if x.elem_count() == 0 || weight.elem_count() == 0 {
            bail!("a depthwise convolution with weight {:?} on a map of {:?}: nothing to do", weight.dims(), x.dims());
        }
        match (p.output(h, kh), p.output(w, kw)) {
            (Some(rows), Some(columns)) if p.dilation > 0 => {
                let geometry = Geometry { p, kernel: (kh, kw), from: (h, w), to: (rows, columns) };
                Ok(Self { images, channels, geometry, rectify })
            }
            _ => bail!(
                "a depthwise convolution {p:?} with weight {:?} does not fit a map of {:?}",
                weight.dims(),
                x.dims()
            ),
        }
    }

    fn storage(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let &Self { images, channels, geometry, rectify } = self;
        with_element!(x.dtype(), NAME, T => {
            let x = elements::<T>(NAME, x, x_layout)?;
            let weight = elements::<T>(NAME, weight, weight_layout)?;
            let bias = bias.map(|(bias, layout)| elements::<T>(NAME, bias, layout)).transpose()?;
            let y = Forward { geometry, channels, rectify, x, weight, bias }.run();
            Ok((T::to_cpu_storage_owned(y), Shape::from((images, channels, geometry.to.0, geometry.to.1))))
        })
    }

    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let &Self { channels, geometry, rectify, .. } = self;
        let dy = dy.contiguous()?;
        let wanted = [x.track_op(), weight.track_op(), bias.is_some_and(Tensor::track_op)];
        let (inputs, parameters) = (wanted[0], wanted[1] || wanted[2]);
        with_element!(x.dtype(), NAME, T => {
            on_host::<T, 4, _>(NAME, [x, weight, y, &dy], |[xs, weights, y, dy]| {
                let pass = Backward { geometry, channels, rectify, x: xs, weight: weights, y, dy, inputs, parameters };
                let gradients = pass.run();
                let tensor = |wanted: bool, values: Vec<T>, shape: &Shape| {
                    wanted.then(|| Tensor::from_vec(values, shape, x.device())).transpose()
                };
                Ok([
                    tensor(wanted[0], gradients.x, x.shape())?,
                    tensor(wanted[1], gradients.weight, weight.shape())?,
                    tensor(wanted[2], gradients.bias, &Shape::from(channels))?,
                ])
            })
        })
    }
}

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        NAME
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

    fn bwd(&self, x: &Tensor, weight: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dweight, _] = self.backward(x, weight, None, y, dy)?;
        Ok((dx, dweight))
    }
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        NAME
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
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dweight, dbias] = self.backward(x, weight, Some(bias), y, dy)?;
        Ok((dx, dweight, dbias))
    }
}
