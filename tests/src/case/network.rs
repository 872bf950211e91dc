//! `network`: a whole network in evaluation mode, with weights made from their names: the single-stage model, down to
//! the gradient of every parameter, or the CAM baseline.

use candle_core::{DType, Device};
use wseg_core::{Kernels, Shape, Tensor, loss::gated_segmentation_loss, pamr::Pamr, pseudo::Cutoff};
use wseg_cuda_runner::{
    backbone::BackboneConfig,
    dense::Dense,
    infer::Inference,
    model::{Architecture, Classified, Model, ModelKind, NetworkConfig, supervise},
    nn::{Entry, Kind, Params, Pass},
};

use super::{NETWORK, labels, photos};
use crate::{
    bench::Bench,
    failure::Failure,
    golden::{Array, Golden},
    named_weights::NamedWeights,
    report::{Checks, Distance},
    sample::Sample,
};

/// Labels are bytes, and 255 is none.
const MAX_CLASSES: usize = 255;

/// Largest errors of the outputs.
///
/// In f64 nothing but rounding of about 1e-16 a layer is left, which was seen to add up to 1e-14 in scores and to
/// 3e-14 in gradient norms; masks are f32 in the files, whose rounding is 6e-8. In f32 errors of about 1e-7 a layer
/// were seen to add up to 1e-6 in scores and losses, 4e-6 in refined masks and 1e-5 in the masks of the baseline, which
/// are divided by their largest value; five to ten times as much is allowed. Gradient norms are another matter: see
/// [`PHOTOS`].
struct Tolerances {
    /// Of class scores and losses, as a share of the largest.
    scores: f64,
    /// Of masks, as a share of the largest value.
    masks: f64,
    /// Of refined masks, as a share of the largest value.
    refined: f64,
    /// Of the gradient norm of each parameter, as a share of that norm.
    gradients: f64,
}

impl Tolerances {
    fn of(dtype: DType) -> Self {
        match dtype {
            DType::F64 => Self { scores: 1e-12, masks: 1e-7, refined: 1e-7, gradients: 1e-10 },
            _ => Self { scores: 1e-5, masks: 1e-4, refined: 2e-5, gradients: 1e-3 },
        }
    }
}

/// Photos at which gradients are tried in f32: the file's, and others that differ from it in the last bit.
///
/// The gradient jumps where the input of a ReLU is 0. Of some millions of them one or the other is so close to 0 that
/// rounding decides, and a path of the gradient is there or not, worth up to 1e-3 of a norm in the layers below it:
/// moving the photo by a unit in the last place was seen to move norms by 1e-3 in f32 and by 7e-4 in f64. So what f32
/// has to show is a photo within rounding of the file's at which every norm is right at once; wrong gradients are wrong
/// at all of them.
const PHOTOS: u64 = 5;

