//! What the CPU implementations share: element types, access to a tensor's memory, errors.

use candle_core::{CpuStorage, DType, Error, Layout, Result, Storage, Tensor, WithDType, bail};

/// A real element type.
pub(crate) trait Element: WithDType {
    /// Lower than every number.
    const LOWEST: Self;

    /// e to the power of this.
    fn exp(self) -> Self;

    /// Natural logarithm.
    fn ln(self) -> Self;
}

macro_rules! element {
    ($($float:ident)*) => {$(
        impl Element for $float {
            const LOWEST: Self = Self::NEG_INFINITY;

            #[inline]
            fn exp(self) -> Self {
                self.exp()
            }

            #[inline]
            fn ln(self) -> Self {
                self.ln()
            }
        }
    )*};
}
element!(f32 f64);

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

/// `usize` as an element.
pub(crate) fn count<T: Element>(count: usize) -> T {
    T::from_f64(count as f64)
}
