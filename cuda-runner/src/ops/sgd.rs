//! A step of gradient descent in place: no memory, and both cores.

#[cfg(feature = "cuda")]
use candle_core::Storage;
use candle_core::{
    CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, WithDType, backend::BackendStorage, bail,
};
use rayon::prelude::*;

use super::element::{Element, elements, with_element};
#[cfg(feature = "cuda")]
use super::kernels;
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory};

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
/// If the shapes differ, or a tensor is not contiguous or elsewhere than the others.
///
/// # Reference
/// PyTorch's `SGD` without dampening and Nesterov's variant.
pub fn sgd_step(weight: &Var, velocity: &Tensor, gradient: &Tensor, step: SgdStep) -> Result<()> {
    #[cfg(feature = "cuda")]
    if weight.device().is_cuda() {
        return on_gpu(&[SgdMove { weight, velocity, gradient, step }]);
    }
    check(weight, velocity, gradient)?;
    let weight = weight.as_detached_tensor();
    velocity.inplace_op3(&gradient.contiguous()?.detach(), &weight, &Follow(step))?;
    weight.inplace_op2(velocity, &Move(step))
}

/// A parameter to move.
#[derive(Clone, Debug)]
pub struct SgdMove<'a> {
    /// The parameter.
    pub weight: &'a Var,
    /// How far it moved before; shape and type are the weight's.
    pub velocity: &'a Tensor,
    /// Shape and type are the weight's.
    pub gradient: &'a Tensor,
    /// How.
    pub step: SgdStep,
}

/// [`sgd_step`] of many parameters; on a GPU many of them in one launch.
///
/// # Errors
/// As [`sgd_step`].
pub fn sgd_steps(moves: &[SgdMove<'_>]) -> Result<()> {
    #[cfg(feature = "cuda")]
    if moves.first().is_some_and(|first| first.weight.device().is_cuda()) {
        return on_gpu(moves);
    }
    moves
        .iter()
        .try_for_each(|SgdMove { weight, velocity, gradient, step }| sgd_step(weight, velocity, gradient, *step))
}

#[cfg(feature = "cuda")]
fn on_gpu(moves: &[SgdMove<'_>]) -> Result<()> {
    for SgdMove { weight, velocity, gradient, .. } in moves {
        check(weight, velocity, gradient)?;
    }
    let gradients = moves.iter().map(|one| one.gradient.contiguous()).collect::<Result<Vec<_>>>()?;
    // What is written is the device's memory, which borrowed storage only points to. Nothing else reads or writes it
    // before the launches that were asked for earlier have run: all are on one stream.
    let tensors = moves.iter().zip(&gradients).flat_map(|(one, gradient)| [one.weight, one.velocity, gradient]);
    let borrowed: Vec<_> = tensors.map(Tensor::storage_and_layout).collect();
    let memories = borrowed
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cuda(storage) => Memory::new("sgd", storage, layout),
            _ => bail!("sgd has tensors on a GPU and elsewhere"),
        })
        .collect::<Result<Vec<_>>>()?;
    let Some((Storage::Cuda(first), _)) = borrowed.first().map(|(storage, layout)| (&**storage, layout)) else {
        return Ok(());
    };
    let tensors: Vec<_> = moves
        .iter()
        .zip(memories.as_chunks::<3>().0)
        .map(|(one, [weight, velocity, gradient])| kernels::sgd::Tensor { weight, velocity, gradient, step: one.step })
        .collect();
    kernels::sgd::step(&Gpu::new(first), &tensors)
}

fn check(weight: &Var, velocity: &Tensor, gradient: &Tensor) -> Result<()> {
    if weight.shape() != velocity.shape() || weight.shape() != gradient.shape() {
        bail!("sgd: weight {:?}, velocity {:?}, gradient {:?}", weight.dims(), velocity.dims(), gradient.dims());
    }
    Ok(())
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
