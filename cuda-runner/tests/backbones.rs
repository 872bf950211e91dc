//! Backbones: shapes of their features, what is frozen, how fast the rest learns, and the pooling they need.

mod ops_support;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use candle_core::{DType, Device, Tensor};
use ops_support::{Numbers, check_gradients, distance, values};
use proptest::prelude::*;
use wseg_cuda_runner::{
    backbone::{self, Backbone, BackboneConfig, NAMES, Normalisation},
    infer::Inference,
    model::{Architecture, Model, ModelKind, NetworkConfig},
    nn::{AsppConfig, Fill, Kind, Origin, Params, Pass, Scope},
    ops,
    train::{Batch, Group, Recipe, Target, losses},
};

/// Every parameter small and not zero, without drawing millions of normal numbers.
#[derive(Debug)]
struct Small;

impl Fill for Small {
    fn values(&self, name: &str, extents: &[usize]) -> Vec<f32> {
        let count: usize = extents.iter().product();
        let fan_in = (count / extents[0].max(1)) as f32;
        match extents.len() {
            // Signs without a pattern that a kernel's rows could share: maps neither die out nor overflow.
            4 => (0..count as u32)
                .map(|index| if index.wrapping_mul(0x9E37_79B1) >> 31 == 0 { -1.0 } else { 1.0 } / fan_in.sqrt())
                .collect(),
            _ if name.ends_with("weight") || name.ends_with("running_var") => vec![1.0; count],
            _ => vec![0.01; count],
        }
    }
}

type Store = Rc<RefCell<Params>>;

fn built(name: &str) -> (Store, Box<dyn Backbone>) {
    let params = Params::filled(Box::new(Small), DType::F32, &Device::Cpu);
    let scope = Scope::root(&params, Origin::Old);
    let backbone = backbone::build(&scope, &BackboneConfig::named(name)).expect("a backbone of the registry");
    (params, backbone)
}

fn images(shape: (usize, usize, usize, usize)) -> Tensor {
    Numbers(7).tensor(shape).to_dtype(DType::F32).expect("a conversion")
}

/// Channels of the features, and the side of each for a photo with that side: halved and rounded up as often as the
/// backbone halves it, but for SqueezeNet, which does not pad.
fn expected(name: &str, side: usize) -> ([usize; 2], [usize; 2]) {
    let halved = |times: u32| side.div_ceil(1 << times);
    match name {
        "small" => ([32, 128], [halved(2), halved(3)]),
        "vgg16" => ([256, 1024], [halved(2), halved(3)]),
        "resnet38" => ([256, 4096], [halved(2), halved(3)]),
        "resnet18" => ([64, 512], [halved(2), halved(4)]),
        "resnet50" | "resnet101" => ([256, 2048], [halved(2), halved(4)]),
        "xception65" => ([128, 2048], [halved(2), halved(4)]),
        "squeezenet1_0" => {
            let stem = (side - 7) / 2 + 1;
            let pooled = |side: usize| (side - 3).div_ceil(2) + 1;
            ([256, 512], [pooled(stem), pooled(pooled(stem))])
        }
        other => panic!("{other} has no expectation yet"),
    }
}

#[test]
fn features_have_their_channels_and_strides_at_even_and_odd_sizes() {
    for name in NAMES {
        let (_, backbone) = built(name);
        for (h, w) in [(32, 48), (33, 35), (34, 41)] {
            let features = backbone.forward(&images((1, 3, h, w)), &Pass::evaluation()).expect("a forward pass");
            let (channels, [shallow_h, deep_h]) = expected(name, h);
            let (_, [shallow_w, deep_w]) = expected(name, w);
            assert_eq!(features.shallow.dims(), [1, channels[0], shallow_h, shallow_w], "{name} at {h}x{w}");
            assert_eq!(features.deep.dims(), [1, channels[1], deep_h, deep_w], "{name} at {h}x{w}");
            assert_eq!([backbone.channels().shallow, backbone.channels().deep], channels, "{name}");
        }
    }
}

#[test]
fn every_photo_is_seen_or_refused_in_a_sentence() {
    for name in ["small", "vgg16", "resnet18", "squeezenet1_0"] {
        let (_, backbone) = built(name);
        for side in [1, 2, 7, 16, 17] {
            match backbone.forward(&images((1, 3, side, 17)), &Pass::evaluation()) {
                Ok(features) => assert!(features.deep.dims().iter().all(|&extent| extent > 0), "{name} at {side}"),
                Err(error) => {
                    assert!(name == "squeezenet1_0" && side < 17, "{name} at {side}: {error}");
                    assert!(error.is_input() && error.to_string().contains("at least 17x17"), "{error}");
                }
            }
        }
    }
}

