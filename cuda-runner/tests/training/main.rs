//! Accumulated gradients and clipping; `saved`: trainings that are saved and go on.

mod saved;
#[path = "../tiny/mod.rs"]
mod tiny;

use std::{collections::BTreeMap, ops::ControlFlow};

use candle_core::{DType, Device, Tensor, backprop::GradStore};
use serde_json::json;
use wseg_cuda_runner::{
    Error, Result,
    backbone::{BackboneConfig, small::Size},
    model::{Model, ModelKind, supervise},
    nn::{Kind, Pass},
    train::{
        Batch, Observer, Position, Recipe, Saved, Schedule, SegmentationLoss, Sgd, Source, StepReport, Target,
        Training, checkpoint, gradients, losses,
    },
};

const SIDE: usize = 32;

fn recipe() -> Recipe {
    Recipe {
        epochs: 3,
        classification_epochs: 1,
        batch: 4,
        crop: SIDE,
        rate: 0.05,
        multipliers: [1.0; 4],
        pamr_dilations: vec![1, 2],
        average: 0.9,
        // Untrained masks are flat: only their peaks are claimed, background and class at different places.
        cutoff_low: 0.0,
        cutoff_background: 0.98,
        cutoff_class: 0.98,
        ..Recipe::default()
    }
}

fn model(dtype: DType) -> Model {
    Model::new(tiny::config(ModelKind::SingleStage), 5, dtype, &Device::Cpu).unwrap()
}

/// A model that is sure of something somewhere: new ones make flat masks, and claim all or nothing.
fn sure_model(dtype: DType) -> Model {
    let model = model(dtype);
    let var = model.params.borrow().get("last_conv.8.weight").unwrap().var.clone();
    var.set(&var.affine(60.0, 0.0).unwrap().detach()).unwrap();
    model
}

/// Photos of noise with a bright block, of one class or of none: how many pixels are claimed differs much.
fn photos(first: usize, count: usize, dtype: DType) -> Batch {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for photo in first..first + count {
        let class = photo % 3;
        for place in 0..3 * SIDE * SIDE {
            let (channel, y, x) = (place / (SIDE * SIDE), place / SIDE % SIDE, place % SIDE);
            let noise = ((photo * 7919 + place * 104_729) % 1000) as f64 / 1000.0 - 0.5;
            let block = (4..10 + photo % 5 * 4).contains(&y) && (4..24).contains(&x) && channel == class;
            images.push(if block { 2.0 + noise } else { noise });
        }
        labels.extend([class == 0, class == 1].map(|shown| if shown { 1.0 } else { 0.0 }));
    }
    let tensor = |values: Vec<f64>, shape: (usize, usize, usize, usize)| {
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    };
    let target = Target::Labels(tensor(labels, (count, 2, 1, 1)));
    Batch { images: tensor(images, (count, 3, SIDE, SIDE)), target }
}

/// The same photos with masks: the block is the class, a photo of no class has none.
fn masked(first: usize, count: usize) -> Batch {
    let mask = |photo: usize, pixel: usize| {
        let inside = (4..10 + photo % 5 * 4).contains(&(pixel / SIDE)) && (4..24).contains(&(pixel % SIDE));
        if inside { ((photo + 1) % 3) as u8 } else { 0 }
    };
    let masks = (first..first + count).flat_map(|photo| (0..SIDE * SIDE).map(move |pixel| mask(photo, pixel)));
    let masks = Tensor::from_vec(masks.collect::<Vec<u8>>(), (count, 1, SIDE, SIDE), &Device::Cpu).unwrap();
    Batch { target: Target::Masks(masks), ..photos(first, count, DType::F32) }
}

/// Every parameter's gradient, by name.
fn by_name(model: &Model, gradients: &GradStore) -> BTreeMap<String, Vec<f64>> {
    let params = model.params.borrow();
    let trained = params.iter().filter(|(_, entry)| entry.trainable);
    trained
        .map(|(name, entry)| {
            let gradient = gradients.get(entry.var.as_tensor()).expect("a gradient");
            let gradient = gradient.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
            (name.to_owned(), gradient.to_vec1().unwrap())
        })
        .collect()
}

/// The largest difference of any two gradients, over the largest gradient.
fn distance(one: &BTreeMap<String, Vec<f64>>, other: &BTreeMap<String, Vec<f64>>) -> f64 {
    let largest = one.values().flatten().fold(0.0, |most: f64, g| most.max(g.abs()));
    let apart = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
    one.values().zip(other.values()).map(apart).fold(0.0, f64::max) / largest
}

/// Batch norms frozen, nothing dropped.
fn frozen(_: usize) -> Pass {
    Pass::evaluation_with_gradients()
}

