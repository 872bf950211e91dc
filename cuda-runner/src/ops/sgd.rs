//! A step of gradient descent in place: no memory, and both cores.

use candle_core::{
    CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, WithDType, backend::BackendStorage, bail,
};
use rayon::prelude::*;

use super::element::{Element, elements, with_element};

/// Elements that a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// How a parameter is moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Share of the old velocity that is kept.
    pub momentum: f64,
    /// Added to the gradient as `decay * weight`.
    pub decay: f64,
    /// How far along the velocity.
    pub rate: f64,
}

/// `velocity <- momentum velocity + (gradient + decay weight)`, `weight <- weight - rate velocity`, in place.
///
/// # Errors
/// If the shapes differ, a tensor is not contiguous or not in CPU memory.
///
/// # Reference
/// PyTorch's `SGD` without dampening and Nesterov's variant.
pub fn sgd_step(weight: &Var, velocity: &Tensor, gradient: &Tensor, step: SgdStep) -> Result<()> {
    if weight.shape() != velocity.shape() || weight.shape() != gradient.shape() {
        bail!("sgd: weight {:?}, velocity {:?}, gradient {:?}", weight.dims(), velocity.dims(), gradient.dims());
    }
    let weight = weight.as_detached_tensor();
    velocity.inplace_op3(&gradient.contiguous()?.detach(), &weight, &Follow(step))?;
    weight.inplace_op2(velocity, &Move(step))
}

/// The velocity follows the gradient.
struct Follow(SgdStep);

/// The weight follows the velocity.
struct Move(SgdStep);

/// The elements of a tensor that is written.
fn writable<'a, T: Element>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [T]> {
    match (layout.contiguous_offsets(), T::elements_mut(storage)) {
        (Some((start, end)), Some(elements)) => Ok(&mut elements[start..end]),
        _ => bail!("sgd needs contiguous tensors of one type"),
    }
}

impl InplaceOp3 for Follow {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu_fwd(
        &self,
        velocity: &mut CpuStorage,
        velocity_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<()> {
        with_element!(gradient.dtype(), "sgd", T => {
            let (momentum, decay) = (T::from_f64(self.0.momentum), T::from_f64(self.0.decay));
            let velocity = writable::<T>(velocity, velocity_layout)?;
            let gradient = elements::<T>("sgd", gradient, gradient_layout)?;
            let weight = elements::<T>("sgd", weight, weight_layout)?;
            let chunks = velocity.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(weight.par_chunks(CHUNK));
            chunks.for_each(|((velocity, gradient), weight)| {
                for ((velocity, &gradient), &weight) in velocity.iter_mut().zip(gradient).zip(weight) {
                    *velocity = momentum * *velocity + (gradient + decay * weight);
                }
            });
            Ok(())
        })
    }
}

impl InplaceOp2 for Move {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu_fwd(
        &self,
        weight: &mut CpuStorage,
        weight_layout: &Layout,
        velocity: &CpuStorage,
        velocity_layout: &Layout,
    ) -> Result<()> {
        with_element!(velocity.dtype(), "sgd", T => {
            let rate = T::from_f64(self.0.rate);
            let weight = writable::<T>(weight, weight_layout)?;
            let velocity = elements::<T>("sgd", velocity, velocity_layout)?;
            weight.par_chunks_mut(CHUNK).zip(velocity.par_chunks(CHUNK)).for_each(|(weight, velocity)| {
                for (weight, &velocity) in weight.iter_mut().zip(velocity) {
                    *weight -= rate * velocity;
                }
            });
            Ok(())
        })
    }
}
