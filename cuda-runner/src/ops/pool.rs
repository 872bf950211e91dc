//! Maximum pooling.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::kernels;
use super::{
    element::{Element, elements, on_host, with_element},
    lanes::vectorised,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// Largest element of each window; outside the map there is nothing to be larger. The gradient goes to the first
/// maximum of a window in row-major order.
///
/// # Shapes
/// `[n, c, h, w]` -> `[n, c, (h + 2 padding - kernel) / stride + 1, (w + 2 padding - kernel) / stride + 1]`
///
/// # Errors
/// If the kernel or the stride is 0, the padding more than half the kernel, or the map smaller than the kernel.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    square_pool(x, MaxPool { kernel: (kernel, kernel), stride, padding, partial: false })
}

/// As [`max_pool2d`], with a last window that reaches beyond the map where the stride leaves a rest, as long as it
/// starts inside the map or its leading padding: PyTorch's `ceil_mode`.
///
/// # Shapes
/// `[n, c, h, w]` -> `[n, c, h', w']` with `h' = ceil((h + 2 padding - kernel) / stride) + 1`, less 1 if the last
/// window would start at or after `h + padding`, and `w'` alike
///
/// # Errors
/// As [`max_pool2d`].
pub fn max_pool2d_ceil(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    square_pool(x, MaxPool { kernel: (kernel, kernel), stride, padding, partial: true })
}

fn square_pool(x: &Tensor, pool: MaxPool) -> Result<Tensor> {
    let MaxPool { kernel: (kernel, _), stride, padding, .. } = pool;
    let (_, _, h, w) = x.dims4()?;
    if kernel == 0 || stride == 0 || 2 * padding > kernel {
        bail!("max_pool2d cannot have kernel {kernel}, stride {stride} and padding {padding}");
    }
    if h.min(w) + 2 * padding < kernel || h == 0 || w == 0 {
        bail!("max_pool2d with kernel {kernel} and padding {padding} does not fit a map of {h}x{w}");
    }
    x.contiguous()?.apply_op1(pool)
}

/// Largest element of each channel, its gradient going to the first maximum.
///
/// # Shapes
/// `[n, c, h, w]` -> `[n, c, 1, 1]`
///
/// # Errors
/// If the map is empty.
pub fn global_max_pool(x: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if h * w == 0 {
        bail!("global_max_pool of an empty map");
    }
    x.contiguous()?.apply_op1(MaxPool { kernel: (h, w), stride: 1, padding: 0, partial: false })
}

/// A NaN wins, so that it is not hidden.
#[inline(always)]
fn larger<T: Element>(a: T, b: T) -> T {
    if b > a || b.partial_cmp(&b).is_none() { b } else { a }
}

vectorised! {
    /// The maximum of each window of a map: over its rows first, for all columns at once.
    ['a, T: Element] ['a, T]
    fn maxima(pool: &'a MaxPool, x: &'a [T], size: (usize, usize), y: &'a mut [T]) -> () {
        let (h, w) = size;
        let (_, columns) = pool.output(h, w);
        let mut highest = vec![T::zero(); w];
        for (oy, y) in y.chunks_exact_mut(columns).enumerate() {
            let mut rows = window(oy, pool.kernel.0, pool.stride, pool.padding, h).map(|iy| &x[iy * w..][..w]);
            highest.copy_from_slice(rows.next().unwrap_or(&x[..w]));
            for row in rows {
                for (highest, &x) in highest.iter_mut().zip(row) {
                    *highest = larger(*highest, x);
                }
            }
            for (ox, y) in y.iter_mut().enumerate() {
                let columns = window(ox, pool.kernel.1, pool.stride, pool.padding, w);
                let mut largest = highest[columns.start];
                for &value in &highest[columns] {
                    largest = larger(largest, value);
                }
                *y = largest;
            }
        }
    }
}

struct MaxPool {
    kernel: (usize, usize),
    stride: usize,
    padding: usize,
    /// Whether a window may reach beyond the map and its padding.
    partial: bool,
}

