//! Layers: what they compute, fused or not, and what a recording pass says of them.

mod ops_support;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ops_support::{Numbers, distance};
use wseg_cuda_runner::{
    nn::{BatchNorm, Conv, ConvConfig, ConvNorm, NormConfig, Origin, Params, Pass, Scope},
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
