//! The cases, one file an op: what is computed from a golden file's inputs and compared with its outputs.
//!
//! Every case is generic over the backend. For an op with a method in [`Kernels`](wseg_core::Kernels) it checks the
//! free function that defines the op and the method that a backend may override, both against the file. Whole networks
//! exist on candle alone, and their cases with them.

pub mod backbone;
pub mod bilinear;
pub mod classification;
pub mod dense_crf;
pub mod merge_multiscale;
pub mod metrics;
pub mod network;
pub mod pamr;
pub mod pil_bicubic;
pub mod pseudo_labels;
pub mod segmentation_loss;
pub mod stochastic_gate;

use wseg_core::Shape;
use wseg_cuda_runner::dense::Dense;

use crate::{
    bench::Bench,
    failure::Failure,
    golden::{Array, Golden},
    report::{Checks, Report},
};

/// Checked against a free function of `wseg_core`.
pub const DEFINITION: &str = "definition";
/// Checked against a method of [`Kernels`](wseg_core::Kernels).
pub const OVERRIDE: &str = "override";

/// Checked against a network.
pub const NETWORK: &str = "network";

/// The ops that run on tensors, with their cases.
const TENSOR_OPS: [&str; 7] =
    ["bilinear", "classification", "merge_multiscale", "pamr", "pseudo_labels", "segmentation_loss", "stochastic_gate"];

/// Whether an op is computed on tensors, and so by every tensor backend.
#[must_use]
pub fn is_tensor_op(op: &str) -> bool {
    TENSOR_OPS.contains(&op)
}

/// The ops that are computed on slices, by `wseg_core` without a backend.
const SLICE_OPS: [&str; 2] = [dense_crf::OP, metrics::OP];

/// Whether an op is computed on slices.
#[must_use]
pub fn is_slice_op(op: &str) -> bool {
    SLICE_OPS.contains(&op)
}

/// Runs a golden file's case on slices. A file whose op is none of theirs gets a complaint.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed.
pub fn run_slices(golden: &Golden) -> Result<Report, Failure> {
    match golden.op() {
        dense_crf::OP => dense_crf::run(golden),
        metrics::OP => metrics::run(golden),
        op => Err(Failure::new(format!("op `{op}` is not implemented"))),
    }
}

/// The ops that run whole networks.
const NETWORK_OPS: [&str; 2] = ["backbone", "network"];

/// Whether an op runs a network, and so on candle alone.
#[must_use]
pub fn is_network_op(op: &str) -> bool {
    NETWORK_OPS.contains(&op)
}

/// Runs a golden file's case with a network on candle. A file whose op is none of the network ops gets a complaint.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn run_network<B: Bench<T = Dense>>(bench: &B, golden: &Golden) -> Result<Report, Failure> {
    let mut checks = Checks::new(golden, B::TOLERANCE);
    match golden.op() {
        "backbone" => backbone::check(bench, &mut checks)?,
        "network" => network::check(bench, &mut checks)?,
        op => return Err(Failure::new(format!("op `{op}` is not implemented"))),
    }
    Ok(checks.finish())
}

/// Runs a golden file's case on a tensor backend. A file whose op is none of the tensor ops gets a complaint.
///
/// # Errors
/// [`Failure`] if an input is missing or malformed, or the backend fails.
pub fn run<B: Bench>(bench: &B, golden: &Golden) -> Result<Report, Failure> {
    let mut checks = Checks::new(golden, B::TOLERANCE);
    match golden.op() {
        "bilinear" => bilinear::check(bench, &mut checks)?,
        "classification" => classification::check(bench, &mut checks)?,
        "merge_multiscale" => merge_multiscale::check(bench, &mut checks)?,
        "pamr" => pamr::check(bench, &mut checks)?,
        "pseudo_labels" => pseudo_labels::check(bench, &mut checks)?,
        "segmentation_loss" => segmentation_loss::check(bench, &mut checks)?,
        "stochastic_gate" => stochastic_gate::check(bench, &mut checks)?,
        op => return Err(Failure::new(format!("op `{op}` is not implemented"))),
    }
    Ok(checks.finish())
}

/// Loads an input as it is in the file.
fn input<B: Bench>(bench: &B, golden: &Golden, name: &str) -> Result<(Array, B::T), Failure> {
    let array = golden.array(&format!("in.{name}"))?;
    let tensor = bench.load(array.shape(), &array.values)?;
    Ok((array, tensor))
}

/// Most pixels of all photos together that a network is run on: beyond, a file might ask for any amount of memory.
const MAX_PIXELS: usize = 1 << 16;

/// Loads the photos of a network's case, `[n, 3, h, w]`.
fn photos<B: Bench>(bench: &B, golden: &Golden) -> Result<B::T, Failure> {
    let array = golden.array("in.image")?;
    match *array.extents.as_slice() {
        [n, 3, h, w] if n * h * w <= MAX_PIXELS => bench.load(array.shape(), &array.values),
        _ => Err(golden
            .refuse(format!(
                "`in.image` has shape {:?}, expected [n, 3, h, w] with at most {MAX_PIXELS} pixels",
                array.extents
            ))
            .into()),
    }
}

/// Loads image labels, which files keep as `[n, c]` or, for one image, `[c]`, as `[n, c, 1, 1]`.
fn labels<B: Bench>(bench: &B, golden: &Golden) -> Result<B::T, Failure> {
    let array = golden.array("in.labels")?;
    let shape = match array.extents.as_slice() {
        [classes] => Shape::new(1, *classes, 1, 1),
        _ => array.shape(),
    };
    bench.load(shape, &array.values)
}

/// Compares the gradient with respect to an input with `out.{output}`, where the backend differentiates.
fn check_gradient<B: Bench>(
    bench: &B,
    checks: &mut Checks<'_>,
    output: &str,
    way: &str,
    at: &Array,
    scalar: impl Fn(&B::T) -> Result<B::T, Failure>,
) -> Result<(), Failure> {
    if !checks.wants(output) {
        return Ok(());
    }
    match bench.gradient(at.shape(), &at.values, &scalar)? {
        Some(gradient) => checks.close_values(output, way, &at.shape().extents(), &gradient)?,
        None => checks.not_applicable(output),
    }
    Ok(())
}
