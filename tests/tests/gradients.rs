//! Automatic differentiation against central differences in f64, through every definition and every override.
//!
//! Only candle differentiates, and only f64 leaves digits for differences: f32 gradients are held against f64 ones
//! by the golden files and against the definitions' by `overrides.rs`.

mod common;

use common::{ensure, for_all, maps};
use wseg_core::{
    Axes, Corners, Kernels, Shape, Tensor,
    activation::{log_softmax, relu, sigmoid, softmax, softplus, with_background},
    cam::{Cam, cam_masks},
    gate::{Gate, deterministic_gate, gci, stochastic_gate},
    loss::{gated_segmentation_loss_mean, segmentation_loss, soft_margin},
    merge::{finish_merge, restore_view},
    pamr::{Pamr, refine},
    pooling::{Pooling, class_scores, classify, focal_penalty, ngwp},
    pseudo::{Cutoff, drop_absent, pseudo_labels},
};
use wseg_cuda_runner::dense::Dense;
use wseg_tests::{
    bench::{Bench, candle::CandleF64, total},
    failure::Failure,
    sample::Sample,
};

type Outcome = Result<(), Failure>;

/// Half the distance over which differences are taken: errors of about `STEP^2` and `1e-16 / STEP`, both 1e-10.
const STEP: f64 = 1e-5;

/// Allowed distance between two slopes, as a share of the sum of the gradient's absolute elements or of 1. A wrong
/// gradient is off by far more; what is allowed is the differences' error, with room for large third derivatives.
const ALLOWED: f64 = 1e-7;

/// Directions in which a gradient is tried. Each moves every element, one way or the other, so that an error in one
/// element shows in all of them.
const DIRECTIONS: usize = 4;

/// A random tensor and its values.
struct Given {
    shape: Shape,
    values: Vec<f64>,
    tensor: Dense,
}

fn given(shape: Shape, values: Vec<f64>) -> Result<Given, Failure> {
    let tensor = CandleF64.load(shape, &values)?;
    Ok(Given { shape, values, tensor })
}

/// Holds the gradient of `sum(f(x) * cotangent)`, for a random cotangent, against central differences.
fn check(what: &str, at: &Given, f: impl Fn(&Dense) -> Result<Dense, Failure>) -> Outcome {
    let shape = f(&at.tensor)?.shape();
    let mut sample = Sample::new(77);
    let cotangent = CandleF64.load(shape, &sample.values(shape, 0.5, 1.5))?;
    let scalar = |x: &Dense| -> Result<Dense, Failure> { Ok(total(&f(x)?.mul(&cotangent)?)?) };
    let Some(gradient) = CandleF64.gradient(at.shape, &at.values, &scalar)? else {
        return Err(Failure::new("no gradient"));
    };
    let allowed = ALLOWED * gradient.iter().map(|slope| slope.abs()).sum::<f64>().max(1.0);
    for _ in 0..DIRECTIONS {
        let signs: Vec<f64> = gradient.iter().map(|_| if sample.below(2) == 0 { -1.0 } else { 1.0 }).collect();
        let value_at = |step: f64| -> Result<f64, Failure> {
            let moved: Vec<f64> = at.values.iter().zip(&signs).map(|(value, sign)| value + sign * step).collect();
            Ok(CandleF64.read(&scalar(&CandleF64.load(at.shape, &moved)?)?)?[0])
        };
        let difference = (value_at(STEP)? - value_at(-STEP)?) / (2.0 * STEP);
        let slope: f64 = gradient.iter().zip(&signs).map(|(slope, sign)| slope * sign).sum();
        let distance = (slope - difference).abs();
        ensure!(distance <= allowed, "{what} at {}: slope {slope}, by differences {difference}", at.shape);
    }
    Ok(())
}

/// Numbers no nearer than 0.01 to 0, where `max` and `abs` have no slope.
fn away_from_0(sample: &mut Sample, shape: Shape, size: f64) -> Vec<f64> {
    let values = sample.values(shape, -size, size);
    values.into_iter().map(|value| value + 0.01_f64.copysign(value)).collect()
}

/// Distinct numbers, 0.02 apart in random order: every maximum has one place.
fn distinct(sample: &mut Sample, shape: Shape) -> Vec<f64> {
    let mut values: Vec<f64> = (0..shape.count()).map(|index| 0.013 + 0.02 * index as f64 - 0.5).collect();
    for last in (1..values.len()).rev() {
        values.swap(last, sample.below(last + 1));
    }
    values
}

