//! Elementwise operations: values against candle's own, gradients against finite differences, edges by hand.

mod ops_support;

use candle_core::{DType, Device, Result, Tensor, Var};
use ops_support::{Numbers, check_gradients, distance, values};
use proptest::prelude::*;
use wseg_cuda_runner::ops::{self, Binary, binary};

type Extents = (usize, usize, usize, usize);

/// Two shapes that broadcast: extents and, for each, whether one of the operands has 1 instead.
fn operands() -> impl Strategy<Value = (Extents, Extents)> {
    let extent = |largest: usize| (1..=largest, 0..6u8);
    (extent(3), extent(3), extent(5), extent(6)).prop_map(|(n, c, h, w)| {
        let own = |(extent, kept): (usize, u8), one: u8| if kept == one { 1 } else { extent };
        ((own(n, 0), own(c, 0), own(h, 0), own(w, 0)), (own(n, 1), own(c, 1), own(h, 1), own(w, 1)))
    })
}

/// Away from 0, where a quotient or a power has no slope: 0.5..1.5, and 2 more where `upper`.
fn positive(numbers: &mut Numbers, shape: Extents, upper: bool) -> Tensor {
    numbers.tensor(shape).affine(0.5, if upper { 3.0 } else { 1.0 }).expect("an affine map")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn binary_operations_are_candles((a, b) in operands(), seed: u64) {
        let mut numbers = Numbers(seed);
        let (a, b) = (numbers.tensor(a), numbers.tensor(b));
        for dtype in [DType::F64, DType::F32] {
            let (a, b) = (a.to_dtype(dtype).expect("a"), b.to_dtype(dtype).expect("b"));
            for (op, expected) in [
                (Binary::Add, a.broadcast_add(&b)),
                (Binary::Sub, a.broadcast_sub(&b)),
                (Binary::Mul, a.broadcast_mul(&b)),
                (Binary::Div, a.broadcast_div(&b)),
                (Binary::Maximum, a.broadcast_maximum(&b)),
                (Binary::Greater, a.broadcast_gt(&b).and_then(|t| t.to_dtype(dtype))),
            ] {
                let got = binary(op, &a, &b).expect("shapes that broadcast");
                prop_assert_eq!(got.dtype(), dtype);
                prop_assert_eq!(distance(&got, &expected.expect("candle's")), 0.0, "{:?}", op);
            }
        }
    }

    #[test]
    fn binary_gradients_are_difference_quotients((a, b) in operands(), seed: u64) {
        let mut numbers = Numbers(seed);
        // No element of the first is near one of the second, where the maximum has a corner.
        let inputs = [positive(&mut numbers, a, false), positive(&mut numbers, b, seed % 2 == 0)];
        for op in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div] {
            check_gradients(|t| binary(op, &t[0], &t[1]), &inputs, 1e-7);
        }
        let apart = [inputs[0].clone(), (&inputs[1] + 10.0).expect("a sum")];
        check_gradients(|t| binary(Binary::Maximum, &t[0], &t[1]), &apart, 1e-7);
        check_gradients(|t| binary(Binary::Maximum, &t[1], &t[0]), &apart, 1e-7);
    }

    #[test]
    fn unary_gradients_are_difference_quotients(seed: u64) {
        let x = positive(&mut Numbers(seed), (2, 3, 4, 5), false);
        let negative = x.neg().expect("a negation");
        check_gradients(|t| ops::exp(&t[0]), std::slice::from_ref(&x), 1e-7);
        check_gradients(|t| ops::ln(&t[0]), std::slice::from_ref(&x), 1e-7);
        check_gradients(|t| ops::sqrt(&t[0]), std::slice::from_ref(&x), 1e-7);
        for exponent in [0.0, 0.5, 1.0, 3.0, -1.5] {
            check_gradients(|t| ops::powf(&t[0], exponent), std::slice::from_ref(&x), 1e-6);
        }
        for x in [x, negative] {
            check_gradients(|t| ops::abs(&t[0]), std::slice::from_ref(&x), 1e-7);
            check_gradients(|t| ops::relu(&t[0]), &[x], 1e-7);
        }
    }

    #[test]
    fn softmax_gradients_are_difference_quotients(shape in (1..3usize, 1..5usize, 1..4usize, 1..4usize), seed: u64) {
        let x = (Numbers(seed).tensor(shape) * 3.0).expect("a product");
        check_gradients(|t| ops::softmax(&t[0]), std::slice::from_ref(&x), 1e-7);
        check_gradients(|t| ops::log_softmax(&t[0]), &[x], 1e-7);
    }

    #[test]
    fn dropout_gradients_are_difference_quotients(seed: u64) {
        let mut numbers = Numbers(seed);
        let x = numbers.tensor((2, 3, 4, 5));
        for mask in [(2, 3, 4, 5), (2, 3, 1, 1)] {
            let mask = numbers.tensor(mask).gt(0.0).and_then(|m| m.to_dtype(DType::F64)).expect("a mask");
            check_gradients(|t| ops::dropout(&t[0], &mask), std::slice::from_ref(&x), 1e-7);
            let expected = x.broadcast_mul(&mask).expect("a product");
            prop_assert_eq!(distance(&ops::dropout(&x, &mask).expect("dropout"), &expected), 0.0);
        }
    }
}

