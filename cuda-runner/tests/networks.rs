//! Networks, optimiser, checkpoints and the loop.

mod tiny;

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor, Var};
use tiny::config;
use wseg_cuda_runner::{
    Result,
    infer::{Inference, Merge},
    model::{Model, ModelKind},
    nn::{Entry, Init, Kind, Origin, Params, Pass, Scope},
    train::{
        Batch, Observer, Recipe, Schedule, Sgd, Source, StepReport, Target, WeightAverage, checkpoint, losses, train,
    },
};

fn model(kind: ModelKind, seed: u64) -> Model {
    Model::new(config(kind), seed, DType::F32, &Device::Cpu).unwrap()
}

/// Red squares are cats, green ones dogs.
struct Squares;

impl Source for Squares {
    fn batches(&self) -> usize {
        4
    }

    fn epoch<'a>(&'a self, epoch: usize) -> Box<dyn Iterator<Item = Result<Batch>> + 'a> {
        Box::new((0..4).map(move |index| Ok(squares(epoch * 4 + index))))
    }
}

fn squares(seed: usize) -> Batch {
    let (n, side) = (4, 32);
    let mut images = vec![-1f32; n * 3 * side * side];
    let mut labels = vec![0f32; n * 2];
    for sample in 0..n {
        let class = (seed + sample) % 2;
        labels[sample * 2 + class] = 1.0;
        let (top, left) = ((seed * 5 + sample * 3) % 16, (seed * 7 + sample) % 16);
        for y in top..top + 16 {
            for x in left..left + 16 {
                images[((sample * 3 + class) * side + y) * side + x] = 2.0;
            }
        }
    }
    Batch {
        images: Tensor::from_vec(images, (n, 3, side, side), &Device::Cpu).unwrap(),
        target: Target::Labels(Tensor::from_vec(labels, (n, 2, 1, 1), &Device::Cpu).unwrap()),
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

fn recipe() -> Recipe {
    Recipe {
        epochs: 12,
        classification_epochs: 6,
        batch: 4,
        crop: 32,
        rate: 0.05,
        multipliers: [1.0; 4],
        pamr_dilations: vec![1, 2],
        ..Recipe::default()
    }
}

#[test]
fn both_networks_learn_and_the_segmentation_loss_starts_when_told() {
    for kind in [ModelKind::SingleStage, ModelKind::Cam] {
        let (model, mut log) = (model(kind, 1), Log::default());
        train(&model, &recipe(), &Squares, &mut log).unwrap();
        let mean =
            |steps: &[StepReport]| steps.iter().map(|s| s.classification.unwrap()).sum::<f64>() / steps.len() as f64;
        let (first, last) = (mean(&log.0[..4]), mean(&log.0[44..]));
        assert!(last < 0.6 * first, "{kind}: {first} -> {last}");
        let segmented = log.0.iter().filter(|step| step.segmentation.is_some()).count();
        assert_eq!(segmented, if kind == ModelKind::SingleStage { 24 } else { 0 });
    }
}

#[test]
fn the_same_seed_gives_the_same_checkpoint_and_another_seed_another() {
    let bytes = |seed| {
        let model = model(ModelKind::SingleStage, seed);
        let recipe = Recipe { epochs: 2, classification_epochs: 1, average: 0.9, seed, ..recipe() };
        train(&model, &recipe, &Squares, &mut Log::default()).unwrap();
        checkpoint::encode(&model).unwrap()
    };
    assert!(bytes(7) == bytes(7));
    assert!(bytes(7) != bytes(8));
}

#[test]
fn a_checkpoint_gives_the_same_network_back() {
    for kind in [ModelKind::SingleStage, ModelKind::Cam] {
        let original = model(kind, 3);
        let bytes = checkpoint::encode(&original).unwrap();
        let loaded = checkpoint::decode(&bytes, DType::F32, &Device::Cpu).unwrap().expect("a network");
        assert_eq!(loaded.config, original.config);
        let masks = |model: &Model| {
            let classified = model.forward(&squares(0).images, &Pass::evaluation()).unwrap();
            let masks = model.masks_at(&classified, 32, 32).unwrap();
            masks.tensor().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(masks(&original), masks(&loaded));
    }
}

#[test]
fn damaged_checkpoints_are_refused_in_a_sentence() {
    let bytes = checkpoint::encode(&model(ModelKind::Cam, 3)).unwrap();
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = checkpoint::decode(&bytes[..cut], DType::F32, &Device::Cpu).unwrap_err();
        assert!(error.is_input() && !error.to_string().contains('\n'), "{error}");
    }
    let renamed = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        checkpoint::decode(&bytes, DType::F32, &Device::Cpu).unwrap_err().to_string()
    };
    assert!(renamed("fc8.weight", "fc9.weight").contains("lacks the parameter `fc8.weight`"));
    assert!(renamed("[2,10,1,1]", "[10,2,1,1]").contains("shape"));
    assert!(renamed("\\\"small\\\"", "\\\"large\\\"").contains("there is no backbone `large`"));
}

#[test]
fn parameters_carry_the_references_names() {
    let model = model(ModelKind::SingleStage, 1);
    let params = model.params.borrow();
    let names: BTreeSet<&str> = params.iter().map(|(name, _)| name).collect();
    for name in [
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer2.0.downsample.1.bias",
        "aspp.aspp1.atrous_conv.weight",
        "aspp.aspp4.bn.running_mean",
        "aspp.global_avg_pool.1.weight",
        "aspp.global_avg_pool.2.bias",
        "aspp.conv1.weight",
        "aspp.bn1.weight",
        "shallow_mask.fc_deep.0.weight",
        "shallow_mask.fc_deep.1.bias",
        "shallow_mask.fc_skip.0.weight",
        "shallow_mask.fc_skip.1.running_mean",
        "shallow_mask.fc_cls.1.weight",
        "fc8_skip.0.weight",
        "fc8_x.1.bias",
        "last_conv.0.weight",
        "last_conv.5.bias",
        "last_conv.8.weight",
        "last_conv.8.bias",
    ] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    assert!(!names.contains("shallow_mask.fc_skip.1.weight"), "that norm has no affine part");
}

fn one_parameter(kind: Kind, origin: Origin, value: f64) -> (std::rc::Rc<std::cell::RefCell<Params>>, Var) {
    let params = Params::new(0, DType::F64, &Device::Cpu);
    let var = Scope::root(&params, origin).parameter("p", 1, kind, Init::Constant(value)).unwrap();
    (params, var)
}

fn number(var: &Var) -> f64 {
    var.get(0).unwrap().to_scalar::<f64>().unwrap()
}

#[test]
fn sgd_moves_parameters_as_pytorch_does() {
    // torch.optim.SGD([p], lr=0.1 * multiplier, momentum=0.9, weight_decay=0.5 or 0), loss = 3 p, p = 2, two steps.
    let recipe = Recipe { momentum: 0.9, weight_decay: 0.5, multipliers: [1.0, 2.0, 10.0, 20.0], ..Recipe::default() };
    for (kind, origin, multiplier, decay) in [
        (Kind::Weight, Origin::Old, 1.0, 0.5),
        (Kind::Bias, Origin::Old, 2.0, 0.0),
        (Kind::Weight, Origin::New, 10.0, 0.5),
        (Kind::Bias, Origin::New, 20.0, 0.0),
    ] {
        let (params, var) = one_parameter(kind, origin, 2.0);
        let mut optimiser = Sgd::new(&params.borrow(), &recipe);
        let (mut expected, mut velocity) = (2.0, 0.0);
        for _ in 0..2 {
            let loss = var.affine(3.0, 0.0).unwrap().sum_all().unwrap();
            optimiser.step(&loss.backward().unwrap(), 0.1).unwrap();
            velocity = 0.9 * velocity + 3.0 + decay * expected;
            expected -= 0.1 * multiplier * velocity;
            let value = number(&var);
            assert!((value - expected).abs() < 1e-12, "{kind:?} {origin:?}: {value} instead of {expected}");
        }
    }
}

#[test]
fn buffers_and_frozen_parameters_stay() {
    let (params, _) = one_parameter(Kind::Buffer, Origin::Old, 1.0);
    assert_eq!(Sgd::new(&params.borrow(), &Recipe::default()).names().count(), 0);
    let frozen = Scope::root(&params, Origin::Old).frozen();
    frozen.parameter("q", 1, Kind::Weight, Init::HeNormal).unwrap();
    assert_eq!(Sgd::new(&params.borrow(), &Recipe::default()).names().count(), 0);
}

#[test]
fn the_average_lies_between_its_weights_and_training_goes_on_from_its_own() {
    let (params, var) = one_parameter(Kind::Weight, Origin::Old, 2.0);
    let mut average = WeightAverage::new(&params.borrow(), 0.5).unwrap();
    var.set(&var.as_detached_tensor().affine(0.0, 4.0).unwrap()).unwrap();
    average.follow().unwrap();
    let inside = average.with_averaged(|| Ok(number(&var))).unwrap();
    assert!(inside > 2.0 && inside < 4.0, "{inside}");
    assert_eq!(number(&var), 4.0);
    average.keep().unwrap();
    assert_eq!(number(&var), inside);
}

#[test]
fn the_rate_rises_and_falls_as_scheduled() {
    let recipe = |schedule| Recipe { rate: 2.0, schedule, warmup: 4, ..Recipe::default() };
    assert_eq!(recipe(Schedule::Constant).rate(0, 100), 0.4);
    assert_eq!(recipe(Schedule::Constant).rate(99, 100), 2.0);
    assert!((recipe(Schedule::Cosine).rate(50, 100) - 1.0).abs() < 1e-12);
    assert!((recipe(Schedule::Poly).rate(50, 100) - 2.0 * 0.5f64.powf(0.9)).abs() < 1e-12);
}

#[test]
fn every_trainable_parameter_gets_a_gradient() {
    let model = model(ModelKind::SingleStage, 1);
    let losses = losses(&model, &squares(0), &recipe(), true, 0).unwrap();
    let gradients = losses.total.backward().unwrap();
    for (name, Entry { var, trainable, .. }) in model.params.borrow().iter() {
        assert_eq!(gradients.get(var.as_tensor()).is_some(), *trainable, "{name}");
    }
}

#[test]
fn prediction_at_several_views_keeps_the_photos_size_and_obeys_the_labels() {
    let model = model(ModelKind::SingleStage, 1);
    let view = |h, w| Tensor::zeros((1, 3, h, w), DType::F32, &Device::Cpu).unwrap();
    let predict = |present: Option<&[bool]>| {
        let mut merge = Merge::new(&model, 37, 51);
        merge.add(&view(37, 51), false).unwrap();
        merge.add(&view(19, 26), true).unwrap();
        merge.finish(present, 0.5, 1.0).unwrap()
    };
    let prediction = predict(Some(&[false, true]));
    assert_eq!(prediction.labels.len(), 37 * 51);
    assert!(prediction.labels.iter().all(|label| [0, 2].contains(label)));
    assert!(predict(Some(&[false, false])).labels.iter().all(|&label| label == 0));
    assert_eq!(predict(None).confidence.unwrap().len(), 2);
    assert!(Merge::new(&model, 3, 3).finish(None, 0.5, 1.0).is_err());
}

#[test]
fn a_view_is_as_large_as_its_base_says() {
    let own = Inference::default();
    assert_eq!(own.view((200, 300), 96, 0.5), (100, 150));
    let crop = Inference { base: wseg_cuda_runner::infer::Base::Crop, ..own };
    let (h, w) = crop.view((200, 300), 96, 1.0);
    assert_eq!((h, w), (78, 118), "the area of 96 x 96 in the photo's proportions");
    assert_eq!(crop.view((1, 1), 96, 1e-9), (1, 1));
}
