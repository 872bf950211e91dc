//! Cross entropy against the class of each pixel: against its definition, its slopes, and what is ignored.

mod ops_support;

use candle_core::{DType, Device, Tensor};
use ops_support::{Numbers, check_gradients, distance, values};
use wseg_cuda_runner::{dense::Dense, ops};

/// Labels of `[n, 1, h, w]` pixels, a seventh of them ignored.
fn labels(n: usize, classes: usize, h: usize, w: usize) -> Tensor {
    let label = |at: usize| if at % 7 == 3 { ops::IGNORED } else { (at * 31 % 17 % classes) as u8 };
    Tensor::from_vec((0..n * h * w).map(label).collect::<Vec<u8>>(), (n, 1, h, w), &Device::Cpu).expect("labels")
}

/// One-hot, all zero where ignored.
fn one_hot(labels: &Tensor, classes: usize) -> Tensor {
    let (n, _, h, w) = labels.dims4().expect("a map");
    let labels: Vec<u8> = labels.flatten_all().and_then(|l| l.to_vec1()).expect("bytes");
    let mut target = vec![0.0_f64; n * classes * h * w];
    for (at, &label) in labels.iter().enumerate().filter(|(_, label)| **label != ops::IGNORED) {
        let (sample, pixel) = (at / (h * w), at % (h * w));
        target[(sample * classes + usize::from(label)) * h * w + pixel] = 1.0;
    }
    Tensor::from_vec(target, (n, classes, h, w), &Device::Cpu).expect("a target")
}

/// Sizes below and above the pixels that are worked on at once.
#[test]
fn it_is_its_definition_value_and_gradient() {
    for (n, classes, h, w) in [(1, 2, 1, 1), (2, 3, 5, 4), (1, 4, 37, 29)] {
        let weights: Vec<f64> = (0..classes).map(|class| 0.25 + class as f64).collect();
        let logits = Numbers(n as u64 + 1).tensor((n, classes, h, w)).affine(6.0, 0.0).expect("logits");
        let labels = labels(n, classes, h, w);
        let variable = candle_core::Var::from_tensor(&logits).expect("a variable");
        let fast = ops::pixel_cross_entropy(variable.as_tensor(), &labels, &weights).expect("a loss");
        let slow = wseg_core::loss::cross_entropy(
            &Dense::new(variable.as_tensor().clone()).expect("a map"),
            &Dense::new(one_hot(&labels, classes)).expect("a map"),
            &Dense::new(Tensor::from_vec(weights, (1, classes, 1, 1), &Device::Cpu).expect("weights")).expect("a map"),
        );
        let slow = slow.expect("a loss").into_tensor();
        assert!(distance(&fast, &slow) < 1e-12 * values(&slow)[0].max(1.0), "{n} {classes} {h} {w}");
        let slope = |loss: &Tensor| {
            let loss = loss.affine(3.0, 0.0).and_then(|loss| loss.backward()).expect("a backward pass");
            loss.get(variable.as_tensor()).expect("a gradient").clone()
        };
        assert!(distance(&slope(&fast), &slope(&slow)) < 1e-12, "{n} {classes} {h} {w}");
    }
}

#[test]
fn its_gradient_is_its_slope() {
    let labels = labels(2, 3, 3, 5);
    let loss = |inputs: &[Tensor]| ops::pixel_cross_entropy(&inputs[0], &labels, &[1.0, 0.5, 2.0]);
    check_gradients(loss, &[Numbers(3).tensor((2, 3, 3, 5))], 1e-7);
}

#[test]
fn where_nothing_is_labelled_loss_and_gradient_are_zero_and_scores_may_be_huge() {
    let ignored = Tensor::full(ops::IGNORED, (1, 1, 2, 2), &Device::Cpu).expect("labels");
    for scale in [1.0, 1e3] {
        let logits = Numbers(4).tensor((1, 3, 2, 2)).affine(scale, 0.0).and_then(|l| l.to_dtype(DType::F32));
        let logits = candle_core::Var::from_tensor(&logits.expect("logits")).expect("a variable");
        let loss = ops::pixel_cross_entropy(logits.as_tensor(), &ignored, &[1.0; 3]).expect("a loss");
        assert_eq!(values(&loss), [0.0]);
        let slope = loss.backward().expect("a backward pass");
        assert!(values(slope.get(logits.as_tensor()).expect("a gradient")).iter().all(|&slope| slope == 0.0));
        let labelled = labels(1, 3, 2, 2);
        let loss = ops::pixel_cross_entropy(logits.as_tensor(), &labelled, &[1.0; 3]).expect("a loss");
        assert!(values(&loss)[0].is_finite() && values(&loss)[0] > 0.0);
        let slope = loss.backward().expect("a backward pass");
        assert!(values(slope.get(logits.as_tensor()).expect("a gradient")).iter().all(|slope| slope.is_finite()));
    }
    let five = Tensor::new(&[0_u8, 1, ops::IGNORED, 2, 2], &Device::Cpu).expect("labels");
    assert_eq!(ops::pixel_weight(&five, &[1.0, 10.0, 100.0]).expect("a weight"), 211.0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let logits = Numbers(5).tensor((1, 3, 2, 2));
    let refused = |labels: &Tensor, weights: &[f64]| ops::pixel_cross_entropy(&logits, labels, weights).unwrap_err();
    let labels = labels(1, 3, 2, 2);
    refused(&labels, &[1.0; 2]);
    refused(&labels.to_dtype(DType::U32).expect("labels"), &[1.0; 3]);
    refused(&labels.narrow(3, 0, 1).expect("labels"), &[1.0; 3]);
    let foreign = Tensor::full(7_u8, (1, 1, 2, 2), &Device::Cpu).expect("labels");
    assert!(refused(&foreign, &[1.0; 3]).to_string().contains("label 7 of 3 classes"));
}
