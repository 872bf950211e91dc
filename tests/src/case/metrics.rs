//! `metrics`: confusion counts, IoU, precision and recall in per cent, and average precision.
//!
//! These are counted on slices of labels, not computed on tensors: there is one implementation and no backend.

use wseg_core::metric::{Confusion, average_precision};

use crate::{failure::Failure, golden::Golden, report::Checks, report::Report};

/// The op.
pub const OP: &str = "metrics";

/// As reports name the one implementation.
pub const NAME: &str = "slices";

/// Largest error allowed, as a share of the largest expected value: everything is f64. Counts must be equal.
pub const TOLERANCE: f64 = 1e-10;

/// Ground truth that is not counted, in every golden file.
const IGNORE: usize = 255;

/// Labels are bytes.
const MAX_CLASSES: usize = 256;

/// Runs the case.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed.
pub fn run(golden: &Golden) -> Result<Report, Failure> {
    let mut checks = Checks::new(golden, TOLERANCE);
    check_confusion(golden, &mut checks)?;
    if checks.wants("ap") {
        check_average_precision(golden, &mut checks)?;
    }
    Ok(checks.finish())
}

fn check_confusion(golden: &Golden, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let classes = golden.integer("classes", MAX_CLASSES)?;
    let mut counts = vec![0; classes * classes];
    let mut confusion = Confusion::new(&mut counts, classes, Some(IGNORE))?;
    confusion.add(&golden.bytes_of("in.gt")?, &golden.bytes_of("in.pred")?)?;

    let pairs = (0..classes).flat_map(|truth| (0..classes).map(move |prediction| (truth, prediction)));
    let table: Vec<f64> = pairs.map(|(truth, prediction)| confusion.count(truth, prediction) as f64).collect();
    checks.equal_values("confusion", "counts", &[classes, classes], &table)?;

    let mut per_class = |output: &str, measure: &dyn Fn(usize) -> Option<f64>| {
        let values: Vec<f64> = (0..classes).map(|class| per_cent(measure(class))).collect();
        checks.close_values(output, "counts", &[classes], &values)
    };
    per_class("iou", &|class| confusion.iou(class))?;
    per_class("precision", &|class| confusion.precision(class))?;
    per_class("recall", &|class| confusion.recall(class))?;
    checks.close_values("miou", "counts", &[1], &[per_cent(confusion.mean_iou())])
}

/// A fraction in per cent; not defined is not a number, as in the files.
fn per_cent(fraction: Option<f64>) -> f64 {
    fraction.map_or(f64::NAN, |fraction| 100.0 * fraction)
}

fn check_average_precision(golden: &Golden, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let scores = golden.array("in.ap_scores")?;
    let targets = golden.array("in.ap_targets")?;
    let [images, classes] = *scores.extents.as_slice() else {
        return Err(golden
            .refuse(format!("`in.ap_scores` has shape {:?}, expected [images, classes]", scores.extents))
            .into());
    };
    if targets.extents != scores.extents {
        return Err(golden.refuse("`in.ap_scores` and `in.ap_targets` differ in shape".to_owned()).into());
    }
    let mut order = vec![0; images];
    let mut values = Vec::with_capacity(classes);
    for class in 0..classes {
        let column: Vec<f64> = scores.values.iter().skip(class).step_by(classes).copied().collect();
        let positive: Vec<bool> = targets.values.iter().skip(class).step_by(classes).map(|&t| t > 0.0).collect();
        values.push(average_precision(&column, &positive, &mut order)?.unwrap_or(f64::NAN));
    }
    checks.close_values("ap", "ranking", &[classes], &values)
}
