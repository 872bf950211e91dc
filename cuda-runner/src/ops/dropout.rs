//! Multiplication by a drawn mask.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

use super::element::{Element, elements, on_host, with_element};
#[cfg(feature = "cuda")]
use super::kernels::binary::Broadcast;
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// `x * mask`, the mask being a constant: drawn zeros and `1 / keep`. A mask `[n, c, 1, 1]` drops whole channels.
///
/// # Shapes
/// x `[n, c, h, w]`, mask `[n, c, h, w]` or `[n, c, 1, 1]` -> `[n, c, h, w]`
///
/// # Errors
/// If the shapes do not match.
pub fn dropout(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let dims = mask.dims4()?;
    if dims != (n, c, h, w) && dims != (n, c, 1, 1) {
        bail!("a dropout mask of shape {:?} does not fit a map of shape {:?}", mask.dims(), x.dims());
    }
    x.contiguous()?.apply_op2(&mask.detach().contiguous()?, Dropout)
}

struct Dropout;

impl CustomOp2 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        mask: &CpuStorage,
        mask_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_element!(x.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), x, x_layout)?;
            let mask = elements::<T>(self.name(), mask, mask_layout)?;
            Ok((T::to_cpu_storage_owned(masked(x, mask)), x_layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        x_layout: &Layout,
        mask: &CudaStorage,
        mask_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let product = product(x_layout.shape(), mask_layout.shape())?;
        let (x, mask) = (Memory::new(self.name(), storage, x_layout)?, Memory::new(self.name(), mask, mask_layout)?);
        Ok((product.forward(&Gpu::new(storage), &x, &mask)?.into_storage()?, x_layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, mask: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let product = product(x.shape(), mask.shape())?;
            return on_device(self.name(), [&dy, mask], |[dy, mask]| {
                let dx = product.forward(&Gpu::of(&dy), &dy.into(), &mask.into())?;
                Ok((Some(dx.into_tensor(x.shape())?), None))
            });
        }
        let dx = with_element!(x.dtype(), self.name(), T => {
            let dx = on_host::<T, 2, _>(self.name(), [&dy, mask], |[dy, mask]| Ok(masked(dy, mask)))?;
            Tensor::from_vec(dx, x.shape(), x.device())
        })?;
        Ok((Some(dx), None))
    }
}

/// The product of a map and its mask.
#[cfg(feature = "cuda")]
fn product(x: &Shape, mask: &Shape) -> Result<Broadcast<'static>> {
    let extents = |shape: &Shape| shape.dims4().map(|(n, c, h, w)| [n, c, h, w]);
    Ok(Broadcast { name: "mul", a: extents(x)?, b: extents(mask)? })
}

/// `x * mask`, each element of the mask standing for as many elements of `x` as there are to one.
fn masked<T: Element>(x: &[T], mask: &[T]) -> Vec<T> {
    const CHUNK: usize = 16 * 1024;
    let mut y = vec![T::zero(); x.len()];
    if x.len() == mask.len() {
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK).zip(mask.par_chunks(CHUNK))).for_each(|(y, (x, mask))| {
            y.iter_mut().zip(x).zip(mask).for_each(|((y, &x), &mask)| *y = x * mask);
        });
    } else if !x.is_empty() {
        let pixels = x.len() / mask.len();
        y.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).zip(mask).for_each(|((y, x), &mask)| {
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x * mask);
        });
    }
    y
}