#[test]
fn of_the_activations() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let x = given(shape, away_from_0(&mut Sample::new(seed), shape, 3.0))?;
        check("softmax", &x, |x| Ok(softmax(x)?))?;
        check("softmax override", &x, |x| Ok(x.softmax()?))?;
        check("log-softmax", &x, |x| Ok(log_softmax(x)?))?;
        check("log-softmax override", &x, |x| Ok(x.log_softmax()?))?;
        check("relu", &x, |x| Ok(relu(x)?))?;
        check("softplus", &x, |x| Ok(softplus(x)?))?;
        check("sigmoid", &x, |x| Ok(sigmoid(x)?))?;
        check("background", &x, |x| Ok(softmax(&with_background(x, 1.0)?)?))
    })
}

/// Softplus has a slope of 1/2 at 0, whatever slope the backend gives `max` there.
#[test]
fn of_softplus_at_0() -> Outcome {
    check("softplus", &given(Shape::SCALAR, vec![0.0])?, |x| Ok(softplus(x)?))
}

#[test]
fn of_the_pooling() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let scores = given(shape, sample.values(shape, -3.0, 3.0))?;
        let masks = given(shape, sample.masks(shape).iter().map(|mask| 0.9 * mask).collect())?;
        let pooling = Pooling::default();
        check("ngwp by scores", &scores, |scores| Ok(ngwp(scores, &masks.tensor, 1.0)?))?;
        check("ngwp by masks", &masks, |masks| Ok(ngwp(&scores.tensor, masks, 1.0)?))?;
        for p in [0.0, 1.0, 2.5, 3.0] {
            check("focal penalty", &masks, |masks| Ok(focal_penalty(masks, p, 0.01)?))?;
        }
        check("class scores", &masks, |masks| Ok(class_scores(&scores.tensor, masks, &pooling)?))?;
        check("masks", &scores, |scores| Ok(classify(scores, &pooling)?.masks))?;
        check("scores", &scores, |scores| Ok(classify(scores, &pooling)?.scores))?;
        check("masks override", &scores, |scores| Ok(scores.classify(&pooling)?.masks))?;
        check("scores override", &scores, |scores| Ok(scores.classify(&pooling)?.scores))
    })
}

#[test]
fn of_the_classification_loss() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let pooling = Pooling::default();
        let labels = CandleF64.load(shape.with_size(1, 1), &sample.labels(shape.n, shape.c))?;
        let scores = given(shape.with_size(1, 1), sample.values(shape.with_size(1, 1), -6.0, 6.0))?;
        check("loss", &scores, |scores| Ok(soft_margin(scores, &labels)?))?;
        check("loss override", &scores, |scores| Ok(scores.soft_margin(&labels)?))?;
        let map = given(shape, sample.values(shape, -3.0, 3.0))?;
        check("whole head", &map, |map| Ok(soft_margin(&classify(map, &pooling)?.scores, &labels)?))?;
        check("whole head override", &map, |map| Ok(map.classify(&pooling)?.scores.soft_margin(&labels)?))
    })
}

#[test]
fn of_the_segmentation_losses() -> Outcome {
    for_all((maps(), 1_usize..=7, 1_usize..=7), |((shape, seed), h, w)| {
        let mut sample = Sample::new(seed);
        let shape = shape.with_channels(shape.c + 1);
        let pseudo_values = sample.pseudo(shape);
        let pseudo = CandleF64.load(shape, &pseudo_values)?;
        // Labels that the pseudo labels agree with, so that the gate is open; closed, there is nothing to check.
        let plane = shape.h * shape.w;
        let claimed: Vec<bool> = pseudo_values.chunks_exact(plane).map(|map| map.contains(&1.0)).collect();
        let labels: Vec<f64> =
            claimed.chunks_exact(shape.c).flat_map(|sample| sample[1..].iter().map(|&c| f64::from(c))).collect();
        let labels = CandleF64.load(Shape::new(shape.n, shape.c - 1, 1, 1), &labels)?;
        for from in [shape, shape.with_size(h, w)] {
            let logits = given(from, sample.values(from, -3.0, 3.0))?;
            check("loss", &logits, |logits| Ok(segmentation_loss(logits, &pseudo)?))?;
            check("loss override", &logits, |logits| Ok(logits.segmentation_loss(&pseudo)?))?;
            check("gated loss", &logits, |logits| Ok(gated_segmentation_loss_mean(logits, &pseudo, &labels)?))?;
        }
        Ok(())
    })
}