#[test]
fn an_unknown_backbone_is_answered_with_the_known_ones() {
    let params = Params::new(0, DType::F32, &Device::Cpu);
    let error = backbone::build(&Scope::root(&params, Origin::Old), &BackboneConfig::named("resnet34")).unwrap_err();
    assert!(error.is_input(), "{error}");
    let message = error.to_string();
    assert!(message.contains("`resnet34`") && NAMES.iter().all(|name| message.contains(name)), "{message}");
}

/// Names of the parameters, without statistics, that training leaves alone.
fn frozen(params: &Store) -> BTreeSet<String> {
    let params = params.borrow();
    let frozen = params.iter().filter(|(_, entry)| !entry.trainable && entry.kind != Kind::Buffer);
    frozen.map(|(name, _)| name.to_owned()).collect()
}

/// Whether a parameter belongs to a batch norm.
fn is_norm(params: &Params, name: &str) -> bool {
    let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
    params.get(&format!("{layer}.running_var")).is_some()
}

#[test]
fn the_first_layers_and_all_norms_of_pretrained_backbones_are_frozen_and_nothing_else() {
    for (name, fixed) in [
        ("small", &[][..]),
        ("vgg16", &["conv1_1.weight", "conv1_1.bias", "conv1_2.weight", "conv1_2.bias"]),
        (
            "resnet38",
            &[
                "conv1a.weight",
                "b2.conv_branch1.weight",
                "b2.conv_branch2a.weight",
                "b2.conv_branch2b1.weight",
                "b2_1.conv_branch2a.weight",
                "b2_1.conv_branch2b1.weight",
                "b2_2.conv_branch2a.weight",
                "b2_2.conv_branch2b1.weight",
            ],
        ),
        ("resnet18", &["conv1.weight"]),
        ("resnet50", &["conv1.weight"]),
        ("resnet101", &["conv1.weight"]),
        ("squeezenet1_0", &["features.0.weight", "features.0.bias"]),
        ("xception65", &["stem.0.conv.weight", "stem.1.conv.weight"]),
    ] {
        let (params, _) = built(name);
        let (norms, others): (BTreeSet<_>, BTreeSet<_>) =
            frozen(&params).into_iter().partition(|parameter| is_norm(&params.borrow(), parameter));
        assert_eq!(others, fixed.iter().map(|name| (*name).to_owned()).collect(), "{name}");
        let params = params.borrow();
        let affine = |(name, entry): &(&str, &_)| {
            let entry: &wseg_cuda_runner::nn::Entry = entry;
            entry.kind != Kind::Buffer && is_norm(&params, name)
        };
        let count = params.iter().filter(affine).count();
        assert_eq!(norms.len(), if name == "small" { 0 } else { count }, "{name}");
    }
}

/// One photo, normalised in two ways: as networks are given it, and as the weights of the backbone know it.
#[test]
fn every_backbone_sees_photos_as_its_weights_know_them() {
    let photo = images((1, 3, 33, 35)).abs().expect("a photo").clamp(0f32, 1f32).expect("a photo");
    let normalised = |norm: Normalisation| {
        let colours = |values: [f32; 3]| Tensor::new(&values, &Device::Cpu)?.reshape((1, 3, 1, 1));
        let centred = photo.broadcast_sub(&colours(norm.mean).expect("a mean")).expect("a photo");
        centred.broadcast_div(&colours(norm.deviation).expect("a deviation")).expect("a photo")
    };
    for (name, known) in [("resnet18", Normalisation::IMAGENET), ("xception65", Normalisation::SYMMETRIC)] {
        let (_, published) = built(name);
        assert_eq!(published.photos(), known, "{name}");
        let (_, other) = built(name);
        let ours = backbone::for_photos(other);
        assert_eq!(ours.photos(), Normalisation::IMAGENET, "{name}");
        for stride in [16, 8] {
            let [published, ours] = [&published, &ours].map(|backbone| backbone.at_stride(stride).expect("a stride"));
            let deep = |backbone: &dyn Backbone, norm| {
                backbone.forward(&normalised(norm), &Pass::evaluation()).expect("a forward pass").deep
            };
            let (expected, got) = (deep(published.as_ref(), known), deep(ours.as_ref(), Normalisation::IMAGENET));
            let largest = values(&expected).into_iter().fold(0.0, f64::max);
            assert!(largest > 0.0, "{name}");
            // Two roundings of the photo, and the layers' own.
            assert!(distance(&expected, &got) < 1e-4 * largest, "{name}: {}", distance(&expected, &got));
            if known != Normalisation::IMAGENET {
                let wrong = deep(published.as_ref(), Normalisation::IMAGENET);
                assert!(distance(&expected, &wrong) > 1e-2 * largest, "{name}: both photos look alike");
            }
        }
    }
}

