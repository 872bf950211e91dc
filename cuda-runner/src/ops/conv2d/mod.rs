//! Two-dimensional convolution with all its gradients, plain or with a frozen batch norm and what else follows it.
//!
//! No map is unrolled into columns: `frame` copies it once between zeros, `gather` sums shifted copies of the frame
//! (the output, and the input gradient), `correlate` multiplies them with output gradients (the weight gradient).
//! Kernels of 3x3 with stride 1 and enough channels take a third of the products instead: `winograd`. `convolution`
//! chooses. On a GPU there is `cuda`: cuDNN and a kernel for what follows.

mod affine;
mod affine_gradient;
mod convolution;
mod correlate;
#[cfg(feature = "cuda")]
mod cuda;
mod finish;
mod frame;
mod gather;
mod product;
mod winograd;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail,
};

pub use self::{
    affine::{conv2d_affine, conv2d_affine_onto},
    convolution::Conv2d,
};
use self::{convolution::Convolution, finish::Finish};
use super::element::{elements, on_host, with_element};
#[cfg(feature = "cuda")]
use crate::cuda::Elements;

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
    // Maps may be of a shorter type than what is trained.
    let (x, weight) = (x.contiguous()?, weight.to_dtype(x.dtype())?.contiguous()?);
    match bias {
        Some(bias) if bias.dims() != [op.outputs] => {
            bail!("a convolution with {} outputs and a bias of shape {:?}", op.outputs, bias.dims())
        }
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

impl Convolution {
    fn backward(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, dy: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return self.backward_on_gpu(x, weight, bias, &dy);
        }
        with_element!(x.dtype(), "conv2d", T => {
            on_host::<T, 3, _>("conv2d", [x, weight, &dy], |[xs, weights, dy]| {
                let like = |values: Vec<T>, of: &Tensor| Tensor::from_vec(values, of.shape(), of.device());
                let dx = x.track_op().then(|| like(self.input_gradient(weights, None, dy), x)).transpose()?;
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
            let y = self.forward(x, weight, None, Finish { shift: bias, ..Finish::default() });
            Ok((T::to_cpu_storage_owned(y), self.output_shape()))
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_gpu((x, x_layout), (weight, weight_layout), cuda::Finish::default())
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let shift = Some(Elements::new("conv2d", bias, bias_layout)?);
        self.on_gpu((x, x_layout), (weight, weight_layout), cuda::Finish { shift, ..cuda::Finish::default() })
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
