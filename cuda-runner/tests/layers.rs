//! Layers: what they compute, fused or not, and what a recording pass says of them.

mod ops_support;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ops_support::{Numbers, distance};
use wseg_cuda_runner::{
    nn::{BatchNorm, Conv, ConvConfig, ConvNorm, NormConfig, Origin, Params, Pass, Scope, graph_bytes},
    ops,
};

/// Parameters of a layer of 3 channels to 4, in a store of their own.
struct Store(std::rc::Rc<std::cell::RefCell<Params>>);

impl Store {
    fn new(geometry: ConvConfig, norm: NormConfig) -> Self {
        let mut numbers = Numbers(7);
        let mut values = BTreeMap::from([
            ("conv.weight", numbers.tensor((4, 3, geometry.kernel, geometry.kernel))),
            ("norm.running_mean", numbers.tensor(4)),
            // A variance is positive.
            ("norm.running_var", numbers.tensor(4).affine(0.5, 1.0).expect("a variance")),
        ]);
        if geometry.bias {
            values.insert("conv.bias", numbers.tensor(4));
        }
        if norm.affine {
            values.extend([("norm.weight", numbers.tensor(4)), ("norm.bias", numbers.tensor(4))]);
        }
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self(Params::from_values(values, DType::F64, &Device::Cpu))
    }

    fn scopes(&self, frozen: bool) -> [Scope; 2] {
        let root = Scope::root(&self.0, Origin::Old);
        let root = if frozen { root.frozen() } else { root };
        [root.at("conv"), root.at("norm")]
    }

    /// Gradients of `sum(y * cotangent)` by name, and the parameters themselves, which statistics are among.
    fn outcome(&self, y: &Tensor) -> (BTreeMap<String, Tensor>, BTreeMap<String, Tensor>) {
        let cotangent = Numbers(99).tensor(y.shape());
        let gradients = (y * cotangent).and_then(|p| p.sum_all()).and_then(|s| s.backward()).expect("a backward pass");
        let params = self.0.borrow();
        let gradient = |(name, entry): (&str, &wseg_cuda_runner::nn::Entry)| {
            gradients.get(entry.var.as_tensor()).map(|gradient| (name.to_owned(), gradient.clone()))
        };
        let values = params.iter().map(|(name, entry)| (name.to_owned(), entry.var.as_detached_tensor()));
        (params.iter().filter_map(gradient).collect(), values.collect())
    }
}

fn assert_same(what: &str, expected: &BTreeMap<String, Tensor>, got: &BTreeMap<String, Tensor>) {
    assert!(expected.keys().eq(got.keys()), "{what}: {:?} and {:?}", expected.keys(), got.keys());
    for (name, expected) in expected {
        let distance = distance(expected, &got[name]);
        assert!(distance < 1e-10, "{what}, {name}: {distance}");
    }
}

/// Convolution, norm, addition and ReLU one after the other, as layers of their own.
fn apart(store: &Store, frozen: bool, setting: (ConvConfig, NormConfig), x: [&Tensor; 2], pass: &Pass) -> Tensor {
    let [conv, norm] = store.scopes(frozen);
    let conv = Conv::new(&conv, 3, 4, setting.0).expect("a layer");
    let norm = BatchNorm::new(&norm, 4, setting.1).expect("a layer");
    let y = conv.forward(x[0], pass).and_then(|y| norm.forward(&y, false, pass)).expect("a forward pass");
    y.add(x[1]).and_then(|sum| ops::relu(&sum)).expect("a forward pass")
}

fn pass(mode: &str) -> Pass {
    match mode {
        "training" => Pass::training(1),
        "evaluation" => Pass::evaluation(),
        _ => Pass::evaluation_with_gradients(),
    }
}

