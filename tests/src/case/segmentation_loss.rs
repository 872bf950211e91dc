//! `segmentation_loss`: class-balanced cross entropy against pseudo labels, equations (21) to (23), and the
//! reference's gated variant.

use wseg_core::{
    Kernels,
    loss::{class_weights, gated_segmentation_loss, gated_segmentation_loss_mean, segmentation_loss},
};

use super::{DEFINITION, OVERRIDE, check_gradient, input, labels};
use crate::{bench::Bench, failure::Failure, report::Checks};

/// Checks weights, both losses and their gradients.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn check<B: Bench>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let (array, logits) = input(bench, golden, "logits")?;
    let (_, pseudo) = input(bench, golden, "pseudo")?;
    checks.close(bench, "class_weight", DEFINITION, &class_weights(&pseudo)?)?;
    checks.close(bench, "loss_seg", DEFINITION, &segmentation_loss(&logits, &pseudo)?)?;
    checks.close(bench, "loss_seg", OVERRIDE, &logits.segmentation_loss(&pseudo)?)?;
    check_gradient(bench, checks, "grad_logits", DEFINITION, &array, |logits| Ok(segmentation_loss(logits, &pseudo)?))?;
    check_gradient(bench, checks, "grad_logits", OVERRIDE, &array, |logits| Ok(logits.segmentation_loss(&pseudo)?))?;

    if !golden.has("in.labels") {
        return Ok(());
    }
    let labels = labels(bench, golden)?;
    checks.close(bench, "loss_gated", DEFINITION, &gated_segmentation_loss(&logits, &pseudo, &labels)?)?;
    checks.close(bench, "loss_gated_mean", DEFINITION, &gated_segmentation_loss_mean(&logits, &pseudo, &labels)?)?;
    check_gradient(bench, checks, "grad_gated_logits", DEFINITION, &array, |logits| {
        Ok(gated_segmentation_loss_mean(logits, &pseudo, &labels)?)
    })
}
