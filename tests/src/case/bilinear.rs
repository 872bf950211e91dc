//! `bilinear`: the resize with both conventions, and its gradient.

use wseg_core::{Corners, Tensor};

use super::{DEFINITION, check_gradient, input};
use crate::{
    bench::{Bench, total},
    failure::Failure,
    report::Checks,
};

/// Checks both resizes to the cotangent's size, and their gradients for that cotangent.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn check<B: Bench>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let (array, map) = input(bench, golden, "x")?;
    let (_, cotangent) = input(bench, golden, "cotangent")?;
    let to = cotangent.shape();
    for (corners, output) in [(Corners::Aligned, "align_corners"), (Corners::HalfPixel, "half_pixel")] {
        checks.close(bench, output, DEFINITION, &map.resize(to.h, to.w, corners)?)?;
        check_gradient(bench, checks, &format!("grad_{output}"), DEFINITION, &array, |map| {
            Ok(total(&map.resize(to.h, to.w, corners)?.mul(&cotangent)?)?)
        })?;
    }
    Ok(())
}
