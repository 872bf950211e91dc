//! Separable convolutions: fused or not they are their layers, their gradients are difference quotients.

mod ops_support;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use candle_core::{DType, Device, Tensor};
use ops_support::{Numbers, check_gradients, distance};
use wseg_cuda_runner::{
    nn::{
        BatchNorm, Conv, ConvConfig, Init, Kind, NormConfig, Origin, Params, Pass, Rectified, Scope, SeparableConv,
        graph_bytes,
    },
    ops,
};

const FROM: usize = 3;
const TO: usize = 4;
const ORDERS: [Rectified; 2] = [Rectified::Before, Rectified::After];

/// Parameters of a block from `FROM` to `TO` channels.
fn store(kernel: usize) -> Rc<RefCell<Params>> {
    let mut numbers = Numbers(7);
    let mut values = BTreeMap::from([
        ("conv_dw.weight".to_owned(), numbers.tensor((FROM, 1, kernel, kernel))),
        ("conv_pw.weight".to_owned(), numbers.tensor((TO, FROM, 1, 1))),
    ]);
    for (norm, channels) in [("bn_dw", FROM), ("bn_pw", TO)] {
        for name in ["weight", "bias", "running_mean"] {
            values.insert(format!("{norm}.{name}"), numbers.tensor(channels));
        }
        // A variance is positive.
        let variance = numbers.tensor(channels).affine(0.5, 1.0).expect("a variance");
        values.insert(format!("{norm}.running_var"), variance);
    }
    Params::from_values(values, DType::F64, &Device::Cpu)
}

fn pass(mode: &str) -> Pass {
    match mode {
        "training" => Pass::training(1),
        "evaluation" => Pass::evaluation(),
        _ => Pass::evaluation_with_gradients(),
    }
}

/// Everything that a step leaves: the output, gradients of `sum(y * cotangent)` and the parameters with the statistics.
fn outcome(params: &Rc<RefCell<Params>>, y: Tensor) -> BTreeMap<String, Tensor> {
    let cotangent = Numbers(99).tensor(y.shape());
    let gradients = (&y * cotangent).and_then(|p| p.sum_all()).and_then(|s| s.backward()).expect("a backward pass");
    let mut outcome = BTreeMap::from([("output".to_owned(), y)]);
    for (name, entry) in params.borrow().iter() {
        outcome.insert(name.to_owned(), entry.var.as_detached_tensor());
        if let Some(gradient) = gradients.get(entry.var.as_tensor()) {
            outcome.insert(format!("d {name}"), gradient.clone());
        }
    }
    outcome
}

/// The block one operation after the other, the depthwise convolution by candle.
fn apart(
    scopes: (&Scope, &Scope),
    c: ConvConfig,
    norm: NormConfig,
    order: Rectified,
    x: &Tensor,
    pass: &Pass,
) -> Tensor {
    let (convs, norms) = scopes;
    let scope = convs.at("conv_dw");
    let weight =
        scope.parameter("weight", (FROM, 1, c.kernel, c.kernel), Kind::Weight, Init::HeNormal).expect("a parameter");
    let first = BatchNorm::new(&norms.at("bn_dw"), FROM, norm).expect("a layer");
    let mix = Conv::new(&convs.at("conv_pw"), FROM, TO, ConvConfig::new(1)).expect("a layer");
    let second = BatchNorm::new(&norms.at("bn_pw"), TO, norm).expect("a layer");
    let after = order == Rectified::After;
    let x = if after { x.clone() } else { ops::relu(x).expect("a map") };
    let y = x.conv2d(&pass.value(&weight, scope.is_trainable()), c.padding, c.stride, c.dilation, FROM).expect("a map");
    let y = first.forward(&y, after, pass).and_then(|y| mix.forward(&y, pass));
    y.and_then(|y| second.forward(&y, after, pass)).expect("a map")
}

#[test]
fn a_separable_convolution_is_its_layers_in_every_mode() {
    // Both sides odd: candle has no gradient for a stride of 2 on sides of different parity.
    let x = Numbers(1).tensor((2, FROM, 9, 7));
    for c in [ConvConfig::new(3), ConvConfig::new(3).stride(2), ConvConfig::new(3).dilation(3), ConvConfig::new(5)] {
        for (norm, mode) in [NormConfig::LEARNED, NormConfig::FIXED]
            .into_iter()
            .flat_map(|norm| ["training", "evaluation", "evaluation with gradients"].map(|mode| (norm, mode)))
        {
            for (order, frozen) in ORDERS.into_iter().flat_map(|order| [(order, false), (order, true)]) {
                let what = format!("{c:?} {norm:?} {mode} {order:?}, norms frozen {frozen}");
                let scopes = |params| {
                    let root = Scope::root(params, Origin::Old);
                    (root.clone(), if frozen { root.frozen() } else { root })
                };
                let params = store(c.kernel);
                let (convs, norms) = scopes(&params);
                let y = apart((&convs, &norms), c, norm, order, &x, &pass(mode));
                let expected = outcome(&params, y);

                let params = store(c.kernel);
                let (convs, norms) = scopes(&params);
                let block = SeparableConv::new((&convs, &norms), FROM, TO, c, norm, order).expect("a block");
                let got = outcome(&params, block.forward(&x, &pass(mode)).expect("a forward pass"));
                assert!(expected.keys().eq(got.keys()), "{what}: {:?} and {:?}", expected.keys(), got.keys());
                assert_eq!(got.keys().any(|name| name.starts_with("d ")), mode != "evaluation", "{what}");
                for (name, expected) in expected {
                    let distance = distance(&expected, &got[&name]);
                    assert!(distance < 1e-11, "{what}, {name}: {distance}");
                }
            }
        }
    }
}

