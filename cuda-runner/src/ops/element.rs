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
        // Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        // ln 2 as a sum of two numbers, the first with so few digits that its multiples are exact.
        const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
        // Outside these bounds the result is 0 or infinite.
        const BOUNDS: (f32, f32) = (-87.3, 88.72);
        let x = if self > BOUNDS.0 { self } else { BOUNDS.0 };
        let x = if x < BOUNDS.1 { x } else { BOUNDS.1 };
        let rounded = x * std::f32::consts::LOG2_E + ROUND;
        let power = rounded - ROUND;
        let r = x - power * LN2.0 - power * LN2.1;
        // The Taylor series; |r| is at most ln(2) / 2, where the first term left out is 3e-9.
        let series = 1.0 / 5040.0;
        let series = series * r + 1.0 / 720.0;
        let series = series * r + 1.0 / 120.0;
        let series = series * r + 1.0 / 24.0;
        let series = series * r + 1.0 / 6.0;
        let series = series * r + 0.5;
        let series = (series * r + 1.0) * r + 1.0;
        // 2^power in two factors: the power may be 128, which one factor cannot hold.
        let integer = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        let half = integer >> 1;
        let factor = |power: i32| Self::from_bits(((power + 127) << 23) as u32);
        let value = series * factor(half) * factor(integer - half);
        let value = if self < BOUNDS.0 { 0.0 } else { value };
        let value = if self > BOUNDS.1 { Self::INFINITY } else { value };
        // The comparisons above are all false for a NaN.
        if self.is_nan() { self } else { value }
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
