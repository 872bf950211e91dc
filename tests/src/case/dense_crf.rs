//! `dense_crf`: mean field over a permutohedral lattice, against pydensecrf.
//!
//! One implementation on slices, run by two executors: there is no backend of tensors.

use wseg_core::crf::{DenseCrf, Rgb, Sequential, infer};
use wseg_cuda_runner::crf::Threads;

use crate::{
    failure::Failure,
    golden::{Array, Golden},
    report::{Checks, Report},
};

/// The op.
pub const OP: &str = "dense_crf";

/// Largest difference of Q allowed. Both sides compute the same lattice in f32 and differ by its rounding, which mean field
/// amplifies where two classes are about equally likely: 2e-6 was seen.
const TOLERANCE: f64 = 1e-3;

/// Share of the pixels whose most likely class must be the same.
const AGREEMENT: f64 = 0.999;

/// Bounds on what a file may ask for: beyond them a case would run for hours.
const MAX_ITERATIONS: usize = 100;
const MAX_PIXELS: usize = 1 << 20;

/// Runs the case.
///
/// # Errors
/// [`Failure`] if an input is missing, malformed or too large.
pub fn run(golden: &Golden) -> Result<Report, Failure> {
    let mut checks = Checks::new(golden, TOLERANCE);
    let crf = DenseCrf {
        iterations: golden.integer("iterations", MAX_ITERATIONS)?,
        gaussian_weight: golden.number("gaussian_compat")?,
        gaussian_sxy: golden.number("gaussian_sxy")?,
        bilateral_weight: golden.number("bilateral_compat")?,
        bilateral_sxy: golden.number("bilateral_sxy")?,
        bilateral_srgb: golden.number("bilateral_srgb")?,
        ..DenseCrf::default()
    };
    let probabilities = golden.array("in.probs")?;
    let bytes = golden.bytes_of("in.image")?;
    let [classes, height, width] = *probabilities.extents.as_slice() else {
        return Err(refuse(golden, "in.probs", &probabilities.extents, "[classes, h, w]"));
    };
    if height.saturating_mul(width) > MAX_PIXELS {
        return Err(golden.refuse(format!("`in.probs` has more than {MAX_PIXELS} pixels")).into());
    }
    let image_extents = golden.array("in.image")?.extents;
    if image_extents != [height, width, 3] {
        return Err(refuse(golden, "in.image", &image_extents, "[h, w, 3] as wide and high as `in.probs`"));
    }
    let image = Rgb::new(&bytes, width, height)?;
    let p: Vec<f32> = probabilities.values.iter().map(|&p| p as f32).collect();
    check(&mut checks, "one thread", &infer(&p, classes, image, &crf, &Sequential)?, &probabilities)?;
    check(&mut checks, "all threads", &infer(&p, classes, image, &crf, &Threads)?, &probabilities)?;
    Ok(checks.finish())
}

fn refuse(golden: &Golden, array: &str, extents: &[usize], expected: &str) -> Failure {
    golden.refuse(format!("`{array}` has shape {extents:?}, expected {expected}")).into()
}

/// Compares Q, and the most likely class of each pixel.
fn check(checks: &mut Checks<'_>, way: &str, q: &[f32], probabilities: &Array) -> Result<(), Failure> {
    let q: Vec<f64> = q.iter().copied().map(f64::from).collect();
    checks.close_within("q", way, &probabilities.extents, &q, TOLERANCE)?;
    if checks.wants("q") {
        let expected = checks.golden().array("out.q")?.values;
        let pixels = q.len() / probabilities.extents.first().copied().unwrap_or(1).max(1);
        if expected.len() == q.len() {
            let same =
                (0..pixels).filter(|&pixel| most_likely(&q, pixel, pixels) == most_likely(&expected, pixel, pixels));
            let same = same.count() as f64 / pixels as f64;
            let complaint = format!("`q` ({way}) agrees in the class of {same} of the pixels, needed {AGREEMENT}");
            checks.judged("q", (same < AGREEMENT).then_some(complaint));
        }
    }
    Ok(())
}

/// The class with the largest value at a pixel, the first one if several share it.
fn most_likely(maps: &[f64], pixel: usize, pixels: usize) -> usize {
    let values = maps.iter().skip(pixel).step_by(pixels).enumerate();
    values.fold((0, f64::NEG_INFINITY), |best, (class, &value)| if value > best.1 { (class, value) } else { best }).0
}

#[cfg(test)]
mod tests {
    use wseg_core::crf::Executor;

    use super::*;

    #[test]
    fn the_most_likely_class_is_the_first_of_the_largest() {
        let maps = [0.1, 0.5, 0.3, 0.5, 0.3, 0.0];
        assert_eq!((most_likely(&maps, 0, 2), most_likely(&maps, 1, 2)), (1, 0));
    }

    /// An executor is part of what is verified: both must be.
    #[test]
    fn executors_agree_bit_for_bit() {
        fn run(executor: &impl Executor) -> Vec<f32> {
            let bytes: Vec<u8> = (0..30 * 20 * 3).map(|i| (i * i % 251) as u8).collect();
            let p: Vec<f32> = (0..5 * 600).map(|i| (i * 7 % 11) as f32 / 11.0).collect();
            infer(&p, 5, Rgb::new(&bytes, 30, 20).unwrap(), &DenseCrf::default(), executor).unwrap()
        }
        assert_eq!(run(&Sequential), run(&Threads));
    }
}
