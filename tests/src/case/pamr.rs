//! `pamr`: local standard deviation, affinities and the refined mask.

use wseg_core::{
    Kernels, Tensor,
    pamr::{Affinity, Pamr, refine, stdev},
};

use super::{DEFINITION, OVERRIDE, input};
use crate::{bench::Bench, failure::Failure, golden::Golden, report::Checks};

/// Bounds on what a file may ask for: beyond them a case would run for hours.
const MAX_ITERATIONS: usize = 100;
const MAX_DILATION: usize = 1 << 16;

/// Checks standard deviation, affinities and refinement.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn check<B: Bench>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let pamr = parameters(golden)?;
    let (_, image) = input(bench, golden, "image")?;
    let (_, mask) = input(bench, golden, "mask")?;
    checks.close(bench, "stdev", DEFINITION, &stdev(&image, &pamr)?)?;
    if checks.wants("affinity") {
        let (extents, values) = affinities(bench, &image, &pamr)?;
        checks.close_values("affinity", DEFINITION, &extents, &values)?;
    }
    checks.close(bench, "refined", DEFINITION, &refine(&mask, &image, &pamr)?)?;
    checks.close(bench, "refined", OVERRIDE, &mask.pamr(&image, &pamr)?)
}

fn parameters(golden: &Golden) -> Result<Pamr, Failure> {
    let mut pamr = Pamr {
        iterations: golden.integer("iterations", MAX_ITERATIONS)?,
        sigma_weight: golden.number("sigma_weight")?,
        ..Pamr::default()
    };
    pamr.dilations.clear();
    for dilation in golden.integers("dilations", MAX_DILATION)? {
        if pamr.dilations.push(dilation).is_err() {
            let limit = wseg_core::pamr::MAX_DILATIONS;
            return Err(golden.refuse(format!("parameter `dilations` has more than {limit} values")).into());
        }
    }
    Ok(pamr)
}

/// The affinities of all offsets, `[n, p, h, w]`: the axis that the library streams, stored for the comparison.
fn affinities<B: Bench>(bench: &B, image: &B::T, pamr: &Pamr) -> Result<([usize; 4], Vec<f64>), Failure> {
    let shape = image.shape();
    let plane = shape.h * shape.w;
    let affinity = Affinity::new(image, pamr)?;
    let maps = pamr.offsets().map(|(dy, dx)| bench.read(&affinity.at(dy, dx)?)).collect::<Result<Vec<_>, Failure>>()?;
    let mut values = Vec::with_capacity(shape.n * maps.len() * plane);
    for sample in 0..shape.n {
        for map in &maps {
            values.extend_from_slice(map.get(sample * plane..(sample + 1) * plane).unwrap_or_default());
        }
    }
    Ok(([shape.n, maps.len(), shape.h, shape.w], values))
}
