//! A convolution with the frozen batch norm, the shortcut and the ReLU that follow it, as one operation.
//!
//! Where a network is written as convolution, scale and shift, addition and ReLU, the graph keeps the result of each for
//! the gradients. Here it keeps the last alone: where that is 0 no gradient passes, the input's gradient needs no more
//! than the weights, and the scale's follows from the weights' (see `affine_gradient`).

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, backend::BackendStorage, bail};

#[cfg(feature = "cuda")]
use super::cuda;
use super::{
    super::{
        binary::{Binary, binary},
        element::{Element, elements, on_host, with_element},
        lanes::Lanes,
        scratch::Pooled,
        unary::relu as rectified,
    },
    affine_gradient::{Wanted, backward},
    convolution::{Conv2d, Convolution},
    finish::Finish,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Elements, on_device};

const NAME: &str = "conv2d_affine";

/// `conv(x, weight) * scale + shift`, each output by its own scale and shift, then ReLU if `relu` (gradient 0 at 0): a
/// convolution with a frozen or evaluated batch norm. The graph keeps the output only; there is none where no input is
/// tracked.
///
/// # Shapes
/// x `[n, i, h, w]`, weight `[o, i, kh, kw]`, scale and shift `[o]` -> `[n, o, h', w']`, see
/// [`conv2d`](super::conv2d)
///
/// # Errors
/// As [`conv2d`](super::conv2d).
pub fn conv2d_affine(
    x: &Tensor,
    weight: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    relu: bool,
    p: Conv2d,
) -> Result<Tensor> {
    let op = ConvAffine::new(x, weight, scale, shift, relu, p)?;
    // Maps may be of a shorter type than what is trained.
    let (x, weight) = (x.contiguous()?, weight.to_dtype(x.dtype())?.contiguous()?);
    if scale.track_op() || shift.track_op() {
        return x.apply_op3(&weight, &Tensor::stack(&[scale, shift], 0)?, Trained(op));
    }
    x.apply_op2(&weight, Fixed::new(op, scale, shift)?)
}

/// `conv(x, weight) * scale + shift + residual`, then ReLU if `relu`: the end of a residual block. The graph keeps the
/// output only, if scale and shift are not tracked; otherwise the sum as well, and what it is a sum of.
///
/// # Shapes
/// x `[n, i, h, w]`, weight `[o, i, kh, kw]`, scale and shift `[o]`, residual `[n, o, h', w']` -> `[n, o, h', w']`, see
/// [`conv2d`](super::conv2d)
///
/// # Errors
/// As [`conv2d`](super::conv2d), or if the residual has another shape than the output.
pub fn conv2d_affine_onto(
    x: &Tensor,
    weight: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    residual: &Tensor,
    relu: bool,
    p: Conv2d,
) -> Result<Tensor> {
    let op = ConvAffine::new(x, weight, scale, shift, relu, p)?;
    let output = op.convolution.output_shape();
    if *residual.shape() != output {
        bail!("a convolution with outputs {:?} onto a residual of {:?}", output.dims(), residual.dims());
    }
    if scale.track_op() || shift.track_op() {
        // An operation of candle has three inputs at most; these would be four.
        let sum = binary(Binary::Add, &conv2d_affine(x, weight, scale, shift, false, p)?, residual)?;
        return if relu { rectified(&sum) } else { Ok(sum) };
    }
    let weight = weight.to_dtype(x.dtype())?.contiguous()?;
    x.contiguous()?.apply_op3(&weight, &residual.contiguous()?, Fixed::new(op, scale, shift)?)
}

/// A convolution and what follows it; scale and shift are the callers'.
#[derive(Clone, Copy)]
struct ConvAffine {
    convolution: Convolution,
    relu: bool,
}

/// Scale and shift are constants. A third input is the residual.
struct Fixed {
    op: ConvAffine,
    scale: Tensor,
    shift: Tensor,
}

/// Scale and shift are the two rows of the third input.
struct Trained(ConvAffine);

/// An input in memory.
type Input<'a> = (&'a CpuStorage, &'a Layout);

impl ConvAffine {
    fn new(x: &Tensor, weight: &Tensor, scale: &Tensor, shift: &Tensor, relu: bool, p: Conv2d) -> Result<Self> {
        let convolution = Convolution::new(x, weight, p)?;
        let outputs = convolution.outputs;
        if scale.dims() != [outputs] || shift.dims() != [outputs] {
            bail!("{NAME} with {outputs} outputs, scale {:?} and shift {:?}", scale.dims(), shift.dims());
        }
        Ok(Self { convolution, relu })
    }

    fn forward<T: Lanes + Pooled>(
        &self,
        x: Input<'_>,
        weight: Input<'_>,
        [scale, shift]: [&[T]; 2],
        residual: Option<&[T]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (elements::<T>(NAME, x.0, x.1)?, elements::<T>(NAME, weight.0, weight.1)?);
        let finish = Finish { shift: Some(shift), residual, relu: self.relu };
        let y = self.convolution.forward(x, weight, Some(scale), finish);
        Ok((T::to_cpu_storage_owned(y), self.convolution.output_shape()))
    }
}