/// Checks scores and masks; for the single-stage model also losses, refined masks, pseudo labels and gradient norms.
///
/// # Errors
/// [`Failure`] if an input is missing, malformed or too large, there is no such network, or the backend fails.
pub fn check<B: Bench<T = Dense>>(bench: &B, checks: &mut Checks<'_>) -> Result<(), Failure> {
    let golden = checks.golden();
    let images = photos(bench, golden)?;
    let shape = images.shape();
    let tolerances = Tolerances::of(images.tensor().dtype());
    let model = build(golden, images.tensor().dtype())?;
    let names = if checks.wants("grad_norms") { parameters(golden, &model)? } else { Vec::new() };

    let classified = model.forward(images.tensor(), &Pass::evaluation_with_all_gradients())?;
    let scores = classified.scores.as_ref().ok_or_else(|| Failure::new("the network has no class scores"))?;
    close(bench, checks, "scores", scores, tolerances.scores)?;
    close(bench, checks, "masks", &model.masks_at(&classified, shape.h, shape.w)?, tolerances.masks)?;
    let Some(logits) = &classified.logits else { return Ok(()) };

    let labels = labels(bench, golden)?;
    let own = supervise(&classified.masks, images.tensor(), &labels, &Pamr::default(), &Cutoff::default())?;
    close(bench, checks, "refined", &own.refined, tolerances.refined)?;
    // A threshold is a share of a refined value: it may be off as much as the value held against it.
    check_claims(bench, checks, &own.pseudo, 2.0 * tolerances.refined)?;
    // From here on the file's pseudo labels: a claim that rounding decided is in no loss.
    let pseudo = match golden.has("out.pseudo") {
        true => bench.load(own.pseudo.shape(), &golden.array("out.pseudo")?.values)?,
        false => own.pseudo,
    };
    let losses = Losses::of(&classified, &labels, &pseudo)?;
    close(bench, checks, "loss_cls", &losses.classification, tolerances.scores)?;
    close(bench, checks, "loss_seg", &losses.segmentation, tolerances.scores)?;
    let gated = gated_segmentation_loss(logits, &pseudo, &labels)?;
    close(bench, checks, "loss_gated", &gated, tolerances.scores)?;
    if checks.wants("grad_norms") {
        let mut norms = gradient_norms(&model, &names, &losses)?;
        let expected = golden.array("out.grad_norms")?.values;
        let is_off = |norms: &[f64]| Distance::between_each(norms, &expected).relative > tolerances.gradients;
        for photo in 1..PHOTOS {
            if images.tensor().dtype() == DType::F64 || !is_off(&norms) {
                break;
            }
            let images = moved(bench, &images, photo)?;
            let classified = model.forward(images.tensor(), &Pass::evaluation_with_all_gradients())?;
            norms = gradient_norms(&model, &names, &Losses::of(&classified, &labels, &pseudo)?)?;
        }
        checks.each_close_within("grad_norms", NETWORK, &[norms.len()], &norms, tolerances.gradients)?;
    }
    Ok(())
}

/// The two losses of a batch.
struct Losses {
    classification: Dense,
    segmentation: Dense,
}

impl Losses {
    fn of(classified: &Classified, labels: &Dense, pseudo: &Dense) -> Result<Self, Failure> {
        let (Some(scores), Some(logits)) = (&classified.scores, &classified.logits) else {
            return Err(Failure::new("the network does not classify and segment"));
        };
        Ok(Self { classification: scores.soft_margin(labels)?, segmentation: logits.segmentation_loss(pseudo)? })
    }
}

/// The photos with every value moved by up to one unit in its last place as f32.
fn moved<B: Bench<T = Dense>>(bench: &B, images: &Dense, seed: u64) -> Result<Dense, Failure> {
    let mut sample = Sample::new(seed);
    let unit = f64::from(f32::EPSILON);
    let values: Vec<f64> =
        bench.read(images)?.iter().map(|value| value * (1.0 + sample.uniform(-unit, unit))).collect();
    bench.load(images.shape(), &values)
}

/// The network that a file describes, in the reference's size.
fn build(golden: &Golden, dtype: DType) -> Result<Model, Failure> {
    let model = match golden.text("model")? {
        "ae" => ModelKind::SingleStage,
        "bsl" => ModelKind::Cam,
        other => {
            let reason = format!("asks for the model `{other}`; known: ae (single-stage), bsl (CAM baseline)");
            return Err(golden.refuse(reason).into());
        }
    };
    // The background is not among the network's classes.
    let classes = golden.integer("classes", MAX_CLASSES)?.saturating_sub(1);
    let config = NetworkConfig {
        model,
        classes: (1..=classes).map(|class| class.to_string()).collect(),
        architecture: Architecture::paper(BackboneConfig::named(golden.text("backbone")?)),
        crop: 0,
        inference: Inference::default(),
    };
    let weights = Box::new(NamedWeights::of(golden)?);
    Ok(Model::in_store(config, Params::filled(weights, dtype, &Device::Cpu))?)
}

