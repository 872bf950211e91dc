//! Steps of gradient descent, many tensors a launch.

use candle_core::{DType, Result};

use super::{Argument, Grid, Machine, THREADS, expect, run};
use crate::ops::SgdStep;

/// Tensors of a launch, as in `sgd.cu`.
const TENSORS: usize = 32;

/// Most blocks that do a tensor.
const BLOCKS: usize = 256;

/// A tensor to move.
#[derive(Debug)]
pub struct Tensor<'a, M> {
    /// What is moved.
    pub weight: &'a M,
    /// How far it moved before.
    pub velocity: &'a M,
    /// Where it is to go.
    pub gradient: &'a M,
    /// How.
    pub step: SgdStep,
}

/// Moves tensors of one type, in place.
///
/// # Errors
/// If a weight, its velocity and its gradient are not alike, and the machine's.
pub fn step<M: Machine>(m: &M, tensors: &[Tensor<'_, M::Memory>]) -> Result<()> {
    for tensors in tensors.chunk_by(|a, b| alike::<M>(a, b)) {
        for tensors in tensors.chunks(TENSORS) {
            launch(m, tensors)?;
        }
    }
    Ok(())
}

/// Whether two tensors can be moved by one launch.
fn alike<M: Machine>(a: &Tensor<'_, M::Memory>, b: &Tensor<'_, M::Memory>) -> bool {
    M::dtype(a.weight) == M::dtype(b.weight) && a.step.momentum == b.step.momentum
}

fn launch<M: Machine>(m: &M, tensors: &[Tensor<'_, M::Memory>]) -> Result<()> {
    let Some(first) = tensors.first() else { return Ok(()) };
    let dtype: DType = M::dtype(first.weight);
    let mut most = 0;
    for Tensor { weight, velocity, gradient, .. } in tensors {
        let count = M::count(weight);
        expect::<M>("a velocity", velocity, dtype, count)?;
        expect::<M>("a gradient", gradient, dtype, count)?;
        most = most.max(count);
    }
    let weights: Vec<_> = tensors.iter().map(|tensor| tensor.weight).collect();
    let velocities: Vec<_> = tensors.iter().map(|tensor| tensor.velocity).collect();
    let gradients: Vec<_> = tensors.iter().map(|tensor| tensor.gradient).collect();
    let counts: Vec<i64> = weights.iter().map(|weight| M::count(weight) as i64).collect();
    let rates: Vec<f64> = tensors.iter().map(|tensor| tensor.step.rate).collect();
    let decays: Vec<f64> = tensors.iter().map(|tensor| tensor.step.decay).collect();
    let blocks = most.div_ceil(THREADS as usize * 4).min(BLOCKS) as u32;
    let grid = Grid { blocks: [blocks, tensors.len() as u32, 1], threads: THREADS };
    let arguments = [
        Argument::Outs(&weights),
        Argument::Outs(&velocities),
        Argument::Ins(&gradients),
        Argument::Longs(&counts),
        Argument::Reals(&rates),
        Argument::Reals(&decays),
        Argument::Real(first.step.momentum),
    ];
    // SAFETY: row `i` of the grid does tensor `i`, as many elements as it is told.
    unsafe { run(m, "sgd", "sgd", dtype, grid, &arguments) }
}
