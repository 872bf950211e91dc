//! DeepLabv3+: the loss against masks and its gradient, learning, and what a network without class scores predicts.

mod ops_support;
mod tiny;

use candle_core::{DType, Device, Tensor};
use ops_support::{distance, values};
use tiny::config;
use wseg_cuda_runner::{
    Result,
    backbone::BackboneConfig,
    infer::Merge,
    model::{DeepLabConfig, Model, ModelKind},
    nn::{Kind, Pass},
    ops,
    train::{Batch, Observer, Recipe, Source, StepReport, Target, checkpoint, gradients, losses, train},
};

const SIDE: usize = 32;

fn model(seed: u64, dtype: DType) -> Model {
    Model::new(config(ModelKind::DeepLab), seed, dtype, &Device::Cpu).unwrap()
}

/// Photos with a bright block of the class's colour, on noise; the mask's border is ignored.
fn blocks(first: usize, count: usize, dtype: DType) -> Batch {
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for photo in first..first + count {
        let (class, top, left) = (1 + photo % 2, 4 + photo * 5 % 12, 2 + photo * 7 % 14);
        let inside = |y: usize, x: usize| (top..top + 14).contains(&y) && (left..left + 16).contains(&x);
        for place in 0..3 * SIDE * SIDE {
            let (channel, y, x) = (place / (SIDE * SIDE), place / SIDE % SIDE, place % SIDE);
            let noise = ((photo * 7919 + place * 104_729) % 1000) as f64 / 2000.0;
            images.push(if inside(y, x) && channel == class { 2.0 - noise } else { noise - 1.0 });
        }
        for (y, x) in (0..SIDE * SIDE).map(|pixel| (pixel / SIDE, pixel % SIDE)) {
            let border = y == top || x == left;
            masks.push(match inside(y, x) {
                true if border => ops::IGNORED,
                true => class as u8,
                false => 0,
            });
        }
    }
    let images = Tensor::from_vec(images, (count, 3, SIDE, SIDE), &Device::Cpu).unwrap();
    let masks = Tensor::from_vec(masks, (count, 1, SIDE, SIDE), &Device::Cpu).unwrap();
    Batch { images: images.to_dtype(dtype).unwrap(), target: Target::Masks(masks) }
}

fn masks(batch: &Batch) -> Tensor {
    match &batch.target {
        Target::Masks(masks) => masks.clone(),
        Target::Labels(_) => panic!("masks"),
    }
}

fn recipe() -> Recipe {
    Recipe { epochs: 30, batch: 4, crop: SIDE, rate: 0.05, multipliers: [1.0; 4], ..Recipe::default() }
}

