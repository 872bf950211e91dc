//! Every method of `Kernels` against the free function that defines it, on every backend: values, and gradients where
//! the backend has them.

mod common;

use common::{ensure, for_all, maps, maps_beyond_a_tile, near, near_tensors, on_every_backend};
use proptest::prelude::{Just, Strategy, prop_oneof};
use wseg_core::{
    Kernels, Shape, Tensor, activation,
    cam::{self, Cam},
    loss,
    pamr::{self, Pamr},
    pooling::{self, Pooling},
    pseudo::{self, Cutoff},
};
use wseg_tests::{
    bench::{Bench, ScalarOf, total},
    failure::Failure,
    sample::Sample,
};

on_every_backend!(
    softmax_is_its_definition,
    log_softmax_is_its_definition,
    classify_is_its_definition,
    soft_margin_is_its_definition,
    segmentation_loss_is_its_definition,
    pamr_is_its_definition,
    pseudo_labels_are_their_definition,
    cam_masks_are_their_definition,
);

/// Score maps from tame to saturated.
fn scores() -> impl Strategy<Value = (Shape, u64, f64)> {
    (maps_beyond_a_tile(), prop_oneof![Just(1.0), Just(8.0), Just(1000.0)])
        .prop_map(|((shape, seed), size)| (shape, seed, size))
}

/// The gradients of two scalars agree, where the backend differentiates. `scale` is the size of the terms a gradient
/// is a sum of.
fn same_gradient<B: Bench>(
    bench: &B,
    shape: Shape,
    at: &[f64],
    computed: &ScalarOf<'_, B::T>,
    expected: &ScalarOf<'_, B::T>,
    scale: f64,
) -> Result<(), Failure> {
    let (computed, expected) = (bench.gradient(shape, at, computed)?, bench.gradient(shape, at, expected)?);
    match (computed, expected) {
        (Some(computed), Some(expected)) => near::<B>("gradient", &computed, &expected, scale),
        (None, None) => Ok(()),
        _ => Err(Failure::new("one gradient of two")),
    }
}

fn softmax_is_its_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(scores(), |(shape, seed, size)| {
        let mut sample = Sample::new(seed);
        let values = sample.values(shape, -size, size);
        let logits = bench.load(shape, &values)?;
        near_tensors(bench, "softmax", &logits.softmax()?, &activation::softmax(&logits)?, 0.0)?;
        let weights = bench.load(shape, &sample.values(shape, -1.0, 1.0))?;
        let by_override = |x: &B::T| Ok(total(&x.softmax()?.mul(&weights)?)?);
        let by_definition = |x: &B::T| Ok(total(&activation::softmax(x)?.mul(&weights)?)?);
        same_gradient(bench, shape, &values, &by_override, &by_definition, 1.0)
    })
}

fn log_softmax_is_its_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(scores(), |(shape, seed, size)| {
        let mut sample = Sample::new(seed);
        let values = sample.values(shape, -size, size);
        let logits = bench.load(shape, &values)?;
        near_tensors(bench, "log-softmax", &logits.log_softmax()?, &activation::log_softmax(&logits)?, size)?;
        let weights = bench.load(shape, &sample.values(shape, -1.0, 1.0))?;
        let by_override = |x: &B::T| Ok(total(&x.log_softmax()?.mul(&weights)?)?);
        let by_definition = |x: &B::T| Ok(total(&activation::log_softmax(x)?.mul(&weights)?)?);
        same_gradient(bench, shape, &values, &by_override, &by_definition, 1.0)
    })
}

fn classify_is_its_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(scores(), |(shape, seed, size)| {
        let mut sample = Sample::new(seed);
        let values = sample.values(shape, -size, size);
        let pooling = Pooling {
            epsilon: sample.uniform(0.1, 2.0),
            p: [0.0, 1.0, 3.0, 2.5][sample.below(4)],
            lambda: sample.uniform(0.001, 0.1),
            background: sample.uniform(-1.0, 2.0),
        };
        let logits = bench.load(shape, &values)?;
        let (head, expected) = (logits.classify(&pooling)?, pooling::classify(&logits, &pooling)?);
        near_tensors(bench, "masks", &head.masks, &expected.masks, 0.0)?;
        // Pooled scores are sums of terms as large as the scores.
        near_tensors(bench, "class scores", &head.scores, &expected.scores, size)?;

        let mask_weights = bench
            .load(shape.with_channels(shape.c + 1), &sample.values(shape.with_channels(shape.c + 1), -1.0, 1.0))?;
        let score_weights = bench.load(shape.with_size(1, 1), &sample.values(shape.with_size(1, 1), -1.0, 1.0))?;
        let both = |head: pooling::Classification<B::T>| -> Result<B::T, Failure> {
            let masks = total(&head.masks.mul(&mask_weights)?)?;
            Ok(masks.add(&total(&head.scores.mul(&score_weights)?)?)?)
        };
        let by_override = |x: &B::T| both(x.classify(&pooling)?);
        let by_definition = |x: &B::T| both(pooling::classify(x, &pooling)?);
        // The gradient of nGWP holds differences of scores.
        same_gradient(bench, shape, &values, &by_override, &by_definition, size)
    })
}

