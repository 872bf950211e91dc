//! Scale and shift of each channel: batch normalisation with statistics that do not change.

use std::mem::MaybeUninit;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::kernels::norm::Maps;
use super::{
    batch_norm::{gradient_sums, input_gradient},
    element::{Element, elements, on_host, with_element, written},
    lanes::vectorised,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// `x * scale + shift`, each channel by its own scale and shift, then ReLU if `relu` (gradient 0 at 0). Frozen or
/// evaluated batch normalisation, with `scale = gamma / sqrt(variance + eps)` and `shift = beta - mean * scale`.
///
/// # Shapes
/// x `[n, c, h, w]`, scale and shift `[c]` -> `[n, c, h, w]`
///
/// # Errors
/// If the shapes do not match.
pub fn scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor, relu: bool) -> Result<Tensor> {
    let (_, c, ..) = x.dims4()?;
    if scale.dims() != [c] || shift.dims() != [c] {
        bail!("scale_shift of {c} channels with scale {:?} and shift {:?}", scale.dims(), shift.dims());
    }
    x.contiguous()?.apply_op3(&scale.contiguous()?, &shift.contiguous()?, ScaleShift { relu })
}

struct ScaleShift {
    relu: bool,
}

impl ScaleShift {
    fn forward<T: Element>(&self, x: &[T], scale: &[T], shift: &[T], pixels: usize) -> Vec<T> {
        if x.is_empty() {
            return Vec::new();
        }
        // SAFETY: chunks of `y` and of `x` have the same length, which `transform` relies on as well.
        unsafe {
            written(x.len(), |y| {
                y.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).enumerate().for_each(|(plane, (y, x))| {
                    let (scale, shift) = (scale[plane % scale.len()], shift[plane % shift.len()]);
                    transform(x, scale, shift, self.relu, y);
                });
            })
        }
    }

    fn backward<T: Element>(
        &self,
        x: &Tensor,
        scale: &Tensor,
        y: &Tensor,
        dy: &Tensor,
        parameters: bool,
    ) -> Result<[Tensor; 3]> {
        let (_, channels, h, w) = x.dims4()?;
        let pixels = (h * w).max(1);
        let dy = dy.contiguous()?;
        let (dx, dscale, dshift) = on_host::<T, 4, _>("scale_shift", [x, scale, y, &dy], |[x, scale, y, dy]| {
            let mut sums: Vec<(f64, f64)> = Vec::new();
            let inputs = x.par_chunks(pixels).zip(y.par_chunks(pixels)).zip(dy.par_chunks(pixels)).enumerate();
            let differentiate = |((plane, ((x, y), dy)), dx): ((usize, Planes<'_, T>), &mut [MaybeUninit<T>])| {
                input_gradient(x, y, dy, [scale[plane % channels], T::zero(), T::zero()], self.relu, dx);
                if parameters { gradient_sums(x, y, dy, T::zero(), self.relu) } else { (0.0, 0.0) }
            };
            // SAFETY: the planes of `dx` are as long as those of the inputs.
            let dx = unsafe {
                written(x.len(), |dx| sums = inputs.zip(dx.par_chunks_mut(pixels)).map(differentiate).collect())
            };
            let (mut dscale, mut dshift) = (vec![0.0; channels], vec![0.0; channels]);
            for (plane, (plain, product)) in sums.into_iter().enumerate() {
                dscale[plane % channels] += product;
                dshift[plane % channels] += plain;
            }
            Ok((dx, dscale, dshift))
        })?;
        let vector = |values: Vec<f64>| Tensor::from_vec(values, channels, x.device())?.to_dtype(x.dtype());
        Ok([Tensor::from_vec(dx, x.shape(), x.device())?, vector(dscale)?, vector(dshift)?])
    }
}

/// A plane of the input, of the output and of its gradient.
type Planes<'a, T> = ((&'a [T], &'a [T]), &'a [T]);

vectorised! {
    /// Writes `x * scale + shift`, rectified if `relu`, to every element of `y`, which is as long as `x`.
    ['a, T: Element] ['a, T]
    pub(super) fn transform(x: &'a [T], scale: T, shift: T, relu: bool, y: &'a mut [MaybeUninit<T>]) -> () {
        for (y, &x) in y.iter_mut().zip(x) {
            let value = x * scale + shift;
            // A NaN is not hidden.
            y.write(if relu && value <= T::zero() { T::zero() } else { value });
        }
    }
}

impl CustomOp3 for ScaleShift {
    fn name(&self) -> &'static str {
        "scale_shift"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, _, h, w) = x_layout.shape().dims4()?;
        with_element!(x.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), x, x_layout)?;
            let scale = elements::<T>(self.name(), scale, scale_layout)?;
            let shift = elements::<T>(self.name(), shift, shift_layout)?;
            Ok((T::to_cpu_storage_owned(self.forward(x, scale, shift, h * w)), x_layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        x_layout: &Layout,
        scale: &CudaStorage,
        scale_layout: &Layout,
        shift: &CudaStorage,
        shift_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let x = Memory::new(self.name(), storage, x_layout)?;
        let scale = Memory::new(self.name(), scale, scale_layout)?;
        let shift = Memory::new(self.name(), shift, shift_layout)?;
        let maps = Maps::of(x_layout.shape(), self.relu)?;
        let y = maps.scale_shift(&Gpu::new(storage), &x, [&scale, &shift], None)?;
        Ok((y.into_storage()?, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let maps = Maps::of(x.shape(), self.relu)?;
            return on_device(self.name(), [x, scale, y, &dy.contiguous()?], |tensors| {
                let gpu = Gpu::of(&tensors[0]);
                let [on_x, on_scale, y, dy] = tensors.map(Memory::from);
                let dx = || maps.rectify_scaled(&gpu, &y, &dy, &on_scale)?.into_tensor(x.shape());
                let dx = x.track_op().then(dx).transpose()?;
                if !scale.track_op() && !shift.track_op() {
                    return Ok((dx, None, None));
                }
                let [products, plain] = maps.sums(&gpu, [&on_x, &y, &dy])?;
                let (dscale, dshift) = (products.into_tensor(scale.shape())?, plain.into_tensor(shift.shape())?);
                Ok((dx, scale.track_op().then_some(dscale), shift.track_op().then_some(dshift)))
            });
        }
        let parameters = scale.track_op() || shift.track_op();
        let [dx, dscale, dshift] =
            with_element!(x.dtype(), self.name(), T => self.backward::<T>(x, scale, y, dy, parameters))?;
        Ok((x.track_op().then_some(dx), scale.track_op().then_some(dscale), shift.track_op().then_some(dshift)))
    }
}
