//! The cases: each loads a golden file's inputs, calls the core, and compares every output.

use cortex_m_semihosting::hprintln;
use wseg_core::{
    Cutoff, Gate, Pamr, Pooling,
    slices::{self, SliceError},
};

use crate::{golden, golden::Golden, memory::Memory};

/// Largest error allowed, as a share of an output's largest value.
const TOLERANCE: f64 = 1e-5;

/// What all cases together showed.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) checks: usize,
    pub(crate) failures: usize,
    /// Most numbers that a case needed.
    pub(crate) peak: usize,
}

type Result<T> = core::result::Result<T, &'static str>;

fn refused(_: SliceError) -> &'static str {
    "the core refused a call"
}

impl Verdict {
    /// Compares an output with the file's.
    fn compare(&mut self, golden: &Golden, output: &str, actual: &[f32]) -> Result<()> {
        let expected = golden.array(output)?;
        let largest = expected.values().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        // The first value of all is the one that the feature changes.
        let mut wrong = if cfg!(feature = "wrong") && self.checks == 0 { 1e-3 * largest } else { 0.0 };
        let mut error = 0.0_f64;
        for (expected, &actual) in expected.values().zip(actual) {
            let distance = (expected + core::mem::take(&mut wrong) - f64::from(actual)).abs();
            // A distance that is no number stays.
            error = if distance <= error { error } else { distance };
        }
        let good = expected.shape.count() == actual.len() && error <= TOLERANCE * largest;
        self.checks += 1;
        self.failures += usize::from(!good);
        hprintln!("{} {} {}: {:.1e}", if good { "ok  " } else { "FAIL" }, golden.name, output, error / largest);
        Ok(())
    }
}

/// Runs every case in the same memory.
pub(crate) fn run(memory: &mut [f32]) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let classification =
        [golden!("classification_small")?, golden!("classification_eps0")?, golden!("classification_saturated")?];
    let refinement = [golden!("pamr_tiny")?, golden!("pamr_flat")?, golden!("pamr_small")?];
    let cases = (classification.iter().map(|golden| (classify as Case, golden)))
        .chain(refinement.iter().map(|golden| (refine as Case, golden)));
    for (case, golden) in cases {
        each(&mut verdict, memory, case, golden)?;
    }
    each(&mut verdict, memory, pseudo_labels, &golden!("pseudo_labels_small")?)?;
    each(&mut verdict, memory, segmentation, &golden!("segmentation_loss_small")?)?;
    each(&mut verdict, memory, gate, &golden!("stochastic_gate")?)?;
    Ok(verdict)
}

type Case = fn(&mut Verdict, &mut Memory<'_>, &Golden) -> Result<()>;

fn each(verdict: &mut Verdict, memory: &mut [f32], case: Case, golden: &Golden) -> Result<()> {
    let total = memory.len();
    let mut memory = Memory::new(memory);
    case(verdict, &mut memory, golden)?;
    verdict.peak = verdict.peak.max(total - memory.left());
    Ok(())
}

fn classify(verdict: &mut Verdict, memory: &mut Memory<'_>, golden: &Golden) -> Result<()> {
    let pooling = Pooling {
        epsilon: golden.number("epsilon")?,
        p: golden.number("p")?,
        lambda: golden.number("lambda")?,
        background: golden.number("background")?,
    };
    let (shape, logits) = golden.load("in.logits", memory)?;
    let (_, labels) = golden.load("in.labels", memory)?;
    let masks = memory.take(shape.with_channels(shape.c + 1).count())?;
    let [scores, cotangent] = [memory.take(labels.len())?, memory.take(labels.len())?];
    slices::classify(shape, logits, &pooling, masks, scores).map_err(refused)?;
    verdict.compare(golden, "out.masks", masks)?;
    verdict.compare(golden, "out.scores", scores)?;
    verdict.compare(golden, "out.loss_cls", &[slices::soft_margin(scores, labels).map_err(refused)?])?;
    slices::soft_margin_gradient(scores, labels, cotangent).map_err(refused)?;
    let gradient = memory.take(logits.len())?;
    let scratch = memory.take(slices::class_scores_gradient_scratch(shape))?;
    slices::class_scores_gradient(shape, logits, cotangent, &pooling, gradient, scratch).map_err(refused)?;
    verdict.compare(golden, "out.grad_logits", gradient)
}

fn refine(verdict: &mut Verdict, memory: &mut Memory<'_>, golden: &Golden) -> Result<()> {
    let mut pamr = Pamr { iterations: golden.number("iterations")? as usize, ..Pamr::default() };
    pamr.sigma_weight = golden.number("sigma_weight")?;
    pamr.dilations = golden.list("dilations")?.collect();
    let (from, masks) = golden.load("in.mask", memory)?;
    let (guide, image) = golden.load("in.image", memory)?;
    let refined = memory.take(from.with_size(guide.h, guide.w).count())?;
    let scratch = memory.take(slices::pamr_streamed_scratch(from, guide))?;
    slices::pamr((from, masks), (guide, image), &pamr, refined, scratch).map_err(refused)?;
    verdict.compare(golden, "out.refined", refined)
}

fn pseudo_labels(verdict: &mut Verdict, memory: &mut Memory<'_>, golden: &Golden) -> Result<()> {
    let cutoff = Cutoff {
        low: golden.number("cutoff_low")?,
        background: golden.number("cutoff_background")?,
        class: golden.number("cutoff_class")?,
    };
    let (shape, masks) = golden.load("in.masks", memory)?;
    let pseudo = memory.take(masks.len())?;
    let scratch = memory.take(slices::pseudo_labels_scratch(shape))?;
    slices::pseudo_labels(shape, masks, &cutoff, pseudo, scratch).map_err(refused)?;
    verdict.compare(golden, "out.pseudo", pseudo)
}

fn segmentation(verdict: &mut Verdict, memory: &mut Memory<'_>, golden: &Golden) -> Result<()> {
    let (from, logits) = golden.load("in.logits", memory)?;
    let (to, pseudo) = golden.load("in.pseudo", memory)?;
    let gradient = memory.take(logits.len())?;
    let scratch = memory.take(slices::segmentation_loss_scratch(to))?;
    let loss = slices::segmentation_loss(from, logits, to, pseudo, scratch).map_err(refused)?;
    verdict.compare(golden, "out.loss_seg", &[loss])?;
    slices::segmentation_loss_gradient(from, logits, to, pseudo, gradient, scratch).map_err(refused)?;
    verdict.compare(golden, "out.grad_logits", gradient)
}

fn gate(verdict: &mut Verdict, memory: &mut Memory<'_>, golden: &Golden) -> Result<()> {
    let gate = Gate { psi: golden.number("psi")? };
    let (shape, deep) = golden.load("in.deep", memory)?;
    let (_, shallow) = golden.load("in.shallow", memory)?;
    let (_, keep_deep) = golden.load("in.keep_deep", memory)?;
    let out = memory.take(deep.len())?;
    slices::stochastic_gate(shape, deep, shallow, keep_deep, gate, out).map_err(refused)?;
    verdict.compare(golden, "out.train", out)?;
    slices::deterministic_gate(shape, deep, shallow, gate, out).map_err(refused)?;
    verdict.compare(golden, "out.eval", out)
}
