//! What the CPU implementations share: element types, access to a tensor's memory, errors.

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, DType, Error, Layout, Result, Storage, Tensor, WithDType, bail};

/// A real element type.
pub(crate) trait Element: WithDType {
    /// e to the power of this; in `f32` to 2 units in the last place, in code that vectorises, and 0 below -87.3.
    fn exp(self) -> Self;

    /// Natural logarithm.
    fn ln(self) -> Self;

    /// Square root.
    fn sqrt(self) -> Self;

    /// To the power `exponent`.
    fn powf(self, exponent: f64) -> Self;

    /// The larger of the two; `other` where this is NaN.
    fn larger(self, other: Self) -> Self;

    /// Absolute value.
    fn magnitude(self) -> Self;

    /// The elements of storage of this type.
    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

impl Element for f64 {
    #[inline(always)]
    fn exp(self) -> Self {
        Self::exp(self)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        Self::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self::sqrt(self)
    }

    #[inline(always)]
    fn powf(self, exponent: f64) -> Self {
        Self::powf(self, exponent)
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F64(elements) => Some(elements),
            _ => None,
        }
    }
}

impl Element for f32 {
    #[inline(always)]
    fn exp(self) -> Self {
        wseg_core::math::exp(self)
    }

    #[inline(always)]
    fn ln(self) -> Self {
        Self::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self::sqrt(self)
    }

    #[inline(always)]
    fn powf(self, exponent: f64) -> Self {
        Self::powf(self, exponent as Self)
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F32(elements) => Some(elements),
            _ => None,
        }
    }
}

/// Runs an expression with a type name bound to the element type that `$dtype` says.
macro_rules! with_element {
    ($dtype:expr, $name:expr, $element:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $element = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $element = f64;
                $body
            }
            other => $crate::ops::element::unsupported($name, other),
        }
    };
}
pub(crate) use with_element;

/// The error of an element type that is neither `f32` nor `f64`.
pub(crate) fn unsupported<T>(name: &str, dtype: DType) -> Result<T> {
    bail!("{name} takes f32 or f64 tensors, not {dtype:?}")
}

/// The elements of a contiguous tensor in CPU memory.
pub(crate) fn elements<'a, T: Element>(name: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("{name} needs contiguous tensors, got strides {:?}", layout.stride()),
    }
}

/// [`elements`] of a tensor whose storage is borrowed; an error if it does not lie in CPU memory.
pub(crate) fn host_elements<'a, T: Element>(name: &str, storage: &'a Storage, layout: &Layout) -> Result<&'a [T]> {
    match storage {
        Storage::Cpu(storage) => elements(name, storage, layout),
        _ => Err(Error::Msg(format!("the gradient of {name} is implemented on the CPU only"))),
    }
}

/// Calls `body` with the elements of contiguous tensors in CPU memory.
pub(crate) fn on_host<T: Element, const N: usize, R>(
    name: &str,
    tensors: [&Tensor; N],
    body: impl FnOnce([&[T]; N]) -> Result<R>,
) -> Result<R> {
    let borrowed = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[T]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&borrowed) {
        *slice = host_elements(name, storage, layout)?;
    }
    body(slices)
}

/// A vector of `length` elements that `fill` writes, without zeroing it first.
///
/// # Safety
/// `fill` must write every element.
pub(crate) unsafe fn written<T: Element>(length: usize, fill: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    let mut elements = Vec::with_capacity(length);
    fill(&mut elements.spare_capacity_mut()[..length]);
    // SAFETY: the capacity is at least `length`, and the caller promises that every element is written.
    unsafe { elements.set_len(length) };
    elements
}
