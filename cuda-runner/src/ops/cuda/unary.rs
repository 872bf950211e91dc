//! Elementwise functions of one tensor.

use candle_core::Result;

use crate::cuda::{Elements, Grid, Output, arguments, launch, modules, typed};

/// The function `name`, of every element; `exponent` is for the one that has one.
pub(in crate::ops) fn forward(name: &str, exponent: f64, x: Elements<'_>) -> Result<Output> {
    let mut y = Output::like(name, &x)?;
    let function = typed(name, x.dtype());
    let arguments = arguments![&x, &mut y, x.count(), exponent];
    // SAFETY: the kernel reads and writes as many elements as it is told.
    unsafe { launch(x.device(), &modules::UNARY, &function, Grid::over(x.count()), arguments) }?;
    Ok(y)
}

/// The gradient from the function's argument, its value and the gradient of that.
pub(in crate::ops) fn backward(name: &str, exponent: f64, [x, y, dy]: [Elements<'_>; 3]) -> Result<Output> {
    let mut dx = Output::like(name, &x)?;
    let function = typed(&format!("{name}_gradient"), x.dtype());
    let arguments = arguments![&x, &y, &dy, &mut dx, x.count(), exponent];
    // SAFETY: the tensors have the same number of elements, which the kernel is told.
    unsafe { launch(x.device(), &modules::UNARY, &function, Grid::over(x.count()), arguments) }?;
    Ok(dx)
}
