//! `classification`: masks, class scores and the classification loss of a score map, equations (12) to (16).

use wseg_core::{
    Kernels, Tensor,
    activation::{softmax, with_background},
    loss::soft_margin,
    pooling::{Pooling, class_scores, classify, focal_penalty, ngwp},
};

use super::{DEFINITION, OVERRIDE, check_gradient, input, labels};
use crate::{bench::Bench, failure::Failure, report::Checks};

/// Checks masks, nGWP, focal penalty, class scores, loss and its gradient.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn check<B: Bench>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let pooling = Pooling {
        epsilon: golden.number("epsilon")?,
        p: golden.number("p")?,
        lambda: golden.number("lambda")?,
        background: golden.number("background")?,
    };
    let (array, logits) = input(bench, golden, "logits")?;
    let labels = labels(bench, golden)?;

    let masks = softmax(&with_background(&logits, pooling.background)?)?;
    let foreground = masks.narrow_channels(1, logits.shape().c)?;
    let scores = class_scores(&logits, &foreground, &pooling)?;
    checks.close(bench, "masks", DEFINITION, &masks)?;
    checks.close(bench, "ngwp", DEFINITION, &ngwp(&logits, &foreground, pooling.epsilon)?)?;
    checks.close(bench, "focal", DEFINITION, &focal_penalty(&foreground, pooling.p, pooling.lambda)?)?;
    checks.close(bench, "scores", DEFINITION, &scores)?;
    checks.close(bench, "loss_cls", DEFINITION, &soft_margin(&scores, &labels)?)?;
    check_gradient(bench, checks, "grad_logits", DEFINITION, &array, |logits| {
        Ok(soft_margin(&classify(logits, &pooling)?.scores, &labels)?)
    })?;

    let head = logits.classify(&pooling)?;
    checks.close(bench, "masks", OVERRIDE, &head.masks)?;
    checks.close(bench, "scores", OVERRIDE, &head.scores)?;
    checks.close(bench, "loss_cls", OVERRIDE, &head.scores.soft_margin(&labels)?)?;
    check_gradient(bench, checks, "grad_logits", OVERRIDE, &array, |logits| {
        Ok(logits.classify(&pooling)?.scores.soft_margin(&labels)?)
    })
}
