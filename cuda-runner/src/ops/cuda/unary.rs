//! Elementwise functions of one tensor.

use candle_core::Result;

use super::super::kernels::unary;
use crate::cuda::{Elements, Gpu, Output};

/// The function `name`, of every element; `exponent` is for the one that has one.
pub(in crate::ops) fn forward(name: &str, exponent: f64, x: Elements<'_>) -> Result<Output> {
    unary::forward(&Gpu::of(&x), name, exponent, &x.into())?.made()
}

/// The gradient from the function's argument, its value and the gradient of that.
pub(in crate::ops) fn backward(name: &str, exponent: f64, [x, y, dy]: [Elements<'_>; 3]) -> Result<Output> {
    unary::backward(&Gpu::of(&x), name, exponent, [&x.into(), &y.into(), &dy.into()])?.made()
}
