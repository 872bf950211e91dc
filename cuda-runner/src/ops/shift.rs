//! Shifted and mirrored maps.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

use super::element::{Element, elements, on_host, with_element};
#[cfg(feature = "cuda")]
use super::kernels;
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// `y(i, j) = x(i + dy, j + dx)`; beyond the border the nearest edge pixel is repeated.
///
/// # Shapes
/// `[n, c, h, w]`, kept
///
/// # Errors
/// If the map is empty.
pub fn shift(x: &Tensor, dy: isize, dx: isize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if h * w == 0 {
        bail!("shift of an empty map");
    }
    if (dy, dx) == (0, 0) {
        return Ok(x.clone());
    }
    x.contiguous()?.apply_op1(Shift { size: (h, w), dy, dx })
}

/// Left-right mirror image.
///
/// # Shapes
/// `[n, c, h, w]`, kept
///
/// # Errors
/// Candle's.
pub fn mirror(x: &Tensor) -> Result<Tensor> {
    x.dims4()?;
    x.contiguous()?.apply_op1(Mirror)
}

struct Shift {
    size: (usize, usize),
    dy: isize,
    dx: isize,
}

/// `position + offset`, clamped to `0..extent`.
fn clamped(position: usize, offset: isize, extent: usize) -> usize {
    position.saturating_add_signed(offset).min(extent - 1)
}

impl Shift {
    /// Calls `visit` with the output row, the input row, and for the columns: how many at the left repeat the first
    /// one, and where the run that is copied begins in output and input, and its length.
    fn for_each_row(&self, mut visit: impl FnMut(usize, usize, Run)) {
        let (h, w) = self.size;
        let left = self.dx.min(0).unsigned_abs().min(w);
        let skipped = self.dx.max(0).unsigned_abs().min(w);
        let run = Run { left, skipped, length: w - left.max(skipped) };
        for y in 0..h {
            visit(y, clamped(y, self.dy, h), run);
        }
    }

    fn forward<T: Element>(&self, x: &[T]) -> Vec<T> {
        let (h, w) = self.size;
        let mut y = vec![T::zero(); x.len()];
        y.par_chunks_mut(h * w).zip(x.par_chunks(h * w)).for_each(|(y, x)| {
            self.for_each_row(|to, from, run| {
                let (y, x) = (&mut y[to * w..][..w], &x[from * w..][..w]);
                y[..run.left].fill(x[0]);
                y[run.left..][..run.length].copy_from_slice(&x[run.skipped..][..run.length]);
                y[run.left + run.length..].fill(x[w - 1]);
            });
        });
        y
    }

    fn backward<T: Element>(&self, dy: &[T]) -> Vec<T> {
        let (h, w) = self.size;
        let mut dx = vec![T::zero(); dy.len()];
        dx.par_chunks_mut(h * w).zip(dy.par_chunks(h * w)).for_each(|(dx, dy)| {
            self.for_each_row(|to, from, run| {
                let (dy, dx) = (&dy[to * w..][..w], &mut dx[from * w..][..w]);
                dy[..run.left].iter().for_each(|&dy| dx[0] += dy);
                let copied = &dy[run.left..][..run.length];
                dx[run.skipped..][..run.length].iter_mut().zip(copied).for_each(|(dx, &dy)| *dx += dy);
                dy[run.left + run.length..].iter().for_each(|&dy| dx[w - 1] += dy);
            });
        });
        dx
    }
}

/// How a row is shifted: `left` columns repeat the first pixel, `length` are copied from column `skipped` on, the
/// rest repeats the last pixel.
#[derive(Clone, Copy)]
struct Run {
    left: usize,
    skipped: usize,
    length: usize,
}

impl CustomOp1 for Shift {
    fn name(&self) -> &'static str {
        "shift"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_element!(storage.dtype(), self.name(), T => {
            let y = self.forward(elements::<T>(self.name(), storage, layout)?);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let x = Memory::new(self.name(), storage, layout)?;
        let y = kernels::shift::shift(&Gpu::new(storage), &x, self.size, (self.dy, self.dx), false)?;
        Ok((y.into_storage()?, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return on_device(self.name(), [&dy], |[dy]| {
                let dx = kernels::shift::shift(&Gpu::of(&dy), &dy.into(), self.size, (self.dy, self.dx), true)?;
                Ok(Some(dx.into_tensor(x.shape())?))
            });
        }
        with_element!(x.dtype(), self.name(), T => {
            let dx = on_host::<T, 1, _>(self.name(), [&dy], |[dy]| Ok(self.backward(dy)))?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}

struct Mirror;

impl CustomOp1 for Mirror {
    fn name(&self) -> &'static str {
        "mirror"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, _, _, w) = layout.shape().dims4()?;
        with_element!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), storage, layout)?;
            let mut y = vec![0.0 as T; x.len()];
            if w > 0 {
                y.par_chunks_mut(w).zip(x.par_chunks(w)).with_min_len(256).for_each(|(y, x)| {
                    y.iter_mut().zip(x.iter().rev()).for_each(|(y, &x)| *y = x);
                });
            }
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (_, _, _, w) = layout.shape().dims4()?;
        let y = kernels::shift::mirror(&Gpu::new(storage), &Memory::new(self.name(), storage, layout)?, w)?;
        Ok((y.into_storage()?, layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(dy.contiguous()?.apply_op1_no_bwd(self)?))
    }
}