#[test]
fn four_batches_of_four_have_the_gradient_of_one_of_sixteen() {
    for loss in [SegmentationLoss::Paper, SegmentationLoss::Gated] {
        for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
            let recipe = Recipe { segmentation_loss: loss, segmentation_weight: 3.0, ..recipe() };
            let model = sure_model(dtype);
            let parts: Vec<Batch> = (0..4).map(|part| photos(4 * part, 4, dtype)).collect();
            let (whole, large) = gradients(&model, &[photos(0, 16, dtype)], &recipe, true, &frozen).unwrap();
            let (sums, small) = gradients(&model, &parts, &recipe, true, &frozen).unwrap();
            let (large, small) = (by_name(&model, &large), by_name(&model, &small));
            let apart = distance(&large, &small);
            assert!(apart < tolerance, "{loss:?} {dtype:?}: {apart:e}");
            assert_eq!(sums.photos, 16);
            let [one, other] = [sums, whole].map(|losses| losses.classification.unwrap());
            assert!((one - other).abs() < tolerance * other);
            let [one, other] = [sums, whole].map(|losses| losses.segmentation.unwrap());
            assert!(other > 0.0 && (one - other).abs() < tolerance * other, "{loss:?} {dtype:?}: {one} {other}");
        }
    }
}

/// The reason for two passes: a mean of the parts' gradients is another gradient.
#[test]
fn a_plain_mean_of_the_parts_would_not_do() {
    let (model, recipe) = (sure_model(DType::F32), Recipe { segmentation_weight: 3.0, ..recipe() });
    let parts: Vec<Batch> = (0..4).map(|part| photos(4 * part, 4, DType::F32)).collect();
    let claims: Vec<f32> = parts
        .iter()
        .map(|batch| {
            let masks = model.forward(&batch.images, &Pass::evaluation()).unwrap().masks;
            let Target::Labels(labels) = &batch.target else { panic!("image labels") };
            let labels = wseg_cuda_runner::dense::Dense::new(labels.clone()).unwrap();
            let own = supervise(&masks, &batch.images, &labels, &recipe.pamr().unwrap(), &recipe.cutoff()).unwrap();
            own.pseudo.tensor().sum_all().unwrap().to_scalar().unwrap()
        })
        .collect();
    assert!(claims.iter().any(|&claimed| claimed > 1.2 * claims[0] || claimed < 0.8 * claims[0]), "{claims:?}");
    let (_, large) = gradients(&model, &[photos(0, 16, DType::F32)], &recipe, true, &frozen).unwrap();
    let mut mean = BTreeMap::<String, Vec<f64>>::new();
    for part in &parts {
        let (_, part) = gradients(&model, std::slice::from_ref(part), &recipe, true, &frozen).unwrap();
        for (name, values) in by_name(&model, &part) {
            let sums = mean.entry(name).or_insert_with(|| vec![0.0; values.len()]);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / 4.0);
        }
    }
    let apart = distance(&by_name(&model, &large), &mean);
    assert!(apart > 1e-3, "{apart:e}");
}

#[test]
fn batch_norms_follow_every_batch_once() {
    let parts = [photos(0, 4, DType::F32), photos(4, 4, DType::F32)];
    let statistics = |work: &dyn Fn(&Model)| {
        let model = model(DType::F32);
        work(&model);
        let params = model.params.borrow();
        let buffers = params.iter().filter(|(_, entry)| entry.kind == Kind::Buffer);
        buffers.flat_map(|(_, entry)| entry.var.to_vec1::<f32>().unwrap()).collect::<Vec<_>>()
    };
    let recipe = Recipe { accumulate: 2, ..recipe() };
    let accumulated = statistics(&|model| {
        gradients(model, &parts, &recipe, true, &|batch| recipe.pass(7, batch)).unwrap();
    });
    let one_by_one = statistics(&|model| {
        for (index, batch) in parts.iter().enumerate() {
            model.forward(&batch.images, &recipe.pass(7, index)).unwrap();
        }
    });
    assert_eq!(accumulated, one_by_one);
    assert_ne!(accumulated, statistics(&|_| ()));
}

#[test]
fn a_long_gradient_is_shortened_and_a_short_one_is_not() {
    let model = model(DType::F32);
    let (_, mut store) = gradients(&model, &[photos(0, 4, DType::F32)], &recipe(), true, &frozen).unwrap();
    let length = |store: &GradStore| by_name(&model, store).values().flatten().map(|g| g * g).sum::<f64>().sqrt();
    let optimiser = Sgd::new(&model.params.borrow(), &recipe());
    let (before, whole) = (length(&store), by_name(&model, &store));
    assert_eq!(optimiser.clip(&mut store, 0.0).unwrap(), None);
    let told = optimiser.clip(&mut store, 2.0 * before).unwrap().unwrap();
    assert!((told - before).abs() < 1e-9 * before, "{told} {before}");
    assert_eq!(by_name(&model, &store), whole);
    optimiser.clip(&mut store, before / 4.0).unwrap();
    assert!((length(&store) - before / 4.0).abs() < 1e-5 * before, "{} of {before}", length(&store));
}

/// With one batch a step nothing is weighed anew: the gradient is that of the losses as they are.
#[test]
fn one_batch_is_the_loss_itself() {
    let (model, recipe) = (model(DType::F32), recipe());
    let batch = photos(0, 4, DType::F32);
    let plain = losses(&model, &batch, &recipe, true, 3).unwrap().total.backward().unwrap();
    let fresh = self::model(DType::F32);
    let (_, step) = gradients(&fresh, &[batch], &recipe, true, &|batch| recipe.pass(3, batch)).unwrap();
    assert_eq!(by_name(&model, &plain), by_name(&fresh, &step));
    assert!(gradients(&model, &[], &recipe, true, &frozen).is_err());
}
