//! Gradient descent in place, against the formula written out.

mod ops_support;

use candle_core::{DType, Result, Tensor, Var};
use ops_support::{Numbers, values};
use wseg_cuda_runner::ops::{SgdStep, sgd_step};

/// More elements than a thread takes at a time.
const ELEMENTS: usize = 40_000;

#[test]
fn a_step_is_the_formula() -> Result<()> {
    for (dtype, tolerance) in [(DType::F64, 1e-15), (DType::F32, 1e-6)] {
        let mut numbers = Numbers(4);
        let weight = Var::from_tensor(&numbers.tensor(ELEMENTS).to_dtype(dtype)?)?;
        let velocity = weight.as_detached_tensor().zeros_like()?;
        let (mut expected, mut speeds) = (values(&weight), vec![0.0; ELEMENTS]);
        for rate in [0.1, 0.05, 0.2] {
            let step = SgdStep { momentum: 0.9, decay: 0.01, rate };
            let gradient = numbers.tensor(ELEMENTS);
            sgd_step(&weight, &velocity, &gradient.to_dtype(dtype)?, step)?;
            for ((weight, speed), gradient) in expected.iter_mut().zip(&mut speeds).zip(values(&gradient)) {
                *speed = step.momentum * *speed + gradient + step.decay * *weight;
                *weight -= rate * *speed;
            }
        }
        for (tensor, expected) in [(weight.as_tensor(), &expected), (&velocity, &speeds)] {
            let far = values(tensor).iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far <= tolerance, "{dtype:?} {far:e}");
        }
    }
    Ok(())
}

/// A gradient may be a view, such as a transposed matrix.
#[test]
fn a_gradient_need_not_be_contiguous() -> Result<()> {
    let mut numbers = Numbers(5);
    let weight = Var::from_tensor(&numbers.tensor((3, 5)))?;
    let (before, gradient) = (values(&weight), numbers.tensor((5, 3)));
    let velocity = weight.as_detached_tensor().zeros_like()?;
    sgd_step(&weight, &velocity, &gradient.t()?, SgdStep { momentum: 0.0, decay: 0.0, rate: 1.0 })?;
    let gradient = values(&gradient.t()?.contiguous()?);
    let expected: Vec<f64> = before.iter().zip(gradient).map(|(weight, gradient)| weight - gradient).collect();
    assert_eq!(values(&weight), expected);
    Ok(())
}

#[test]
fn other_shapes_and_types_are_refused() -> Result<()> {
    let mut numbers = Numbers(6);
    let weight = Var::from_tensor(&numbers.tensor((2, 3)))?;
    let velocity = numbers.tensor((2, 3));
    let step = SgdStep { momentum: 0.9, decay: 0.0, rate: 0.1 };
    let refused = |velocity: &Tensor, gradient: &Tensor| sgd_step(&weight, velocity, gradient, step).is_err();
    assert!(refused(&velocity, &numbers.tensor((3, 2))));
    assert!(refused(&numbers.tensor(6), &numbers.tensor((2, 3))));
    assert!(refused(&velocity, &velocity.to_dtype(DType::F32)?));
    Ok(())
}