fn like<T: Element>(values: Option<Vec<T>>, of: &Tensor) -> Result<Option<Tensor>> {
    values.map(|values| Tensor::from_vec(values, of.shape(), of.device())).transpose()
}

impl Fixed {
    fn new(op: ConvAffine, scale: &Tensor, shift: &Tensor) -> Result<Self> {
        Ok(Self { op, scale: scale.contiguous()?, shift: shift.contiguous()? })
    }

    fn forward(&self, x: Input<'_>, weight: Input<'_>, residual: Option<Input<'_>>) -> Result<(CpuStorage, Shape)> {
        with_element!(x.0.dtype(), NAME, T => {
            let residual = residual.map(|(storage, layout)| elements::<T>(NAME, storage, layout)).transpose()?;
            on_host::<T, 2, _>(NAME, [&self.scale, &self.shift], |affine| self.op.forward(x, weight, affine, residual))
        })
    }

    #[cfg(feature = "cuda")]
    fn on_gpu(
        &self,
        x: cuda::Input<'_>,
        weight: cuda::Input<'_>,
        residual: Option<cuda::Input<'_>>,
    ) -> Result<(CudaStorage, Shape)> {
        let residual = residual.map(|(storage, layout)| Elements::new(NAME, storage, layout)).transpose()?;
        on_device(NAME, [&self.scale, &self.shift], |[scale, shift]| {
            let finish = cuda::Finish { scale: Some(scale), shift: Some(shift), residual, relu: self.op.relu };
            self.op.convolution.on_gpu(x, weight, finish)
        })
    }

    /// Gradients of input, weights and residual.
    fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        residual: Option<&Tensor>,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let dy = dy.contiguous()?;
        let residual = residual.is_some_and(Tensor::track_op);
        let wanted = Wanted { x: x.track_op(), weight: weight.track_op(), affine: false, residual };
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let ConvAffine { convolution, relu } = &self.op;
            let tensors = [x, weight, &self.scale, y, &dy];
            let [dx, dweight, _, dresidual] = convolution.affine_backward_on_gpu(*relu, tensors, wanted)?;
            return Ok([dx, dweight, dresidual]);
        }
        with_element!(x.dtype(), NAME, T => {
            on_host::<T, 5, _>(NAME, [x, weight, &self.scale, y, &dy], |tensors| {
                let gradients = backward(&self.op.convolution, self.op.relu, tensors, wanted);
                let dresidual = like(gradients.residual, y)?.or(residual.then(|| dy.clone()));
                Ok([like(gradients.x, x)?, like(gradients.weight, weight)?, dresidual])
            })
        })
    }
}

impl CustomOp2 for Fixed {
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
        self.forward((x, x_layout), (weight, weight_layout), None)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_gpu((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dweight, _] = self.backward(x, weight, None, y, dy)?;
        Ok((dx, dweight))
    }
}

impl CustomOp3 for Fixed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (weight, weight_layout), Some((residual, residual_layout)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        residual: &CudaStorage,
        residual_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_gpu((x, x_layout), (weight, weight_layout), Some((residual, residual_layout)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        residual: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dweight, dresidual] = self.backward(x, weight, Some(residual), y, dy)?;
        Ok((dx, dweight, dresidual))
    }
}

impl CustomOp3 for Trained {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        affine: &CpuStorage,
        affine_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_element!(x.dtype(), NAME, T => {
            let (scale, shift) = elements::<T>(NAME, affine, affine_layout)?.split_at(self.0.convolution.outputs);
            self.0.forward((x, x_layout), (weight, weight_layout), [scale, shift], None)
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        affine: &CudaStorage,
        affine_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let Self(ConvAffine { convolution, relu }) = self;
        let affine = Elements::new(NAME, affine, affine_layout)?;
        let finish = cuda::Finish {
            scale: Some(affine.part(0, convolution.outputs)?),
            shift: Some(affine.part(convolution.outputs, convolution.outputs)?),
            residual: None,
            relu: *relu,
        };
        convolution.on_gpu((x, x_layout), (weight, weight_layout), finish)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        affine: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Self(ConvAffine { convolution, relu }) = self;
        let dy = dy.contiguous()?;
        let wanted = Wanted { x: x.track_op(), weight: weight.track_op(), affine: true, residual: false };
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let tensors = [x, weight, &affine.get(0)?, y, &dy];
            let [dx, dweight, daffine, _] = convolution.affine_backward_on_gpu(*relu, tensors, wanted)?;
            return Ok((dx, dweight, daffine));
        }
        with_element!(x.dtype(), NAME, T => {
            on_host::<T, 5, _>(NAME, [x, weight, affine, y, &dy], |[xs, weights, affines, ys, dys]| {
                let scale = &affines[..convolution.outputs];
                let gradients = backward(convolution, *relu, [xs, weights, scale, ys, dys], wanted);
                Ok((like(gradients.x, x)?, like(gradients.weight, weight)?, like(gradients.affine, affine)?))
            })
        })
    }
}
