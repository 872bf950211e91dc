//! Backends as the cases see them: a way in for numbers, a way out, and a tolerance.

pub mod arena;
pub mod candle;
pub mod candle_cuda;
pub mod naive;

use wseg_core::{Axes, Kernels, Shape};

use crate::failure::Failure;

/// A backend under test.
pub trait Bench {
    /// Its tensors.
    type T: Kernels;

    /// As reports name it.
    const NAME: &'static str;

    /// Largest error allowed in any output, as a share of the largest expected value of that output.
    ///
    /// 1e-5 in f32 and 1e-10 in f64, where inputs are f32 and expected values were computed in f64.
    const TOLERANCE: f64;

    /// A tensor with those elements, in row-major order.
    ///
    /// # Errors
    /// [`Failure`] if the backend refuses.
    fn load(&self, shape: Shape, values: &[f64]) -> Result<Self::T, Failure>;

    /// The elements of a tensor, in row-major order.
    ///
    /// # Errors
    /// [`Failure`] if the backend refuses.
    fn read(&self, tensor: &Self::T) -> Result<Vec<f64>, Failure>;

    /// Gradient at `values` of the scalar that `scalar` computes, in row-major order;
    /// nothing from a backend without automatic differentiation.
    ///
    /// # Errors
    /// [`Failure`] if `scalar` fails or its gradient cannot be computed.
    fn gradient(
        &self,
        shape: Shape,
        values: &[f64],
        scalar: &ScalarOf<'_, Self::T>,
    ) -> Result<Option<Vec<f64>>, Failure> {
        let _ = (shape, values, scalar);
        Ok(None)
    }
}

/// A function from a tensor to a scalar tensor, to be differentiated.
pub type ScalarOf<'a, T> = dyn Fn(&T) -> Result<T, Failure> + 'a;

/// The sum of all elements, a scalar tensor.
///
/// # Errors
/// The backend's.
pub fn total<T: Kernels>(tensor: &T) -> Result<T, T::Error> {
    tensor.sum(Axes::Spatial)?.sum(Axes::Channel)?.sum(Axes::Batch)
}