#[test]
fn of_resizes_shifts_and_mirror_images() -> Outcome {
    for_all((maps(), 1_usize..=12, 1_usize..=12), |((shape, seed), h, w)| {
        let map = given(shape, Sample::new(seed).values(shape, -3.0, 3.0))?;
        for corners in [Corners::Aligned, Corners::HalfPixel] {
            check("resize", &map, |map| Ok(map.resize(h, w, corners)?))?;
        }
        for (dy, dx) in [(0, 0), (1, -1), (-2, 3), (h as isize, -(w as isize)), (-40, 40)] {
            check("shift", &map, |map| Ok(map.shift(dy, dx)?))?;
        }
        check("mirror image", &map, |map| Ok(map.mirror()?))?;
        check("restored view", &map, |map| Ok(restore_view(map, h, w, true)?))
    })
}

#[test]
fn of_gate_and_cue() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let gate = Gate::default();
        let deep = given(shape, sample.values(shape, -2.0, 2.0))?;
        let shallow = given(shape, sample.values(shape, -2.0, 2.0))?;
        let drawn: Vec<f64> = (0..shape.count()).map(|_| sample.below(2) as f64).collect();
        let drawn = CandleF64.load(shape, &drawn)?;
        check("gate by deep", &deep, |deep| Ok(stochastic_gate(deep, &shallow.tensor, &drawn, gate)?))?;
        check("gate by shallow", &shallow, |shallow| Ok(stochastic_gate(&deep.tensor, shallow, &drawn, gate)?))?;
        check("evaluation by deep", &deep, |deep| Ok(deterministic_gate(deep, &shallow.tensor, gate)?))?;
        check("evaluation by shallow", &shallow, |s| Ok(deterministic_gate(&deep.tensor, s, gate)?))?;

        // Positive and negative on the whole, so that no element sits on the edge of the ReLU.
        let cue = shape.with_size(1, 1);
        let sign = if seed % 2 == 0 { 1.0 } else { -1.0 };
        let shallow = given(shape, sample.values(shape, 0.1, 2.0))?;
        let gamma = given(cue, sample.values(cue, 0.1, 1.0))?;
        let beta =
            given(cue, sample.values(cue, 0.1, 1.0).iter().map(|beta| beta * sign + (sign - 1.0) * 5.0).collect())?;
        check("cue by shallow", &shallow, |shallow| Ok(gci(shallow, &gamma.tensor, &beta.tensor)?))?;
        check("cue by gamma", &gamma, |gamma| Ok(gci(&shallow.tensor, gamma, &beta.tensor)?))?;
        check("cue by beta", &beta, |beta| Ok(gci(&shallow.tensor, &gamma.tensor, beta)?))
    })
}

#[test]
fn of_class_activation_maps() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let activations = given(shape, distinct(&mut Sample::new(seed), shape))?;
        // An epsilon with which the slopes stay small enough for differences where the largest activation is tiny.
        let cam = Cam { epsilon: 0.1, ..Cam::default() };
        check("masks", &activations, |activations| Ok(cam_masks(activations, &cam)?))?;
        check("masks override", &activations, |activations| Ok(activations.cam_masks(&cam)?))
    })
}

#[test]
fn of_refinement_and_merging() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let mut pamr = Pamr { iterations: 2, ..Pamr::default() };
        pamr.dilations = [1, 3].into_iter().collect();
        let guide = shape.with_channels(3).with_size(shape.h + 2, shape.w);
        let image = CandleF64.load(guide, &sample.values(guide, 0.0, 1.0))?;
        let masks = given(shape, sample.masks(shape))?;
        check("refined", &masks, |masks| Ok(refine(masks, &image, &pamr)?))?;
        check("refined override", &masks, |masks| Ok(masks.pamr(&image, &pamr)?))?;

        let labels = CandleF64.load(Shape::new(shape.n, shape.c, 1, 1), &sample.labels(shape.n, shape.c))?;
        let all = shape.with_channels(shape.c + 1);
        let sum = given(all, sample.values(all, 0.1, 2.0))?;
        check("kept", &sum, |masks| Ok(drop_absent(masks, &labels)?))?;
        check("merged", &sum, |sum| Ok(finish_merge(sum, 2, &labels, 3.0)?))
    })
}