#[test]
fn a_fused_block_is_its_layers_in_every_mode() {
    let mut numbers = Numbers(1);
    let x = numbers.tensor((2, 3, 9, 8));
    let geometry = ConvConfig::new(3).stride(2);
    let residual = numbers.tensor((2, 4, 5, 4));
    let nothing = residual.zeros_like().expect("zeros");
    for geometry in [geometry, geometry.with_bias()] {
        for norm in [NormConfig::LEARNED, NormConfig::FIXED, NormConfig::FIXED.without_affine()] {
            for mode in ["training", "evaluation", "evaluation with gradients"] {
                for (frozen, onto) in [(false, false), (false, true), (true, false), (true, true)] {
                    let what = format!("{geometry:?} {norm:?} {mode}, frozen {frozen}, onto {onto}");
                    let store = Store::new(geometry, norm);
                    let residual = if onto { &residual } else { &nothing };
                    let expected = apart(&store, frozen, (geometry, norm), [&x, residual], &pass(mode));
                    let expected = (store.outcome(&expected), expected);

                    let store = Store::new(geometry, norm);
                    let [conv, bn] = store.scopes(frozen);
                    let block = ConvNorm::new((&conv, &bn), 3, 4, geometry, norm).expect("a block");
                    let got = match onto {
                        true => block.forward_onto(&x, residual, &pass(mode)),
                        false => block.forward(&x, &pass(mode)),
                    };
                    let got = got.expect("a forward pass");
                    assert!(distance(&expected.1, &got) < 1e-12, "{what}");
                    let got = store.outcome(&got);
                    assert_same(&what, &expected.0.0, &got.0);
                    assert_same(&what, &expected.0.1, &got.1);
                    assert_eq!(got.0.is_empty(), frozen || mode == "evaluation", "{what}");
                }
            }
        }
    }
}

#[test]
fn a_linear_block_adds_the_residual_and_cuts_nothing() {
    let mut numbers = Numbers(2);
    let (x, residual) = (numbers.tensor((1, 3, 6, 6)), numbers.tensor((1, 4, 6, 6)));
    for pass in [Pass::training(1), Pass::evaluation()] {
        let geometry = ConvConfig::new(3);
        let store = Store::new(geometry, NormConfig::LEARNED);
        let [conv, norm] = store.scopes(false);
        let block = ConvNorm::new((&conv, &norm), 3, 4, geometry, NormConfig::LEARNED).expect("a block").linear();
        let alone = block.forward(&x, &pass).expect("a forward pass");
        let onto = block.forward_onto(&x, &residual, &pass).expect("a forward pass");
        assert!(distance(&alone.add(&residual).expect("a sum"), &onto) < 1e-12);
        assert!(onto.flatten_all().and_then(|y| y.min(0)?.to_scalar::<f64>()).expect("a minimum") < 0.0);
    }
}

/// A stem, a residual block behind it and a norm of its own, in `f64`.
struct Small {
    params: std::rc::Rc<std::cell::RefCell<Params>>,
    stem: ConvNorm,
    first: ConvNorm,
    second: ConvNorm,
    norm: BatchNorm,
    scores: Conv,
}

impl Small {
    fn new() -> Self {
        let params = Params::new(1, DType::F64, &Device::Cpu);
        let root = Scope::root(&params, Origin::New);
        let block = |scope: &Scope, name: &str, from, to, geometry| {
            let (conv, norm) = (scope.at(name), scope.at(format_args!("{name}_norm")));
            ConvNorm::new((&conv, &norm), from, to, geometry, NormConfig::LEARNED).expect("a block")
        };
        Self {
            stem: block(&root.frozen(), "stem", 3, 8, ConvConfig::new(7).stride(2)),
            first: block(&root.at("layer"), "first", 8, 4, ConvConfig::new(1)),
            second: block(&root.at("layer"), "second", 4, 8, ConvConfig::new(3).dilation(2)),
            norm: BatchNorm::new(&root.at("norm"), 8, NormConfig::LEARNED.without_affine()).expect("a norm"),
            scores: Conv::new(&root.at("scores"), 8, 5, ConvConfig::new(1).with_bias()).expect("a convolution"),
            params,
        }
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let stem = self.stem.forward(x, pass).expect("a forward pass");
        let inner = self.first.forward(&stem, pass).expect("a forward pass");
        let block = self.second.forward_onto(&inner, &stem, pass).expect("a forward pass");
        let normed = self.norm.forward(&block, false, pass).expect("a forward pass");
        self.scores.forward(&normed, pass).expect("a forward pass")
    }
}

