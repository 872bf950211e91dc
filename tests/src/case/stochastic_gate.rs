//! `stochastic_gate`: how deep and shallow features meet, in training and in evaluation.

use wseg_core::gate::{Gate, deterministic_gate, stochastic_gate};

use super::{DEFINITION, input};
use crate::{bench::Bench, failure::Failure, report::Checks};

/// Checks both forms of the gate.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn check<B: Bench>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let gate = Gate { psi: golden.number("psi")? };
    let (_, deep) = input(bench, golden, "deep")?;
    let (_, shallow) = input(bench, golden, "shallow")?;
    let (_, keep_deep) = input(bench, golden, "keep_deep")?;
    checks.close(bench, "train", DEFINITION, &stochastic_gate(&deep, &shallow, &keep_deep, gate)?)?;
    checks.close(bench, "eval", DEFINITION, &deterministic_gate(&deep, &shallow, gate)?)
}