#[test]
fn exp_in_f32_is_right_to_two_units_in_the_last_place() -> Result<()> {
    let x: Vec<f32> = (-8730..8872).map(|i| i as f32 * 0.01).collect();
    let length = x.len();
    let y = values(&ops::exp(&Tensor::from_vec(x.clone(), (1, 1, 1, length), &Device::Cpu)?)?);
    for (x, y) in x.into_iter().zip(y) {
        let expected = f64::from(x).exp();
        assert!((y - expected).abs() <= 2.0 * 1.2e-7 * expected, "exp({x}) = {y}, not {expected}");
    }
    let edges = Tensor::new(&[[[[0f32, -1000.0, 1000.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN]]]], &Device::Cpu)?;
    let edges = values(&ops::exp(&edges)?);
    assert_eq!(edges[..5], [1.0, 0.0, f64::INFINITY, 0.0, f64::INFINITY]);
    assert!(edges[5].is_nan());
    Ok(())
}

#[test]
fn softmax_is_finite_for_saturated_scores() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let x = Tensor::new(&[1000f32, -1000.0, 0.0], &Device::Cpu)?.reshape((1, 3, 1, 1))?.to_dtype(dtype)?;
        assert_eq!(values(&ops::softmax(&x)?), [1.0, 0.0, 0.0]);
        assert_eq!(values(&ops::log_softmax(&x)?), [0.0, -2000.0, -1000.0]);
    }
    Ok(())
}

/// More pixels than are worked on at once, and a count that fills no vector.
#[test]
fn softmax_is_the_definition_on_a_large_map() -> Result<()> {
    let x = (Numbers(1).tensor((2, 7, 37, 43)) * 5.0)?;
    let exponentials = x.exp()?;
    let expected = exponentials.broadcast_div(&exponentials.sum_keepdim(1)?)?;
    assert!(distance(&ops::softmax(&x)?, &expected) < 1e-15);
    assert!(distance(&ops::log_softmax(&x)?, &expected.log()?) < 1e-13);
    let single = x.to_dtype(DType::F32)?;
    assert!(distance(&ops::softmax(&single)?, &expected) < 1e-6);
    assert!(distance(&ops::log_softmax(&single)?, &expected.log()?) < 1e-5);
    Ok(())
}

/// The gradient of `f` at `x` for a cotangent of ones.
fn slope(f: impl Fn(&Tensor) -> Result<Tensor>, x: f64) -> Result<f64> {
    let x = Var::new(&[[[[x]]]], &Device::Cpu)?;
    let gradients = f(&x)?.sum_all()?.backward()?;
    Ok(values(gradients.get(&x).expect("a gradient"))[0])
}

#[test]
fn gradients_at_corners_and_poles_are_finite() -> Result<()> {
    assert_eq!(slope(ops::relu, 0.0)?, 0.0);
    assert_eq!(slope(ops::abs, 0.0)?, 0.0);
    assert_eq!(slope(ops::sqrt, 0.0)?, 0.0);
    assert_eq!(slope(|x| ops::powf(x, 0.0), 0.0)?, 0.0);
    assert_eq!(slope(|x| ops::powf(x, 1.0), 0.0)?, 1.0);
    assert_eq!(slope(|x| ops::powf(x, 3.0), 0.0)?, 0.0);
    let zero = Tensor::zeros((1, 1, 1, 1), DType::F64, &Device::Cpu)?;
    assert_eq!(slope(|x| binary(Binary::Maximum, x, &zero), 0.0)?, 0.5);
    // A factor 0 stops the gradient of a pole.
    assert_eq!(slope(|x| binary(Binary::Mul, &ops::powf(x, 0.5)?, &zero), 0.0)?, 0.0);
    Ok(())
}

#[test]
fn binary_computes_no_gradient_for_what_is_not_tracked() -> Result<()> {
    let mut numbers = Numbers(4);
    let (a, b) = (numbers.tensor((1, 2, 3, 4)), Var::from_tensor(&numbers.tensor((1, 2, 1, 1)))?);
    let gradients = binary(Binary::Mul, &a, &b)?.sum_all()?.backward()?;
    assert!(gradients.get(&a).is_none());
    assert!(distance(gradients.get(&b).expect("a gradient"), &a.sum_keepdim((2, 3))?) < 1e-14);
    Ok(())
}

#[test]
fn shapes_that_do_not_go_together_are_refused() {
    let mut numbers = Numbers(0);
    let (a, b) = (numbers.tensor((1, 2, 3, 4)), numbers.tensor((1, 3, 3, 4)));
    assert!(binary(Binary::Add, &a, &b).is_err());
    assert!(ops::dropout(&a, &b).is_err());
    assert!(ops::softmax(&numbers.tensor((1, 0, 3, 4))).is_err());
    assert!(ops::relu(&a.to_dtype(DType::U8).expect("a conversion")).is_err());
}

#[test]
fn relu_does_not_hide_a_nan() -> Result<()> {
    let x = Tensor::new(&[f64::NAN, -1.0, 0.0, 2.0], &Device::Cpu)?.reshape((1, 1, 2, 2))?;
    let one = Tensor::new(&[1.0], &Device::Cpu)?;
    let nothing = Tensor::new(&[0.0], &Device::Cpu)?;
    let kernel = Tensor::new(&[1.0], &Device::Cpu)?.reshape((1, 1, 1, 1))?;
    for rectified in [
        ops::relu(&x)?,
        ops::scale_shift(&x, &one, &nothing, true)?,
        ops::conv2d_affine(&x, &kernel, &one, &nothing, true, ops::Conv2d::default())?,
    ] {
        let rectified = values(&rectified);
        assert!(rectified[0].is_nan(), "{rectified:?}");
        assert_eq!(rectified[1..], [0.0, 0.0, 2.0]);
    }
    Ok(())
}
