//! Shifted and mirrored maps.

use candle_core::{Result, bail};

use super::{Argument, Grid, Machine, arguments, int, like, run};

/// `y(i, j) = x(i + dy, j + dx)` of maps of `h` rows and `w` columns, borders repeated; or the gradient of that, from
/// the output's to the input's.
///
/// # Errors
/// If the maps are not of that size, and the machine's.
pub fn shift<M: Machine>(
    m: &M,
    x: &M::Memory,
    (h, w): (usize, usize),
    (dy, dx): (isize, isize),
    gradient: bool,
) -> Result<M::Memory> {
    let (y, count, dtype) = (like(m, x)?, M::count(x), M::dtype(x));
    if h * w == 0 || count % (h * w) != 0 {
        bail!("{count} elements are no maps of {h}x{w}");
    }
    // Beyond the map every shift is alike.
    let within = |offset: isize, extent: usize| int(extent).map(|e| offset.clamp(-(e as isize), e as isize) as i32);
    let offsets = [Argument::Int(within(dy, h)?), Argument::Int(within(dx, w)?)];
    let sizes: &[_] = arguments![in x, out &y, int count, int h, int w];
    let kernel = if gradient { "shift_gradient" } else { "shift" };
    // SAFETY: the kernel stays within whole maps, of which there are `count / (h w)`.
    unsafe { run(m, "shift", kernel, dtype, Grid::over(count), &[sizes, &offsets].concat()) }?;
    Ok(y)
}

/// Left-right mirror image of rows of `w` pixels; it is its own gradient.
///
/// # Errors
/// If the rows are not of that length, and the machine's.
pub fn mirror<M: Machine>(m: &M, x: &M::Memory, w: usize) -> Result<M::Memory> {
    let (y, count, dtype) = (like(m, x)?, M::count(x), M::dtype(x));
    if w != 0 && count % w != 0 {
        bail!("{count} elements are no rows of {w}");
    }
    let arguments = arguments![in x, out &y, int count, int w];
    // SAFETY: the kernel stays within whole rows.
    unsafe { run(m, "shift", "mirror", dtype, Grid::over(count), arguments) }?;
    Ok(y)
}
