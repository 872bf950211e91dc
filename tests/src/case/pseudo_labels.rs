//! `pseudo_labels`: the confident, uncontested part of masks, one-hot. Equal to the last bit.

use wseg_core::{
    Kernels,
    pseudo::{self, Cutoff},
};

use super::{DEFINITION, OVERRIDE, input};
use crate::{bench::Bench, failure::Failure, report::Checks};

/// Checks the claimed pixels.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn check<B: Bench>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let cutoff = Cutoff {
        low: golden.number("cutoff_low")?,
        background: golden.number("cutoff_background")?,
        class: golden.number("cutoff_class")?,
    };
    let (_, masks) = input(bench, golden, "masks")?;
    checks.equal(bench, "pseudo", DEFINITION, &pseudo::pseudo_labels(&masks, &cutoff)?)?;
    checks.equal(bench, "pseudo", OVERRIDE, &masks.pseudo_labels(&cutoff)?)
}
