//! Elementwise functions of one tensor.

use candle_core::Result;

use super::{Grid, Machine, arguments, expect, like, run};

/// The function `name` (`relu`, `exp`, `ln`, `sqrt`, `abs`, `powf`) of every element; `exponent` is for the one that has
/// one.
///
/// # Errors
/// The machine's.
pub fn forward<M: Machine>(m: &M, name: &str, exponent: f64, x: &M::Memory) -> Result<M::Memory> {
    let (y, count, dtype) = (like(m, x)?, M::count(x), M::dtype(x));
    let arguments = arguments![in x, out &y, long count, real exponent];
    // SAFETY: the kernel reads and writes as many elements as it is told.
    unsafe { run(m, "unary", name, dtype, Grid::over(count), arguments) }?;
    Ok(y)
}

/// The gradient from the function's argument, its value and the gradient of that.
///
/// # Errors
/// If they are not alike, and the machine's.
pub fn backward<M: Machine>(m: &M, name: &str, exponent: f64, [x, y, dy]: [&M::Memory; 3]) -> Result<M::Memory> {
    let (dx, count, dtype) = (like(m, x)?, M::count(x), M::dtype(x));
    for other in [y, dy] {
        expect::<M>("a gradient", other, dtype, count)?;
    }
    let arguments = arguments![in x, in y, in dy, out &dx, long count, real exponent];
    // SAFETY: all have the same number of elements, which the kernel is told.
    unsafe { run(m, "unary", &format!("{name}_gradient"), dtype, Grid::over(count), arguments) }?;
    Ok(dx)
}
