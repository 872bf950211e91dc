//! Rectification.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage};
use rayon::prelude::*;

use super::element::{Element, elements, on_host, with_element};

/// Elements a task works on: small enough to share, large enough to pay for the task.
const CHUNK: usize = 16 * 1024;

/// `max(x, 0)`, with gradient 0 at 0.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// Candle's.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Relu)
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_element!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), storage, layout)?;
            let mut y = vec![0.0 as T; x.len()];
            y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x > 0.0 { x } else { 0.0 });
            });
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        with_element!(y.dtype(), self.name(), T => Ok(Some(rectified_gradient::<T>(y, dy)?)))
    }
}

/// `dy` where `y > 0`, else 0.
fn rectified_gradient<T: Element>(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let dy = dy.contiguous()?;
    let dx = on_host::<T, 2, _>("relu", [y, &dy], |[y, dy]| {
        let mut dx = vec![T::zero(); y.len()];
        dx.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK).zip(dy.par_chunks(CHUNK))).for_each(|(dx, (y, dy))| {
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = if y > T::zero() { dy } else { T::zero() };
            }
        });
        Ok(dx)
    })?;
    Tensor::from_vec(dx, y.shape(), y.device())
}