#[test]
fn of_every_operation_a_formula_is_made_of() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let x = given(shape, distinct(&mut sample, shape))?;
        let positive = given(shape, sample.values(shape, 0.2, 2.0))?;
        for axes in [Axes::Batch, Axes::Channel, Axes::Spatial] {
            check("sum", &x, |x| Ok(x.sum(axes)?))?;
            check("max", &x, |x| Ok(x.max(axes)?))?;
        }
        check("affine", &x, |x| Ok(x.affine(-2.5, 0.5)?))?;
        check("exp", &x, |x| Ok(x.exp()?))?;
        check("abs", &x, |x| Ok(x.abs()?))?;
        check("ln", &positive, |x| Ok(x.ln()?))?;
        check("sqrt", &positive, |x| Ok(x.sqrt()?))?;
        check("powf", &positive, |x| Ok(x.powf(2.5)?))?;
        // Every way in which shapes broadcast, with the moving operand on either side.
        for other in [shape, Shape::SCALAR, shape.with_channels(1), shape.with_size(1, 1), Shape { n: 1, ..shape }] {
            let other = given(other, sample.values(other, 2.0, 3.0))?;
            let on_grid =
                given(other.shape, other.values.iter().map(|value| (50.0 * value - 100.0).round() / 50.0).collect())?;
            // Multiples of 0.02 and numbers 0.013 above them are never equal.
            check("maximum", &x, |x| Ok(x.maximum(&on_grid.tensor)?))?;
            check("maximum", &on_grid, |grid| Ok(grid.maximum(&x.tensor)?))?;
            for (at, by) in [(&positive, &other), (&other, &positive)] {
                let by = &by.tensor;
                check("add", at, |x| Ok(x.add(by)?))?;
                check("sub", at, |x| Ok(by.sub(x)?))?;
                check("mul", at, |x| Ok(x.mul(by)?))?;
                check("div", at, |x| Ok(x.div(by)?))?;
                check("divisor", at, |x| Ok(by.div(x)?))?;
            }
        }
        check("concatenation", &x, |x| Ok(x.cat_channels(&positive.tensor)?.cat_channels(x)?))?;
        check("channels", &x, |x| Ok(x.narrow_channels(shape.c / 2, shape.c - shape.c / 2)?))
    })
}

/// The check itself: half of the slope of a square hidden from the differentiation.
#[test]
fn a_wrong_gradient_is_found() -> Outcome {
    let x = given(Shape::new(1, 2, 3, 3), Sample::new(3).values(Shape::new(1, 2, 3, 3), 0.5, 1.0))?;
    ensure!(check("square", &x, |x| Ok(x.mul(&x.detach())?)).is_err(), "the wrong gradient passes");
    check("square", &x, |x| Ok(x.mul(x)?))
}

/// The gradient of `sum(f(x))` is 0 everywhere.
fn flat(what: &str, at: &Given, f: impl Fn(&Dense) -> Result<Dense, Failure>) -> Outcome {
    // The factor 0 x keeps a path to x, without which there is nothing to differentiate.
    let scalar = |x: &Dense| -> Result<Dense, Failure> { Ok(total(&f(x)?)?.add(&total(&x.affine(0.0, 0.0)?)?)?) };
    let gradient = CandleF64.gradient(at.shape, &at.values, &scalar)?.unwrap_or_default();
    ensure!(gradient == vec![0.0; at.values.len()], "{what}: a gradient {gradient:?}");
    Ok(())
}

#[test]
fn of_supervision_is_none() -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let x = given(shape, sample.masks(shape))?;
        flat("detach", &x, |x| Ok(x.detach().exp()?))?;
        flat("comparison", &x, |x| Ok(x.gt(&x.fill(Shape::SCALAR, 0.5)?)?))?;
        flat("fill", &x, |x| Ok(x.fill(shape, 3.0)?))?;
        flat("pseudo labels", &x, |x| Ok(pseudo_labels(x, &Cutoff::default())?))?;
        flat("pseudo labels override", &x, |x| Ok(x.pseudo_labels(&Cutoff::default())?))?;
        let masks = CandleF64.load(shape, &sample.masks(shape))?;
        let mut pamr = Pamr { iterations: 1, ..Pamr::default() };
        pamr.dilations = [1].into_iter().collect();
        flat("guide image", &x, |image| Ok(refine(&masks, image, &pamr)?))?;
        flat("guide image override", &x, |image| Ok(masks.pamr(image, &pamr)?))
    })
}
