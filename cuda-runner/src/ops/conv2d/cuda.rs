//! Convolutions on a GPU: cuDNN's, with a kernel for what follows them.

use candle_core::{CudaStorage, DType, Layout, Result, Shape, Tensor, bail};

use super::{
    super::cuda::unary,
    affine_gradient::Wanted,
    convolution::{Conv2d, Convolution},
};
use crate::cuda::{
    Elements, Grid, Output, arguments,
    cudnn::{self, Geometry},
    launch::{THREADS, launch, typed},
    modules, on_device,
};

const NAME: &str = "conv2d";

/// An input of an operation.
pub(super) type Input<'a> = (&'a CudaStorage, &'a Layout);

/// The type that scales, shifts and biases of a map have: `f32` for `bf16`.
pub(super) fn of_channels(map: DType) -> DType {
    if map == DType::BF16 { DType::F32 } else { map }
}

/// What becomes of a finished sum; scale and shift are of the type of [`of_channels`].
#[derive(Clone, Copy, Default)]
pub(super) struct Finish<'a> {
    pub scale: Option<Elements<'a>>,
    pub shift: Option<Elements<'a>>,
    pub residual: Option<Elements<'a>>,
    pub relu: bool,
}

impl Convolution {
    fn geometry(&self) -> Geometry {
        let Conv2d { stride, padding, dilation } = self.p;
        Geometry {
            input: [self.images, self.inputs, self.from.0, self.from.1],
            weight: [self.outputs, self.inputs, self.kernel.0, self.kernel.1],
            output: [self.images, self.outputs, self.to.0, self.to.1],
            padding,
            stride,
            dilation,
            groups: 1,
        }
    }

    /// The output and what follows it.
    pub(super) fn on_gpu(&self, x: Input<'_>, weight: Input<'_>, finish: Finish<'_>) -> Result<(CudaStorage, Shape)> {
        let (x, weight) = (Elements::new(NAME, x.0, x.1)?, Elements::new(NAME, weight.0, weight.1)?);
        let of_channels = of_channels(x.dtype());
        let (scale, shift) = (finish.scale.map(|scale| scale.dtype()), finish.shift.map(|shift| shift.dtype()));
        if weight.dtype() != x.dtype() || [scale, shift].into_iter().flatten().any(|dtype| dtype != of_channels) {
            bail!("{NAME} of {:?} maps with {:?} weights and {scale:?}, {shift:?}", x.dtype(), weight.dtype());
        }
        let mut y = cudnn::forward(&self.geometry(), x, weight)?;
        let Finish { scale, shift, residual, relu } = finish;
        if scale.is_some() || shift.is_some() || residual.is_some() || relu {
            let pixels = self.to.0 * self.to.1;
            let count = self.images * self.outputs * pixels;
            let [count_, channels, pixels] = small([count, self.outputs, pixels])?;
            let arguments = arguments![&mut y, &scale, &shift, &residual, count_, channels, pixels, relu];
            let function = typed("finish", x.dtype());
            // SAFETY: the map has `count` elements, the residual as many, scale and shift one for each output.
            unsafe { launch(x.device(), &modules::CONV2D, &function, Grid::over(count), arguments) }?;
        }
        Ok((y.into_storage(), self.output_shape()))
    }

    fn input_gradient_on_gpu(&self, weight: &Tensor, dy: &Tensor) -> Result<Tensor> {
        on_device(NAME, [weight, dy], |[weight, dy]| {
            let Geometry { input: [n, c, h, w], .. } = self.geometry();
            cudnn::input_gradient(&self.geometry(), weight, dy)?.into_tensor((n, c, h, w))
        })
    }

    fn weight_gradient_on_gpu(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        on_device(NAME, [x, dy], |[x, dy]| {
            let Geometry { weight: [o, i, h, w], .. } = self.geometry();
            cudnn::weight_gradient(&self.geometry(), x, dy)?.into_tensor((o, i, h, w))
        })
    }

    /// Sums over batch and pixels, in the type of [`of_channels`].
    fn channel_sums_on_gpu(&self, dy: &Tensor) -> Result<Tensor> {
        let [images, channels, pixels] = small([self.images, self.outputs, self.to.0 * self.to.1])?;
        on_device(NAME, [dy], |[dy]| {
            let mut sums = Output::new(NAME, dy.device(), of_channels(dy.dtype()), self.outputs)?;
            let (grid, function) = (Grid::each(self.outputs, THREADS)?, typed("channel_sums", dy.dtype()));
            let arguments = arguments![&dy, &mut sums, images, channels, pixels];
            // SAFETY: the map has so many images, channels and pixels; there is a sum for each channel.
            unsafe { launch(dy.device(), &modules::CONV2D, &function, grid, arguments) }?;
            sums.into_tensor(self.outputs)
        })
    }

    /// Gradients of input, weights and bias.
    pub(super) fn backward_on_gpu(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        dy: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let dx = x.track_op().then(|| self.input_gradient_on_gpu(weight, dy)).transpose()?;
        let dweight = weight.track_op().then(|| self.weight_gradient_on_gpu(x, dy)).transpose()?;
        let bias = bias.filter(|bias| bias.track_op());
        Ok([dx, dweight, bias.map(|_| self.channel_sums_on_gpu(dy)).transpose()?])
    }

    /// Gradients of input, weights, scale and shift (as rows), and residual, as `affine_gradient` on the CPU, which says
    /// why no intermediate result is needed.
    pub(super) fn affine_backward_on_gpu(
        &self,
        relu: bool,
        [x, weight, scale, y, dy]: [&Tensor; 5],
        wanted: Wanted,
    ) -> Result<[Option<Tensor>; 4]> {
        let (weight, scale) = (weight.detach(), scale.detach().reshape((self.outputs, 1, 1, 1))?);
        let dz = match relu {
            true => on_device(NAME, [y, dy], |[y, dy]| {
                unary::backward("relu", 1.0, [y, y, dy])?.into_tensor(self.output_shape())
            })?,
            false => dy.clone(),
        };
        // In the type of the scales: they are few.
        let scaled = |t: &Tensor| t.to_dtype(scale.dtype())?.broadcast_mul(&scale)?.to_dtype(t.dtype());
        let dx = wanted.x.then(|| self.input_gradient_on_gpu(&scaled(&weight)?, &dz)).transpose()?;
        let bare = (wanted.weight || wanted.affine).then(|| self.weight_gradient_on_gpu(x, &dz)).transpose()?;
        let mut affine = None;
        if let Some(bare) = bare.as_ref().filter(|_| wanted.affine) {
            let product = weight.to_dtype(scale.dtype())?.mul(&bare.to_dtype(scale.dtype())?)?;
            let dscale = product.flatten_from(1)?.sum(1)?;
            affine = Some(Tensor::stack(&[dscale, self.channel_sums_on_gpu(&dz)?], 0)?);
        }
        let dweight = bare.filter(|_| wanted.weight).map(|bare| scaled(&bare)).transpose()?;
        Ok([dx, dweight, affine, wanted.residual.then_some(dz)])
    }
}

/// Extents as the kernels count.
fn small<const N: usize>(extents: [usize; N]) -> Result<[i32; N]> {
    let mut small = [0; N];
    for (small, extent) in small.iter_mut().zip(extents) {
        *small = match i32::try_from(extent) {
            Ok(extent) => extent,
            Err(_) => bail!("{NAME}: a map of {extent} elements is more than a kernel counts"),
        };
    }
    Ok(small)
}