/// A network with a narrow head, so that the backbone is most of it.
fn network(backbone: &str, kind: ModelKind) -> Model {
    let paper = Architecture::paper(BackboneConfig::named(backbone));
    let aspp = AsppConfig { width: 8, dilations: [1, 2, 3], ..AsppConfig::default() };
    let config = NetworkConfig {
        model: kind,
        classes: ["cat", "dog"].map(str::to_owned).to_vec(),
        architecture: Architecture { aspp, skip: 4, width: 8, ..paper },
        crop: 33,
        inference: Inference::default(),
    };
    Model::in_store(config, Params::filled(Box::new(Small), DType::F32, &Device::Cpu)).expect("a network")
}

#[test]
fn gradients_reach_exactly_the_trainable_parameters_of_every_network() {
    let labels = Tensor::from_vec(vec![1f32, 0.0, 0.0, 1.0], (2, 2, 1, 1), &Device::Cpu).expect("labels");
    let batch = Batch { images: images((2, 3, 17, 17)), target: Target::Labels(labels) };
    let recipe = Recipe { pamr_dilations: vec![1, 2], ..Recipe::default() };
    for name in NAMES.into_iter().filter(|name| *name != "resnet101") {
        for kind in [ModelKind::SingleStage, ModelKind::Cam] {
            let model = network(name, kind);
            let losses = losses(&model, &batch, &recipe, true, 0).expect("losses");
            let gradients = losses.total.backward().expect("gradients");
            for (parameter, entry) in model.params.borrow().iter() {
                let reached = gradients.get(entry.var.as_tensor()).is_some();
                assert_eq!(reached, entry.trainable, "{kind} on {name}: {parameter}");
            }
        }
    }
}

#[test]
fn all_gradients_reach_frozen_parameters_and_not_statistics() {
    let (params, backbone) = built("resnet18");
    let total = |pass: &Pass| {
        let deep = backbone.forward(&images((1, 3, 33, 33)), pass).expect("a forward pass").deep;
        deep.sum_all().and_then(|sum| sum.backward()).expect("gradients")
    };
    let (all, trainable) = (total(&Pass::evaluation_with_all_gradients()), total(&Pass::evaluation_with_gradients()));
    for (name, entry) in params.borrow().iter() {
        assert_eq!(all.get(entry.var.as_tensor()).is_some(), entry.kind != Kind::Buffer, "{name}");
        assert_eq!(trainable.get(entry.var.as_tensor()).is_some(), entry.trainable, "{name}");
    }
}

#[test]
fn frozen_statistics_stay_in_training() {
    let (params, backbone) = built("resnet18");
    backbone.forward(&images((2, 3, 33, 33)), &Pass::training(1)).expect("a forward pass");
    for (name, entry) in params.borrow().iter().filter(|(_, entry)| entry.kind == Kind::Buffer) {
        let start = if name.ends_with("var") { 1.0 } else { f64::from(0.01_f32) };
        assert!(values(entry.var.as_tensor()).iter().all(|&value| value == start), "{name} moved");
    }
}

#[test]
fn dropout_of_whole_channels_is_on_in_training_only() {
    for (name, rate) in [("vgg16", 0.5), ("resnet38", 0.5)] {
        let (_, backbone) = built(name);
        let deep = |pass: &Pass| values(&backbone.forward(&images((1, 3, 32, 32)), pass).expect("a pass").deep);
        assert_eq!(deep(&Pass::evaluation()), deep(&Pass::evaluation_with_gradients()), "{name}");
        assert_ne!(deep(&Pass::training(1)), deep(&Pass::training(2)), "{name} at rate {rate}");
        assert_eq!(deep(&Pass::training(1)), deep(&Pass::training(1)), "{name}");
    }
}