#[test]
fn a_recording_has_the_sizes_and_products_of_a_hand_count() {
    let network = Small::new();
    let pass = Pass::recording();
    let y = network.forward(&Numbers(1).tensor((1, 3, 21, 16)), &pass);
    assert!(!y.track_op(), "a recording keeps no graph");
    let recording = pass.into_recording();
    let names = recording.names(&network.params.borrow());
    // Maps of 11 x 8 pixels behind the stem. Products: outputs x inputs x kernel area x pixels.
    let expected = [
        ("stem", "conv 7x7 stride 2 + norm + relu", [1, 8, 11, 8], 8 * 3 * 49 * 88, 8 * 3 * 49 + 16, 0),
        ("layer.first", "conv 1x1 + norm + relu", [1, 4, 11, 8], 4 * 8 * 88, 4 * 8 + 8, 4 * 8 + 8),
        (
            "layer.second",
            "conv 3x3 dilation 2 + norm + residual + relu",
            [1, 8, 11, 8],
            8 * 4 * 9 * 88,
            8 * 4 * 9 + 16,
            8 * 4 * 9 + 16,
        ),
        ("norm", "norm", [1, 8, 11, 8], 8 * 88, 0, 0),
        ("scores", "conv 1x1", [1, 5, 11, 8], 5 * 8 * 88, 5 * 8 + 5, 5 * 8 + 5),
    ];
    assert_eq!(recording.runs.len(), expected.len());
    for ((run, name), (layer, kind, shape, products, parameters, trainable)) in
        recording.runs.iter().zip(&names).zip(expected)
    {
        assert_eq!((name.as_str(), run.kind.as_str()), (layer, kind));
        assert_eq!(run.output.shape, shape, "{layer}");
        assert_eq!((run.multiply_adds, run.parameters, run.trainable), (products, parameters, trainable), "{layer}");
    }
    assert_eq!(recording.multiply_adds(), expected.iter().map(|layer| layer.3).sum::<u64>());
    assert_eq!(recording.runs[0].input.shape, [1, 3, 21, 16]);
    assert_eq!(recording.runs[2].residual.as_ref().map(|map| map.bytes), Some(8 * 8 * 88));
    // The largest layer is the stem: 3 x 21 x 16 and 8 x 11 x 8 elements. In the block, the stem's map waits for the
    // end of it, beside 4 x 88 elements from within and 8 x 88 that are made: 20 x 88.
    assert_eq!(recording.largest_live_bytes(), 8 * 20 * 88);
    assert!(Pass::evaluation().into_recording().runs.is_empty());
}

#[test]
fn the_memory_of_a_graph_is_that_of_its_maps() {
    let network = Small::new();
    let x = Numbers(1).tensor((1, 3, 21, 16));
    let map = |channels: u64| 8 * 88 * channels;
    assert_eq!(graph_bytes(&network.forward(&x, &Pass::evaluation())), 0);
    // The stem is frozen. With the statistics of the batch: convolution and norm of the first layer; convolution, norm,
    // sum and ReLU of the second; norm and scores.
    let y = network.forward(&x, &Pass::training(1));
    assert_eq!(graph_bytes(&y), map(2 * 4 + 4 * 8 + 8 + 5));
    // A view is no memory of its own, a copy is.
    let view = y.reshape((1, 5, 88)).expect("a view");
    assert_eq!(graph_bytes(&view), graph_bytes(&y));
    assert_eq!(graph_bytes(&y.affine(2.0, 0.0).expect("a copy")), graph_bytes(&y) + map(5));
}

/// What the fused operation is for.
#[test]
fn a_block_with_frozen_norms_keeps_one_map_a_layer() {
    let map = 8 * 4 * 6 * 6;
    let mut numbers = Numbers(3);
    let (x, residual) = (numbers.tensor((1, 3, 6, 6)), numbers.tensor((1, 4, 6, 6)));
    let geometry = ConvConfig::new(3);
    let block = |config: NormConfig| {
        let [conv, norm] = Store::new(geometry, config).scopes(false);
        ConvNorm::new((&conv, &norm.frozen()), 3, 4, geometry, config).expect("a block")
    };
    let kept = |config, pass: &Pass| {
        let block = block(config);
        let alone = block.forward(&x, pass).expect("a forward pass");
        let onto = block.forward_onto(&x, &residual, pass).expect("a forward pass");
        (graph_bytes(&alone), graph_bytes(&onto))
    };
    assert_eq!(kept(NormConfig::FIXED, &Pass::training(1)), (map, map));
    assert_eq!(kept(NormConfig::LEARNED, &Pass::evaluation_with_gradients()), (map, map));
    assert_eq!(kept(NormConfig::LEARNED, &Pass::training(1)), (2 * map, 4 * map));
}