fn close<B: Bench<T = Dense>>(
    bench: &B,
    checks: &mut Checks<'_>,
    output: &str,
    tensor: &Dense,
    tolerance: f64,
) -> Result<(), Failure> {
    checks.close_within(output, NETWORK, &tensor.shape().extents(), &bench.read(tensor)?, tolerance)
}

/// Checks the pseudo labels: where they are not the expected ones, a channel's refined confidence must lie within
/// `margin` of its threshold, so that rounding decided.
fn check_claims<B: Bench<T = Dense>>(
    bench: &B,
    checks: &mut Checks<'_>,
    pseudo: &Dense,
    margin: f64,
) -> Result<(), Failure> {
    if !checks.wants("pseudo") || !checks.wants("refined") {
        return Ok(());
    }
    let golden = checks.golden();
    let (expected, refined) = (golden.array("out.pseudo")?, golden.array("out.refined")?);
    let shape = pseudo.shape();
    if expected.shape() != shape || refined.shape() != shape {
        return Err(golden.refuse(format!("`out.pseudo` and `out.refined` are not both of shape {shape}")).into());
    }
    let doubtful = doubtful(&refined, margin);
    let computed = bench.read(pseudo)?;
    let plane = shape.h * shape.w;
    let pixel = |index: usize| index / (shape.c * plane) * plane + index % plane;
    let differs = |index: &usize| computed[*index] != expected.values[*index] && !doubtful[pixel(*index)];
    let wrong = (0..computed.len()).filter(differs).count();
    let complaint = format!("`pseudo` ({NETWORK}) differs in {wrong} claims that rounding does not explain");
    checks.judged("pseudo", (wrong > 0).then_some(complaint));
    Ok(())
}

/// The pixels `[n, h, w]` at which some channel of the refined masks is within `margin` of its threshold.
fn doubtful(refined: &Array, margin: f64) -> Vec<bool> {
    let Shape { n, c, h, w } = refined.shape();
    let cutoff = Cutoff::default();
    let mut doubtful = vec![false; n * h * w];
    for (index, channel) in refined.values.chunks_exact(h * w).enumerate() {
        let share = if index % c == 0 { cutoff.background } else { cutoff.class };
        let threshold = cutoff.low.max(share * channel.iter().copied().fold(0.0, f64::max));
        for (doubtful, value) in doubtful[index / c * h * w..].iter_mut().zip(channel) {
            *doubtful |= (value - threshold).abs() < margin;
        }
    }
    doubtful
}

/// The names of the parameters in the file's order; they must be those of the network, all of them.
fn parameters<'a>(golden: &'a Golden, model: &Model) -> Result<Vec<&'a str>, Failure> {
    let names = golden.texts("grad_norm_names")?;
    let params = model.params.borrow();
    let unlisted = |(name, entry): &(&str, &Entry)| entry.kind != Kind::Buffer && !names.contains(name);
    match (params.iter().find(unlisted), names.iter().find(|name| params.get(name).is_none())) {
        (Some((name, _)), _) => Err(golden.refuse(format!("has no gradient norm of the parameter `{name}`")).into()),
        (_, Some(name)) => Err(golden.refuse(format!("names the parameter `{name}`, which the network lacks")).into()),
        _ => Ok(names),
    }
}

/// The euclidean norm of the gradient of every parameter, summed in f64.
fn gradient_norms(model: &Model, names: &[&str], losses: &Losses) -> Result<Vec<f64>, Failure> {
    let gradients = losses.classification.add(&losses.segmentation)?.tensor().backward()?;
    let params = model.params.borrow();
    let norm = |name: &&str| match params.get(name).and_then(|entry| gradients.get(entry.var.as_tensor())) {
        Some(gradient) => Ok(gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt()),
        // candle leaves out what the loss does not depend on.
        None => Ok(0.0),
    };
    names.iter().map(norm).collect()
}
