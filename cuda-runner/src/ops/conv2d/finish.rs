//! What follows a convolution while its sums are still in a cache.

use super::super::lanes::Lanes;

/// What becomes of a finished sum: the shift of its output is added, then the residual, then what is below 0 is cut.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a, T> {
    pub shift: Option<&'a [T]>,
    /// As large as the output.
    pub residual: Option<&'a [T]>,
    pub relu: bool,
}

impl<T> Default for Finish<'_, T> {
    /// The sum as it is.
    fn default() -> Self {
        Self { shift: None, residual: None, relu: false }
    }
}

impl<T: Lanes> Finish<'_, T> {
    /// The value, or 0 where it is below and that is wanted. A NaN is not hidden.
    #[inline(always)]
    pub(super) fn cut(&self, value: T) -> T {
        if self.relu && value <= T::zero() { T::zero() } else { value }
    }
}