/// The part of a window that lies inside the map, along one axis.
fn window(out: usize, kernel: usize, stride: usize, padding: usize, extent: usize) -> std::ops::Range<usize> {
    let start = out * stride;
    start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(extent)
}

impl MaxPool {
    fn output(&self, h: usize, w: usize) -> (usize, usize) {
        let size = |extent: usize, kernel: usize| {
            let room = extent + 2 * self.padding - kernel;
            match self.partial {
                false => room / self.stride + 1,
                // A window of nothing but padding has no maximum.
                true => room.div_ceil(self.stride).min((extent + self.padding - 1) / self.stride) + 1,
            }
        };
        (size(h, self.kernel.0), size(w, self.kernel.1))
    }

    #[cfg(feature = "cuda")]
    fn kernels(&self, shape: &Shape) -> Result<kernels::pool::MaxPool> {
        let (n, c, h, w) = shape.dims4()?;
        let &Self { kernel, stride, padding, .. } = self;
        Ok(kernels::pool::MaxPool { planes: n * c, from: (h, w), to: self.output(h, w), kernel, stride, padding })
    }

    /// Calls `visit` with each output element's index and the index of the first maximum of its window.
    fn for_each_maximum<T: Element>(&self, x: &[T], (h, w): (usize, usize), mut visit: impl FnMut(usize, usize)) {
        let (rows, columns) = self.output(h, w);
        for oy in 0..rows {
            let ys = window(oy, self.kernel.0, self.stride, self.padding, h);
            for ox in 0..columns {
                let xs = window(ox, self.kernel.1, self.stride, self.padding, w);
                let mut first = ys.start * w + xs.start;
                let mut largest = x[first];
                for iy in ys.clone() {
                    for (index, &value) in (iy * w..).zip(&x[iy * w..(iy + 1) * w]).take(xs.end).skip(xs.start) {
                        // A NaN wins, so that it is not hidden.
                        if value > largest || value.partial_cmp(&value).is_none() {
                            (first, largest) = (index, value);
                        }
                    }
                }
                visit(oy * columns + ox, first);
            }
        }
    }

    fn gradient<T: Element>(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let (rows, columns) = self.output(h, w);
        let dy = dy.contiguous()?;
        let dx = on_host::<T, 2, _>("max_pool2d", [x, &dy], |[x, dy]| {
            let mut dx = vec![T::zero(); x.len()];
            let planes = dx.par_chunks_mut(h * w).zip(x.par_chunks(h * w)).zip(dy.par_chunks(rows * columns));
            planes.for_each(|((dx, x), dy)| self.for_each_maximum(x, (h, w), |out, index| dx[index] += dy[out]));
            Ok(dx)
        })?;
        Tensor::from_vec(dx, x.shape(), x.device())
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let (rows, columns) = self.output(h, w);
        with_element!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(self.name(), storage, layout)?;
            let mut y = vec![0.0 as T; n * c * rows * columns];
            let planes = y.par_chunks_mut(rows * columns).zip(x.par_chunks(h * w));
            planes.for_each(|(y, x)| maxima(self, x, (h, w), y));
            Ok((T::to_cpu_storage_owned(y), Shape::from((n, c, rows, columns))))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let x = Memory::new(self.name(), storage, layout)?;
        let y = self.kernels(layout.shape())?.forward(&Gpu::new(storage), &x)?;
        let (rows, columns) = self.output(h, w);
        Ok((y.into_storage()?, Shape::from((n, c, rows, columns))))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            return on_device(self.name(), [x, y, &dy.contiguous()?], |[on_gpu, y, dy]| {
                let gpu = Gpu::of(&y);
                let tensors = [&on_gpu.into(), &y.into(), &dy.into()];
                Ok(Some(self.kernels(x.shape())?.backward(&gpu, tensors)?.into_tensor(x.shape())?))
            });
        }
        // On the CPU the maxima are found again.
        let _ = y;
        with_element!(x.dtype(), self.name(), T => Ok(Some(self.gradient::<T>(x, dy)?)))
    }
}
