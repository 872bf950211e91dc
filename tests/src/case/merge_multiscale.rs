//! `merge_multiscale`: the masks of several scales and mirror images of a photo, merged into one.

use wseg_core::{
    Shape, Tensor,
    merge::{finish_merge, restore_view},
};

use super::{DEFINITION, labels};
use crate::{bench::Bench, failure::Failure, report::Checks};

/// Checks the merged masks and, equal at every pixel, their argmax.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn check<B: Bench>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let scales = golden.list_len("scales")?;
    let flip = golden.flag("flip")?;
    let background_power = golden.number("background_power")?;
    let labels = labels(bench, golden)?;

    // Order in the file: scale-major, plain then mirrored. The first view has the photo's size.
    let views = if flip { 2 * scales } else { scales };
    let view = |index: usize| -> Result<B::T, Failure> {
        let array = golden.array(&format!("in.mask_{index}"))?;
        let shape = match *array.extents.as_slice() {
            [c, h, w] => Shape::new(1, c, h, w),
            _ => array.shape(),
        };
        bench.load(shape, &array.values)
    };
    let mut sum = view(0)?;
    let photo = sum.shape();
    for index in 1..views {
        sum = sum.add(&restore_view(&view(index)?, photo.h, photo.w, flip && index % 2 == 1)?)?;
    }
    let merged = finish_merge(&sum, views, &labels, background_power)?;
    checks.close(bench, "merged", DEFINITION, &merged)?;

    if checks.wants("argmax") {
        let argmax = argmax(&bench.read(&merged)?, merged.shape());
        checks.equal_values("argmax", DEFINITION, &[photo.n, photo.h, photo.w], &argmax)?;
    }
    Ok(())
}

/// The channel with the largest value at each pixel, the first one if several share it.
fn argmax(values: &[f64], shape: Shape) -> Vec<f64> {
    let plane = shape.h * shape.w;
    let mut labels = Vec::with_capacity(shape.n * plane);
    for sample in values.chunks_exact(shape.c * plane) {
        for pixel in 0..plane {
            let mut best = (0, f64::NEG_INFINITY);
            for (channel, map) in sample.chunks_exact(plane).enumerate() {
                if map[pixel] > best.1 {
                    best = (channel, map[pixel]);
                }
            }
            labels.push(best.0 as f64);
        }
    }
    labels
}
