//! The two element types of the arena.

use core::{
    fmt::{Debug, Display},
    ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub},
};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// An element of an arena: `f32` or `f64`.
///
/// Transcendental functions are `libm`'s on every platform, so that the same input gives the same bits on a
/// microcontroller, in a browser and on a server.
pub trait Real:
    sealed::Sealed
    + Copy
    + Debug
    + Default
    + Display
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The neutral element of [`larger`](Real::larger).
    const NEG_INFINITY: Self;

    /// The nearest value of this type.
    #[must_use]
    fn from_f64(value: f64) -> Self;

    /// The value, exactly.
    #[must_use]
    fn to_f64(self) -> f64;

    /// e to the power `self`.
    #[must_use]
    fn exp(self) -> Self;

    /// Natural logarithm.
    #[must_use]
    fn ln(self) -> Self;

    /// Square root.
    #[must_use]
    fn sqrt(self) -> Self;

    /// Absolute value.
    #[must_use]
    fn abs(self) -> Self;

    /// `self` to the power `exponent`.
    #[must_use]
    fn powf(self, exponent: Self) -> Self;

    /// The larger of the two; NaN if either is NaN, so that a broken value stays visible.
    #[must_use]
    #[inline(always)]
    fn larger(self, rhs: Self) -> Self {
        // The second comparison is true for NaN only.
        if self > rhs || self.partial_cmp(&self).is_none() { self } else { rhs }
    }
}

macro_rules! real {
    ($float:ident, $exp:ident, $ln:ident, $sqrt:ident, $pow:ident) => {
        impl Real for $float {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = $float::NEG_INFINITY;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $float
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            fn exp(self) -> Self {
                libm::$exp(self)
            }

            #[inline]
            fn ln(self) -> Self {
                libm::$ln(self)
            }

            #[inline]
            fn sqrt(self) -> Self {
                libm::$sqrt(self)
            }

            #[inline(always)]
            fn abs(self) -> Self {
                $float::abs(self)
            }

            #[inline]
            fn powf(self, exponent: Self) -> Self {
                libm::$pow(self, exponent)
            }
        }
    };
}

real!(f32, expf, logf, sqrtf, powf);
real!(f64, exp, log, sqrt, pow);