#[test]
fn learning_rate_groups_follow_origin_and_kind() {
    let recipe = Recipe { multipliers: [1.0, 2.0, 10.0, 20.0], weight_decay: 5e-4, ..Recipe::default() };
    let model = network("vgg16", ModelKind::SingleStage);
    let params = model.params.borrow();
    for (name, multiplier, decay) in [
        ("conv3_1.weight", 1.0, 5e-4),
        ("conv3_1.bias", 2.0, 0.0),
        ("fc6.weight", 1.0, 5e-4),
        ("fc7.bias", 2.0, 0.0),
        ("aspp.aspp2.atrous_conv.weight", 10.0, 5e-4),
        ("aspp.bn1.weight", 10.0, 5e-4),
        ("aspp.bn1.bias", 20.0, 0.0),
        ("fc8_x.1.weight", 10.0, 5e-4),
        ("last_conv.8.weight", 10.0, 5e-4),
        ("last_conv.8.bias", 20.0, 0.0),
    ] {
        let entry = params.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        assert_eq!(Group::of(entry, &recipe), Group { multiplier, decay }, "{name}");
    }
    for (name, entry) in params.iter() {
        let head = ["aspp.", "fc8_skip.", "fc8_x.", "shallow_mask.", "last_conv."];
        let new = head.iter().any(|prefix| name.starts_with(prefix));
        assert_eq!(entry.origin == Origin::New, new, "{name}");
    }
}

/// The largest of each window by definition. A window may reach beyond the map if it starts inside it or inside the
/// padding before it.
fn naive_ceil_pool(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> (Vec<usize>, Vec<f64>) {
    let (n, c, h, w) = x.dims4().expect("rank four");
    let size = |extent: usize| {
        let starts = (0..).map(|window| window * stride);
        let fits = |start: &usize| *start < extent + padding;
        // A further window is taken as long as the last one leaves a rest.
        let mut count = 0;
        for start in starts.take_while(fits) {
            count += 1;
            if start + kernel >= extent + 2 * padding {
                break;
            }
        }
        count
    };
    let elements = values(x);
    let mut largest = Vec::new();
    for plane in 0..n * c {
        for (oy, ox) in (0..size(h)).flat_map(|oy| (0..size(w)).map(move |ox| (oy, ox))) {
            let mut best = f64::NEG_INFINITY;
            for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                let (y, x) = (oy * stride + ky, ox * stride + kx);
                if (padding..h + padding).contains(&y) && (padding..w + padding).contains(&x) {
                    best = best.max(elements[(plane * h + y - padding) * w + x - padding]);
                }
            }
            largest.push(best);
        }
    }
    (vec![n, c, size(h), size(w)], largest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn max_pool_with_partial_windows_is_the_definition(
        shape in (1..3usize, 1..3usize, 1..12usize, 1..12usize),
        kernel in 1..5usize,
        stride in 1..6usize,
        half: bool,
        seed: u64,
    ) {
        let padding = if half { kernel / 2 } else { 0 };
        prop_assume!(shape.2.min(shape.3) + 2 * padding >= kernel);
        let x = Numbers(seed).tensor(shape);
        let (dims, expected) = naive_ceil_pool(&x, kernel, stride, padding);
        let got = ops::max_pool2d_ceil(&x, kernel, stride, padding).expect("a pool that fits");
        prop_assert_eq!(got.dims(), dims.as_slice());
        prop_assert_eq!(values(&got), expected);
    }
}

#[test]
fn partial_windows_have_the_sizes_and_gradients_of_torchvisions_squeezenet() {
    // Of 30 positions, 3x3 at stride 2 leaves one: the 15th window sees two rows and columns.
    let sides = |side| {
        let x = Numbers(1).tensor((1, 1, side, side));
        let full = ops::max_pool2d(&x, 3, 2, 0).expect("a pool").dims()[2];
        (full, ops::max_pool2d_ceil(&x, 3, 2, 0).expect("a pool").dims()[2])
    };
    assert_eq!([sides(30), sides(29), sides(15)], [(14, 15), (14, 14), (7, 7)]);
    check_gradients(|t| ops::max_pool2d_ceil(&t[0], 3, 2, 0), &[Numbers(2).tensor((1, 2, 6, 8))], 1e-7);
}
