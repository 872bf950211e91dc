//! `pil_bicubic`: photos resized as Pillow does.
//!
//! Bytes go in and bytes come out: there is one implementation, the runner's, and no backend.

use wseg_cuda_runner::infer::{Window, bicubic};

use crate::{failure::Failure, golden::Golden, report::Checks, report::Report};

/// The op.
pub const OP: &str = "pil_bicubic";

/// As reports name the one implementation.
pub const NAME: &str = "pixels";

/// Largest error allowed: the arithmetic is Pillow's, to the bit.
pub const TOLERANCE: f64 = 0.0;

/// Longest side that a photo is resized to: beyond, a file might ask for any amount of memory.
const MAX_SIDE: usize = 1 << 12;

/// Resizes `in.image` `[h, w, 3]` to the size in the name of every output, `bicubic_{width}x{height}`.
///
/// # Errors
/// [`Failure`] if the photo is missing or malformed, or an output's name has no size.
pub fn run(golden: &Golden) -> Result<Report, Failure> {
    let mut checks = Checks::new(golden, TOLERANCE);
    let photo = golden.bytes_of("in.image")?;
    let extents = golden.array("in.image")?.extents;
    let [height, width, 3] = *extents.as_slice() else {
        return Err(golden.refuse(format!("`in.image` has shape {extents:?}, expected [h, w, 3]")).into());
    };
    for output in golden.outputs() {
        let to = size_in(&output).ok_or_else(|| {
            golden.refuse(format!("output `{output}` is not called bicubic_WIDTHxHEIGHT, with sides up to {MAX_SIDE}"))
        })?;
        let resized = bicubic(&photo, (width, height), Window::all((width, height)), to)?;
        let values: Vec<f64> = resized.iter().map(|&value| f64::from(value)).collect();
        checks.equal_values(&output, "bicubic", &[to.1, to.0, 3], &values)?;
    }
    Ok(checks.finish())
}

/// Width and height in an output's name.
fn size_in(output: &str) -> Option<(usize, usize)> {
    let (width, height) = output.strip_prefix("bicubic_")?.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    Some((side(width)?, side(height)?))
}