#[test]
fn scores_are_at_the_shallow_features_size_and_masks_at_the_images() {
    let model = model(1, DType::F32);
    let images = blocks(0, 2, DType::F32).images;
    let classified = model.forward(&images, &Pass::evaluation()).unwrap();
    assert!(classified.scores.is_none());
    assert_eq!(classified.logits.as_ref().unwrap().tensor().dims(), [2, 3, SIDE / 4, SIDE / 4]);
    let masks = model.masks_at(&classified, SIDE, SIDE).unwrap();
    assert_eq!(masks.tensor().dims(), [2, 3, SIDE, SIDE]);
    let sums = masks.tensor().sum(1).unwrap();
    assert!(values(&sums).iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    let bytes = checkpoint::encode(&model).unwrap();
    let loaded = checkpoint::decode(&bytes, DType::F32, &Device::Cpu).unwrap().expect("a network");
    assert_eq!(loaded.config, model.config);
    let again = loaded.masks_at(&loaded.forward(&images, &Pass::evaluation()).unwrap(), SIDE, SIDE).unwrap();
    assert_eq!(distance(masks.tensor(), again.tensor()), 0.0);
}

/// Central differences of the loss of the whole network in training: batch statistics, no dropout.
#[test]
fn the_gradient_of_the_loss_is_its_slope() {
    [false, true].into_iter().for_each(check_slopes);
}

fn check_slopes(separable: bool) {
    let mut config = config(ModelKind::DeepLab);
    config.architecture.deeplab = Some(DeepLabConfig { separable, ..DeepLabConfig::default() });
    config.architecture.aspp.dropout = 0.0;
    config.architecture.head.first_dropout = 0.0;
    let model = Model::new(config, 2, DType::F64, &Device::Cpu).unwrap();
    // Scores that start small would hide a mistake behind them.
    let scores = model.params.borrow().get("decoder.last_conv.8.weight").unwrap().var.clone();
    scores.set(&scores.affine(40.0, 0.0).unwrap().detach()).unwrap();
    let (batch, recipe) = (blocks(0, 2, DType::F64), Recipe { class_weights: vec![0.5, 1.0, 2.0], ..recipe() });
    let loss = || losses(&model, &batch, &recipe, false, 0).unwrap().total;
    let slopes = loss().backward().unwrap();
    let params = model.params.borrow();
    let mut compared = 0;
    for (name, entry) in params.iter().filter(|(_, entry)| entry.trainable) {
        let slope = values(slopes.get(entry.var.as_tensor()).unwrap_or_else(|| panic!("{name} has no gradient")));
        let (count, original) = (slope.len(), entry.var.as_detached_tensor().copy().unwrap());
        for element in [0, count / 3, count - 1] {
            let at = |delta: f64| {
                let mut moved = values(&original);
                moved[element] += delta;
                entry.var.set(&Tensor::from_vec(moved, original.shape(), &Device::Cpu).unwrap()).unwrap();
                values(&loss())[0]
            };
            // Small enough to stay on one side of nearly every ReLU; rounding leaves 1e-9.
            let step = 1e-6;
            let numeric = (at(step) - at(-step)) / (2.0 * step);
            let apart = (numeric - slope[element]).abs();
            assert!(apart < 1e-6 + 1e-4 * numeric.abs(), "{name}[{element}]: {numeric} and {}", slope[element]);
            compared += 1;
        }
        entry.var.set(&original).unwrap();
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn ignored_pixels_have_no_part_in_the_loss() {
    let (model, recipe) = (model(3, DType::F64), recipe());
    let batch = blocks(0, 2, DType::F64);
    let classified = model.forward(&batch.images, &Pass::evaluation()).unwrap();
    let logits = classified.logits.unwrap();
    let loss = |masks: Vec<u8>| {
        let masks = Tensor::from_vec(masks, (2, 1, SIDE, SIDE), &Device::Cpu).unwrap();
        wseg_cuda_runner::train::mask_loss(&logits, &masks, &recipe).map(|loss| values(loss.tensor())[0])
    };
    let all: Vec<u8> = masks(&batch).flatten_all().unwrap().to_vec1().unwrap();
    // Every other pixel ignored: the mean over the other half, twice.
    let halves = [0, 1].map(|rest| {
        let half =
            all.iter().enumerate().map(|(at, &label)| if at % 2 == rest { label } else { ops::IGNORED }).collect();
        loss(half).unwrap()
    });
    let counts =
        [0, 1].map(|rest| all.iter().skip(rest).step_by(2).filter(|&&label| label != ops::IGNORED).count() as f64);
    let mean = (halves[0] * counts[0] + halves[1] * counts[1]) / (counts[0] + counts[1]);
    let whole = loss(all).unwrap();
    assert!((mean - whole).abs() < 1e-12 && (halves[0] - halves[1]).abs() > 1e-6, "{whole} {halves:?}");
    assert_eq!(loss(vec![ops::IGNORED; 2 * SIDE * SIDE]).unwrap(), 0.0);
    assert!(loss(vec![3; 2 * SIDE * SIDE]).unwrap_err().to_string().contains("label 3 of 3 classes"));
    let heavy = Recipe { class_weights: vec![1.0, 2.0], ..Recipe::default() };
    let told = wseg_cuda_runner::train::mask_loss(&logits, &masks(&batch), &heavy).unwrap_err();
    assert!(told.is_input() && told.to_string().contains("2 numbers, but there are 3 classes"), "{told}");
}

/// Two batches of which one is mostly ignored count as one batch would.
#[test]
fn parts_of_a_step_count_by_their_labelled_pixels() {
    for weights in [Vec::new(), vec![0.2, 1.0, 3.0]] {
        let (model, recipe) = (model(4, DType::F64), Recipe { class_weights: weights, ..recipe() });
        let frozen = |_: usize| Pass::evaluation_with_gradients();
        let mut parts = [blocks(0, 2, DType::F64), blocks(2, 2, DType::F64)];
        let all: Vec<u8> = masks(&parts[0]).flatten_all().unwrap().to_vec1().unwrap();
        let mostly = all.iter().enumerate().map(|(at, &label)| if at % 7 == 0 { label } else { ops::IGNORED });
        let mostly: Vec<u8> = mostly.collect();
        parts[0].target = Target::Masks(Tensor::from_vec(mostly, (2, 1, SIDE, SIDE), &Device::Cpu).unwrap());
        let whole = Batch {
            images: Tensor::cat(&[&parts[0].images, &parts[1].images], 0).unwrap(),
            target: Target::Masks(Tensor::cat(&[masks(&parts[0]), masks(&parts[1])], 0).unwrap()),
        };
        let (large, expected) = gradients(&model, &[whole], &recipe, false, &frozen).unwrap();
        let (sums, got) = gradients(&model, &parts, &recipe, false, &frozen).unwrap();
        assert_eq!((sums.photos, sums.classification), (4, None));
        assert!((sums.segmentation.unwrap() - large.segmentation.unwrap()).abs() < 1e-12);
        for (name, entry) in model.params.borrow().iter().filter(|(_, entry)| entry.trainable) {
            let [one, other] = [&expected, &got].map(|store| store.get(entry.var.as_tensor()).unwrap());
            assert!(distance(one, other) < 1e-10, "{name}");
        }
    }
}

#[test]
fn what_does_not_supervise_a_network_is_refused() {
    let labels = Tensor::ones((2, 2, 1, 1), DType::F32, &Device::Cpu).unwrap();
    let batch = blocks(0, 2, DType::F32);
    let labelled = Batch { images: batch.images.clone(), target: Target::Labels(labels) };
    let told = losses(&model(1, DType::F32), &labelled, &recipe(), false, 0).unwrap_err().to_string();
    assert!(told.contains("learns from masks"), "{told}");
    let cam = Model::new(config(ModelKind::Cam), 1, DType::F32, &Device::Cpu).unwrap();
    let told = losses(&cam, &batch, &recipe(), false, 0).unwrap_err().to_string();
    assert!(told.contains("learns from image labels"), "{told}");
}

/// Four photos, always the same.
struct Four;

impl Source for Four {
    fn batches(&self) -> usize {
        1
    }

    fn epoch<'a>(&'a self, _epoch: usize) -> Box<dyn Iterator<Item = Result<Batch>> + 'a> {
        Box::new(std::iter::once(Ok(blocks(0, 4, DType::F32))))
    }
}

#[derive(Default)]
struct Log(Vec<StepReport>);

impl Observer for Log {
    fn step(&mut self, report: &StepReport) -> Result<()> {
        self.0.push(report.clone());
        Ok(())
    }

    fn epoch(&mut self, _epoch: usize, _model: &Model) -> Result<()> {
        Ok(())
    }
}

#[test]
fn four_photos_are_learned_by_heart() {
    let (model, mut log) = (model(1, DType::F32), Log::default());
    let recipe = Recipe { epochs: 150, average: 0.9, ..recipe() };
    train(&model, &recipe, &Four, &mut log).unwrap();
    let loss = |report: &StepReport| (report.classification, report.segmentation.unwrap());
    let ((none, first), (_, last)) = (loss(&log.0[0]), loss(&log.0[149]));
    assert!(none.is_none() && last < 0.3 * first, "{first} -> {last}");
    let batch = blocks(0, 4, DType::F32);
    let classified = model.forward(&batch.images, &Pass::evaluation()).unwrap();
    let predicted = model.masks_at(&classified, SIDE, SIDE).unwrap().tensor().argmax(1).unwrap();
    let predicted: Vec<u32> = predicted.flatten_all().unwrap().to_vec1().unwrap();
    let truth: Vec<u8> = masks(&batch).flatten_all().unwrap().to_vec1().unwrap();
    let labelled: Vec<_> = predicted.iter().zip(truth).filter(|(_, truth)| *truth != ops::IGNORED).collect();
    let objects: Vec<_> = labelled.iter().filter(|(_, truth)| *truth > 0).collect();
    let right = |pairs: usize, hits: usize| hits as f64 / pairs as f64;
    let all = right(labelled.len(), labelled.iter().filter(|(p, t)| **p == u32::from(*t)).count());
    let objects = right(objects.len(), objects.iter().filter(|(p, t)| **p == u32::from(*t)).count());
    assert!(all > 0.95 && objects > 0.9, "{all} of all, {objects} of the objects' pixels");
}

#[test]
fn without_class_scores_no_class_is_absent_unless_it_is_said() {
    let model = model(1, DType::F32);
    let bias = model.params.borrow().get("decoder.last_conv.8.bias").unwrap().var.clone();
    bias.set(&Tensor::new(&[0f32, 9.0, 5.0], &Device::Cpu).unwrap()).unwrap();
    let mut merge = Merge::new(&model, 37, 51);
    for (h, w, mirrored) in [(37, 51, false), (19, 26, true)] {
        merge.add(&Tensor::zeros((1, 3, h, w), DType::F32, &Device::Cpu).unwrap(), mirrored).unwrap();
    }
    for (present, expected) in [(None, 1), (Some(&[false, true][..]), 2), (Some(&[false, false]), 0)] {
        let prediction = merge.finish(present, 1.0, 1.0).unwrap();
        assert!(prediction.confidence.is_none());
        assert!(prediction.labels.iter().all(|&label| label == expected), "{present:?}");
    }
}

#[test]
fn norms_of_a_backbone_learn_if_they_are_told_to_and_its_first_layer_with_them() {
    for (train_norms, learns) in [(None, false), (Some(false), false), (Some(true), true)] {
        let mut config = config(ModelKind::DeepLab);
        config.architecture.backbone = BackboneConfig { train_norms, ..BackboneConfig::named("resnet18") };
        let model = Model::new(config, 1, DType::F32, &Device::Cpu).unwrap();
        let before = values(model.params.borrow().get("layer1.0.bn1.running_mean").unwrap().var.as_tensor());
        model.forward(&blocks(0, 2, DType::F32).images, &Pass::training(1)).unwrap();
        let params = model.params.borrow();
        for name in ["conv1.weight", "bn1.weight", "layer1.0.bn1.weight", "layer4.0.downsample.1.bias"] {
            assert_eq!(params.get(name).unwrap().trainable, learns, "{train_norms:?} {name}");
        }
        assert!(params.get("layer1.0.conv1.weight").unwrap().trainable);
        let after = values(params.get("layer1.0.bn1.running_mean").unwrap().var.as_tensor());
        assert_eq!(before != after, learns, "{train_norms:?}");
        let trained = params.iter().filter(|(_, entry)| entry.trainable && entry.kind != Kind::Buffer).count();
        assert!(trained > 30, "{trained}");
    }
}
