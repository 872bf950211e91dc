//! Bilinear resize, both corner conventions, with its gradient.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;
use wseg_core::Corners;

#[cfg(feature = "cuda")]
use super::kernels;
use super::{
    element::{Element, elements, on_host, with_element},
    lanes::vectorised,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// Bilinear resize of every channel, without antialiasing.
///
/// # Shapes
/// `[n, c, h', w']` -> `[n, c, h, w]`
///
/// # Errors
/// If either map is empty.
///
/// # Reference
/// PyTorch's `interpolate(mode="bilinear")`; `Corners::Aligned` is its `align_corners=True`.
pub fn resize(x: &Tensor, h: usize, w: usize, corners: Corners) -> Result<Tensor> {
    let (_, _, rows, columns) = x.dims4()?;
    if rows * columns == 0 || h * w == 0 {
        bail!("resize from {rows}x{columns} to {h}x{w}: an empty map");
    }
    if (rows, columns) == (h, w) {
        return Ok(x.clone());
    }
    x.contiguous()?.apply_op1(Resize { from: (rows, columns), to: (h, w), corners })
}

struct Resize {
    from: (usize, usize),
    to: (usize, usize),
    corners: Corners,
}

/// Where one output row or column comes from: `(1 - weight) * first + weight * second`.
#[derive(Clone, Copy)]
struct Sample<T> {
    first: usize,
    second: usize,
    weight: T,
}

/// The samples of one axis.
fn samples<T: Element>(from: usize, to: usize, corners: Corners) -> Vec<Sample<T>> {
    (0..to)
        .map(|out| {
            let position = match corners {
                Corners::Aligned if to == 1 => 0.0,
                Corners::Aligned => out as f64 * ((from - 1) as f64 / (to - 1) as f64),
                Corners::HalfPixel => ((out as f64 + 0.5) * (from as f64 / to as f64) - 0.5).max(0.0),
            };
            let first = (position as usize).min(from - 1);
            Sample { first, second: (first + 1).min(from - 1), weight: T::from_f64((position - first as f64).min(1.0)) }
        })
        .collect()
}

impl Resize {
    #[cfg(feature = "cuda")]
    fn kernel(&self, planes: usize) -> kernels::resize::Resize {
        kernels::resize::Resize { planes, from: self.from, to: self.to, corners: self.corners }
    }

    fn forward<T: Element>(&self, x: &[T], planes: usize) -> Vec<T> {
        let ((rows, columns), (h, w)) = (self.from, self.to);
        let (vertical, horizontal) = (samples::<T>(rows, h, self.corners), samples::<T>(columns, w, self.corners));
        let mut y = vec![T::zero(); planes * h * w];
        y.par_chunks_mut(h * w).zip(x.par_chunks(rows * columns)).for_each_init(
            || vec![T::zero(); columns],
            |blended, (y, x)| {
                for (y, row) in y.chunks_exact_mut(w).zip(&vertical) {
                    let rows = (&x[row.first * columns..][..columns], &x[row.second * columns..][..columns]);
                    sample(rows, row.weight, &horizontal, blended, y);
                }
            },
        );
        y
    }

    /// The transpose of [`forward`](Self::forward): every output gradient is spread over the pixels it came from.
    fn backward<T: Element>(&self, dy: &[T], planes: usize) -> Vec<T> {
        let ((rows, columns), (h, w)) = (self.from, self.to);
        let (vertical, horizontal) = (samples::<T>(rows, h, self.corners), samples::<T>(columns, w, self.corners));
        let mut dx = vec![T::zero(); planes * rows * columns];
        dx.par_chunks_mut(rows * columns).zip(dy.par_chunks(h * w)).for_each_init(
            || vec![T::zero(); columns],
            |spread, (dx, dy)| {
                for (dy, row) in dy.chunks_exact(w).zip(&vertical) {
                    spread.fill(T::zero());
                    for (&dy, column) in dy.iter().zip(&horizontal) {
                        let second = column.weight * dy;
                        spread[column.first] += dy - second;
                        spread[column.second] += second;
                    }
                    add_scaled(&mut dx[row.first * columns..][..columns], spread, T::one() - row.weight);
                    add_scaled(&mut dx[row.second * columns..][..columns], spread, row.weight);
                }
            },
        );
        dx
    }
}

vectorised! {
    /// One row of outputs, from two rows of inputs that are first blended.
    ['a, T: Element] ['a, T]
    fn sample(rows: (&'a [T], &'a [T]), weight: T, horizontal: &'a [Sample<T>], blended: &'a mut [T], y: &'a mut [T]) -> () {
        for ((blended, &a), &b) in blended.iter_mut().zip(rows.0).zip(rows.1) {
            *blended = a + weight * (b - a);
        }
        for (y, column) in y.iter_mut().zip(horizontal) {
            let (a, b) = (blended[column.first], blended[column.second]);
            *y = a + column.weight * (b - a);
        }
    }

    /// `dx += weight * spread`
    ['a, T: Element] ['a, T]
    fn add_scaled(dx: &'a mut [T], spread: &'a [T], weight: T) -> () {
        for (dx, &spread) in dx.iter_mut().zip(spread) {
            *dx += weight * spread;
        }
    }
}

impl CustomOp1 for Resize {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, ..) = layout.shape().dims4()?;
        with_element!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), storage, layout)?;
            let y = self.forward(x, n * c);
            Ok((T::to_cpu_storage_owned(y), Shape::from((n, c, self.to.0, self.to.1))))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, c, ..) = layout.shape().dims4()?;
        let y = self.kernel(n * c).forward(&Gpu::new(storage), &Memory::new(self.name(), storage, layout)?)?;
        Ok((y.into_storage()?, Shape::from((n, c, self.to.0, self.to.1))))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (n, c, ..) = x.dims4()?;
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let kernel = self.kernel(n * c);
            return on_device(self.name(), [&dy], |[dy]| {
                Ok(Some(kernel.backward(&Gpu::of(&dy), &dy.into())?.into_tensor(x.shape())?))
            });
        }
        with_element!(x.dtype(), self.name(), T => {
            let dx = on_host::<T, 1, _>(self.name(), [&dy], |[dy]| Ok(self.backward(dy, n * c)))?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}