fn soft_margin_is_its_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(scores(), |(shape, seed, size)| {
        let mut sample = Sample::new(seed);
        let shape = shape.with_size(1, 1);
        let values = sample.values(shape, -size, size);
        let scores = bench.load(shape, &values)?;
        let labels = bench.load(shape, &sample.labels(shape.n, shape.c))?;
        // The loss of a present class is a difference of terms as large as its score.
        near_tensors(bench, "loss", &scores.soft_margin(&labels)?, &loss::soft_margin(&scores, &labels)?, size)?;
        let by_override = |x: &B::T| Ok(x.soft_margin(&labels)?);
        let by_definition = |x: &B::T| Ok(loss::soft_margin(x, &labels)?);
        same_gradient(bench, shape, &values, &by_override, &by_definition, 1.0)
    })
}

fn segmentation_loss_is_its_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all((scores(), 1_usize..=9, 1_usize..=9), |((shape, seed, size), h, w)| {
        let mut sample = Sample::new(seed);
        // One case in three keeps the size: the path without a resize.
        let from = if seed % 3 == 0 { shape } else { shape.with_size(h, w) };
        let values = sample.values(from, -size, size);
        let logits = bench.load(from, &values)?;
        let pseudo = bench.load(shape, &sample.pseudo(shape))?;
        let expected = loss::segmentation_loss(&logits, &pseudo)?;
        near_tensors(bench, "loss", &logits.segmentation_loss(&pseudo)?, &expected, 0.0)?;
        let by_override = |x: &B::T| Ok(x.segmentation_loss(&pseudo)?);
        let by_definition = |x: &B::T| Ok(loss::segmentation_loss(x, &pseudo)?);
        same_gradient(bench, from, &values, &by_override, &by_definition, 1.0)
    })
}

fn pamr_is_its_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all((maps(), maps_beyond_a_tile()), |((from, seed), (guide, _))| {
        let mut sample = Sample::new(seed);
        let guide = Shape { n: from.n, ..guide };
        let mut parameters = Pamr { iterations: sample.below(4), ..Pamr::default() };
        let count = 1 + sample.below(3);
        parameters.dilations = (0..count).map(|_| 1 + sample.below(12)).collect();
        let values = sample.masks(from);
        let masks = bench.load(from, &values)?;
        let image = bench.load(guide, &sample.values(guide, 0.0, 1.0))?;
        let expected = pamr::refine(&masks, &image, &parameters)?;
        near_tensors(bench, "refined", &masks.pamr(&image, &parameters)?, &expected, 0.0)?;
        Ok(())
    })
}

fn pseudo_labels_are_their_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(maps_beyond_a_tile(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let cutoff = Cutoff {
            low: sample.uniform(0.0, 0.5),
            background: sample.uniform(0.2, 1.0),
            class: sample.uniform(0.2, 1.0),
        };
        let masks = bench.load(shape, &sample.masks(shape))?;
        let computed = bench.read(&masks.pseudo_labels(&cutoff)?)?;
        ensure!(computed == bench.read(&pseudo::pseudo_labels(&masks, &cutoff)?)?, "other claims at {shape}");
        Ok(())
    })
}

fn cam_masks_are_their_definition<B: Bench>(bench: &B) -> Result<(), Failure> {
    for_all(maps_beyond_a_tile(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let cam = Cam { background: sample.uniform(0.0, 1.0), epsilon: 1e-5 };
        let values = sample.values(shape, -2.0, 2.0);
        let activations = bench.load(shape, &values)?;
        near_tensors(bench, "masks", &activations.cam_masks(&cam)?, &cam::cam_masks(&activations, &cam)?, 0.0)?;
        let shape_out = shape.with_channels(shape.c + 1);
        let weights = bench.load(shape_out, &sample.values(shape_out, -1.0, 1.0))?;
        let by_override = |x: &B::T| Ok(total(&x.cam_masks(&cam)?.mul(&weights)?)?);
        let by_definition = |x: &B::T| Ok(total(&cam::cam_masks(x, &cam)?.mul(&weights)?)?);
        same_gradient(bench, shape, &values, &by_override, &by_definition, 1.0)
    })
}
