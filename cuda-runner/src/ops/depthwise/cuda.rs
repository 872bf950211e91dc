//! The same on a GPU.

use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};

use super::{Depthwise, NAME};
use crate::{
    cuda::{Gpu, Memory, on_device},
    ops::kernels::{self, norm::Maps},
};

/// An input in memory.
pub(super) type Input<'a> = (&'a CudaStorage, &'a Layout);

impl Depthwise {
    fn kernels(&self) -> kernels::depthwise::Depthwise {
        let &Self { images, channels, geometry, rectify } = self;
        kernels::depthwise::Depthwise {
            n: images,
            channels,
            from: geometry.from,
            to: geometry.to,
            kernel: geometry.kernel,
            stride: geometry.p.stride,
            padding: geometry.p.padding,
            dilation: geometry.p.dilation,
            cut: (rectify.input, rectify.output),
        }
    }

    pub(super) fn on_gpu(
        &self,
        x: Input<'_>,
        weight: Input<'_>,
        bias: Option<Input<'_>>,
    ) -> Result<(CudaStorage, Shape)> {
        let gpu = Gpu::new(x.0);
        let (x, weight) = (Memory::new(NAME, x.0, x.1)?, Memory::new(NAME, weight.0, weight.1)?);
        let bias = bias.map(|(storage, layout)| Memory::new(NAME, storage, layout)).transpose()?;
        let y = self.kernels().forward(&gpu, &x, &weight, bias.as_ref())?;
        let (rows, columns) = self.geometry.to;
        Ok((y.into_storage()?, Shape::from((self.images, self.channels, rows, columns))))
    }

    /// Gradients of input, weights and bias.
    pub(super) fn backward_on_gpu(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        [y, dy]: [&Tensor; 2],
    ) -> Result<[Option<Tensor>; 3]> {
        let maps = Maps::of(y.shape(), self.rectify.output)?;
        on_device(NAME, [x, weight, y, dy], |tensors| {
            let gpu = Gpu::of(&tensors[0]);
            let [on_gpu, weights, y, dy] = tensors.map(Memory::from);
            // What the output's cut lets pass.
            let dz = if self.rectify.output { maps.rectify(&gpu, &y, &dy)? } else { dy };
            let kernels = self.kernels();
            let dx = || kernels.input_gradient(&gpu, &on_gpu, &weights, &dz)?.into_tensor(x.shape());
            let dweight = || kernels.weight_gradient(&gpu, &on_gpu, &dz)?.into_tensor(weight.shape());
            let dbias = || {
                let [_, plain] = Maps { relu: false, ..maps }.sums(&gpu, [&dz, &dz, &dz])?;
                plain.into_tensor(self.channels)
            };
            Ok([
                x.track_op().then(dx).transpose()?,
                weight.track_op().then(dweight).transpose()?,
                bias.is_some_and(Tensor::track_op).then(dbias).transpose()?,
            ])
        })
    }
}
