//! Elementwise functions of one tensor, with gradients that stay finite wherever the gradient that arrives is 0.

use std::mem::MaybeUninit;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage};
use rayon::prelude::*;

use super::{
    element::{Element, elements, on_host, with_element, written},
    lanes::vectorised,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Elements, on_device};

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
    x.contiguous()?.apply_op1(Unary::Relu)
}

/// e to the power x.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// Candle's.
pub fn exp(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unary::Exp)
}

/// Natural logarithm.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// Candle's.
pub fn ln(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unary::Ln)
}

/// Square root, with gradient 0 at 0, where there is none.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// Candle's.
pub fn sqrt(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unary::Sqrt)
}

/// Absolute value, with gradient 0 at 0.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// Candle's.
pub fn abs(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unary::Abs)
}

/// x to the power `exponent`.
///
/// # Shapes
/// any, kept
///
/// # Errors
/// Candle's.
pub fn powf(x: &Tensor, exponent: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unary::Powf(exponent))
}

#[derive(Clone, Copy)]
enum Unary {
    Relu,
    Exp,
    Ln,
    Sqrt,
    Abs,
    Powf(f64),
}

impl Unary {
    #[cfg(feature = "cuda")]
    const fn exponent(self) -> f64 {
        if let Self::Powf(exponent) = self { exponent } else { 1.0 }
    }

    fn forward<T: Element>(self, x: &[T]) -> Vec<T> {
        match self {
            // Asked this way round, a NaN is not hidden.
            Self::Relu => map(x, |x| if x <= T::zero() { T::zero() } else { x }),
            Self::Exp => map(x, T::exp),
            Self::Ln => map(x, T::ln),
            Self::Sqrt => map(x, T::sqrt),
            Self::Abs => map(x, T::magnitude),
            Self::Powf(exponent) => map(x, |x| x.powf(exponent)),
        }
    }

    /// The gradient from the function's argument, its value and the gradient of that.
    fn backward<T: Element>(self, x: &[T], y: &[T], dy: &[T]) -> Vec<T> {
        let (zero, one) = (T::zero(), T::one());
        let half = T::from_f64(0.5);
        // Where no gradient arrives none leaves, whatever the slope.
        let silent = |dy: T, dx: T| if dy == zero { zero } else { dx };
        match self {
            Self::Relu => zip(x, y, dy, |_, y, dy| if y > zero { dy } else { zero }),
            Self::Exp => zip(x, y, dy, |_, y, dy| silent(dy, dy * y)),
            Self::Ln => zip(x, y, dy, |x, _, dy| silent(dy, dy / x)),
            Self::Sqrt => zip(x, y, dy, |_, y, dy| if y > zero { half * dy / y } else { zero }),
            Self::Abs => zip(x, y, dy, |x, _, dy| match x.partial_cmp(&zero) {
                Some(std::cmp::Ordering::Equal) => zero,
                Some(std::cmp::Ordering::Less) => zero - dy,
                _ => dy,
            }),
            Self::Powf(0.0) => vec![zero; x.len()],
            Self::Powf(1.0) => zip(x, y, dy, |_, _, dy| dy * one),
            Self::Powf(exponent) => {
                let factor = T::from_f64(exponent);
                zip(x, y, dy, |x, _, dy| silent(dy, dy * factor * x.powf(exponent - 1.0)))
            }
        }
    }
}

impl CustomOp1 for Unary {
    fn name(&self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Exp => "exp",
            Self::Ln => "ln",
            Self::Sqrt => "sqrt",
            Self::Abs => "abs",
            Self::Powf(_) => "powf",
        }
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_element!(storage.dtype(), self.name(), T => {
            let y = self.forward(elements::<T>(self.name(), storage, layout)?);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let x = Elements::new(self.name(), storage, layout)?;
        let y = super::cuda::unary::forward(self.name(), self.exponent(), x)?;
        Ok((y.into_storage(), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let exponent = self.exponent();
            return on_device(self.name(), [x, y, &dy], |tensors| {
                super::cuda::unary::backward(self.name(), exponent, tensors)?.into_tensor(x.shape()).map(Some)
            });
        }
        with_element!(x.dtype(), self.name(), T => {
            let dx = on_host::<T, 3, _>(self.name(), [x, y, &dy], |[x, y, dy]| Ok(self.backward(x, y, dy)))?;
            Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
        })
    }
}

/// `f` of every element.
fn map<T: Element>(x: &[T], f: impl Fn(T) -> T + Copy + Sync) -> Vec<T> {
    // SAFETY: the chunks of `y` and `x` have the same lengths, so every element is written.
    unsafe {
        written(x.len(), |y| match x.len() <= CHUNK {
            true => map_chunk(y, x, f),
            false => y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| map_chunk(y, x, f)),
        })
    }
}

/// `f` of every three corresponding elements of slices of the same length.
fn zip<T: Element>(a: &[T], b: &[T], c: &[T], f: impl Fn(T, T, T) -> T + Copy + Sync) -> Vec<T> {
    assert!(a.len() == b.len() && a.len() == c.len());
    // SAFETY: the slices have the same length, and so have their chunks: every element is written.
    unsafe {
        written(a.len(), |y| {
            if a.len() <= CHUNK {
                return zip_chunk(y, a, b, c, f);
            }
            let inputs = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).zip(c.par_chunks(CHUNK));
            y.par_chunks_mut(CHUNK).zip(inputs).for_each(|(y, ((a, b), c))| zip_chunk(y, a, b, c, f));
        })
    }
}

vectorised! {
    ['a, T: Element, F: Fn(T) -> T] ['a, T, F]
    fn map_chunk(y: &'a mut [MaybeUninit<T>], x: &'a [T], f: F) -> () {
        for (y, &x) in y.iter_mut().zip(x) {
            y.write(f(x));
        }
    }

    ['a, T: Element, F: Fn(T, T, T) -> T] ['a, T, F]
    fn zip_chunk(y: &'a mut [MaybeUninit<T>], a: &'a [T], b: &'a [T], c: &'a [T], f: F) -> () {
        for (((y, &a), &b), &c) in y.iter_mut().zip(a).zip(b).zip(c) {
            y.write(f(a, b, c));
        }
    }
}