#[test]
fn separable_gradients_are_difference_quotients_over_strides_and_dilations() {
    for (order, stride) in ORDERS.into_iter().flat_map(|order| [(order, 1), (order, 2)]) {
        for dilation in [1, 2, 4, 12] {
            for (h, w) in [(5, 6), (7, 4)] {
                let c = ConvConfig::new(3).stride(stride).dilation(dilation);
                for mode in ["evaluation with gradients", "training"] {
                    let x = Numbers(dilation as u64).tensor((2, FROM, h, w));
                    let f = |inputs: &[Tensor]| {
                        let params = store(3);
                        let root = Scope::root(&params, Origin::Old);
                        let block = SeparableConv::new((&root, &root), FROM, TO, c, NormConfig::LEARNED, order);
                        let y = block.and_then(|block| block.forward(&inputs[0], &pass(mode)));
                        Ok(y.expect("a forward pass"))
                    };
                    // The statistics of a batch of few pixels bend.
                    check_gradients(f, &[x], if mode == "training" { 1e-5 } else { 1e-7 });
                }
            }
        }
    }
}

#[test]
fn a_residual_is_added_behind_the_last_norm() {
    let mut numbers = Numbers(3);
    let (x, residual) = (numbers.tensor((1, FROM, 6, 6)), numbers.tensor((1, TO, 6, 6)));
    for pass in [Pass::training(1), Pass::evaluation()] {
        let params = store(3);
        let root = Scope::root(&params, Origin::Old);
        let norm = NormConfig::LEARNED;
        let block = SeparableConv::new((&root, &root), FROM, TO, ConvConfig::new(3), norm, Rectified::Before);
        let block = block.expect("a block");
        let alone = block.forward(&x, &pass).expect("a forward pass");
        let onto = block.forward_onto(&x, &residual, &pass).expect("a forward pass");
        assert!(distance(&alone.add(&residual).expect("a sum"), &onto) < 1e-12);
    }
}

/// Rectification and frozen norms leave nothing behind: a map for each convolution.
#[test]
fn a_separable_convolution_with_frozen_norms_keeps_two_maps() {
    let x = Numbers(3).tensor((1, FROM, 6, 6));
    for order in ORDERS {
        let params = store(3);
        let root = Scope::root(&params, Origin::Old);
        let scopes = (&root, &root.frozen());
        let block = SeparableConv::new(scopes, FROM, TO, ConvConfig::new(3), NormConfig::FIXED, order);
        let y = block.and_then(|block| block.forward(&x, &Pass::training(1))).expect("a forward pass");
        // And the kernels times the scales.
        let kernels = (8 * FROM * 9) as u64;
        assert_eq!(graph_bytes(&y), 8 * (FROM + TO) as u64 * 36 + kernels, "{order:?}");
    }
}

#[test]
fn a_recording_has_both_convolutions() {
    for (order, kinds) in [
        (Rectified::Before, ["relu + depthwise 3x3 stride 2 dilation 2 + norm", "conv 1x1 + norm"]),
        (Rectified::After, ["depthwise 3x3 stride 2 dilation 2 + norm + relu", "conv 1x1 + norm + relu"]),
    ] {
        let params = store(3);
        let root = Scope::root(&params, Origin::Old);
        let c = ConvConfig::new(3).stride(2).dilation(2);
        let block = SeparableConv::new((&root, &root.frozen()), FROM, TO, c, NormConfig::FIXED, order);
        let pass = Pass::recording();
        block.and_then(|block| block.forward(&Numbers(3).tensor((1, FROM, 8, 8)), &pass)).expect("a forward pass");
        let recording = pass.into_recording();
        assert_eq!(recording.names(&params.borrow()), ["conv_dw", "conv_pw"]);
        for (index, (run, kind)) in recording.runs.iter().zip(kinds).enumerate() {
            assert_eq!(run.kind, kind);
            let (to, weights) = [(FROM, 9 * FROM), (TO, FROM * TO)][index];
            assert_eq!(run.output.shape, [1, to, 4, 4]);
            assert_eq!((run.parameters, run.trainable), (weights + 2 * to, weights), "norms are frozen");
            assert_eq!(run.multiply_adds, (weights * 16) as u64);
        }
    }
}
