//! Elementwise kernels and the optimiser's, against the CPU's operations.
#![cfg(emulated)]

mod support;

use candle_core::{DType, Result, Var};
use support::{ALL, REALS, SHAPES, gradients, in_any_order, memory, near, numbers, tensor, values, variable};
use wseg_cuda_runner::ops::{
    self, Binary, SgdStep,
    kernels::{
        binary::{Broadcast, Side},
        sgd, unary,
    },
};
use wseg_tests::sample::Sample;

#[test]
fn functions_of_one_tensor_are_the_cpus() -> Result<()> {
    type Function = fn(&candle_core::Tensor) -> Result<candle_core::Tensor>;
    let functions: [(&str, f64, Function, f64); 9] = [
        ("relu", 1.0, ops::relu, -1.0),
        ("exp", 1.0, ops::exp, -3.0),
        ("ln", 1.0, ops::ln, 0.1),
        ("sqrt", 1.0, ops::sqrt, 0.0),
        ("abs", 1.0, ops::abs, -1.0),
        ("powf", 3.0, |x| ops::powf(x, 3.0), 0.0),
        ("powf", 2.5, |x| ops::powf(x, 2.5), 0.1),
        ("powf", 1.0, |x| ops::powf(x, 1.0), 0.0),
        ("powf", 0.0, |x| ops::powf(x, 0.0), 0.0),
    ];
    for (number, (name, exponent, function, low)) in functions.into_iter().enumerate() {
        for (dtype, tolerance) in ALL {
            // More than one block.
            let dims = [1, 1, 1, 1 + 300 * number];
            let mut sample = Sample::new(number as u64);
            let mut x = numbers(&mut sample, dtype, &dims, low, 2.0);
            let mut cotangent = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            x.iter_mut().step_by(5).for_each(|x| *x = if name == "ln" { 0.5 } else { 0.0 });
            cotangent.iter_mut().step_by(3).for_each(|cotangent| *cotangent = 0.0);
            let var = variable(dtype, &dims, &x)?;
            let y = function(&var)?;
            let results = in_any_order(|machine| {
                let x = memory(dtype, &x)?;
                let y = unary::forward(machine, name, exponent, &x)?;
                let dx = unary::backward(machine, name, exponent, [&x, &y, &memory(dtype, &cotangent)?])?;
                Ok(vec![y, dx])
            })?;
            near(name, &results[0], &values(&y)?, tolerance, 1.0);
            // The slope of a root is made from its rounded value.
            let expected = gradients(&y, &cotangent, &[&var])?;
            near(name, &results[1], &expected[0], 2.0 * tolerance, 1.0);
        }
    }
    Ok(())
}

#[test]
fn a_nan_is_not_cut_away() -> Result<()> {
    let results = in_any_order(|machine| {
        Ok(vec![unary::forward(machine, "relu", 1.0, &memory(DType::F32, &[f64::NAN, -1.0])?)?])
    })?;
    assert!(results[0][0].is_nan() && results[0][1] == 0.0);
    Ok(())
}

#[test]
fn functions_of_two_tensors_and_their_gradients_are_the_cpus() -> Result<()> {
    let functions = [
        ("add", Binary::Add),
        ("sub", Binary::Sub),
        ("mul", Binary::Mul),
        ("div", Binary::Div),
        ("maximum", Binary::Maximum),
        ("gt", Binary::Greater),
    ];
    // Which extents of each operand are 1.
    let kinds: [([usize; 4], [usize; 4]); 9] = [
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([0, 0, 0, 0], [1, 1, 1, 1]),
        ([0, 0, 0, 0], [0, 0, 1, 1]),
        ([0, 1, 0, 0], [0, 0, 0, 0]),
        ([1, 0, 1, 1], [0, 0, 0, 0]),
        ([0, 0, 1, 0], [0, 0, 0, 1]),
        ([1, 0, 0, 1], [0, 1, 1, 0]),
        ([0, 1, 0, 1], [0, 0, 0, 0]),
        ([1, 1, 0, 0], [0, 0, 1, 1]),
    ];
    let mut count = 0;
    for &extents in &SHAPES[1..] {
        for (number, &(a_ones, b_ones)) in kinds.iter().enumerate() {
            count += 1;
            let (name, op) = functions[(count + number) % functions.len()];
            let (dtype, tolerance) = ALL[count % ALL.len()];
            let own = |ones: [usize; 4]| {
                let mut dims = extents;
                dims.iter_mut().zip(ones).for_each(|(dim, one)| *dim = if one == 1 { 1 } else { *dim });
                dims
            };
            let (a_dims, b_dims) = (own(a_ones), own(b_ones));
            let mut sample = Sample::new(count as u64);
            let mut a = numbers(&mut sample, dtype, &a_dims, 0.5, 2.0);
            let b = numbers(&mut sample, dtype, &b_dims, 0.5, 2.0);
            a.iter_mut().zip(&b).step_by(4).for_each(|(a, &b)| *a = b);
            let (a_var, b_var) = (variable(dtype, &a_dims, &a)?, variable(dtype, &b_dims, &b)?);
            let y = ops::binary(op, &a_var, &b_var)?;
            let cotangent = numbers(&mut sample, dtype, y.dims(), -1.0, 1.0);
            let call = Broadcast { name, a: a_dims, b: b_dims };
            let results = in_any_order(|machine| {
                let (a, b, dy) = (memory(dtype, &a)?, memory(dtype, &b)?, memory(dtype, &cotangent)?);
                Ok(vec![
                    call.forward(machine, &a, &b)?,
                    call.backward(machine, Side::A, [&a, &b, &dy])?,
                    call.backward(machine, Side::B, [&a, &b, &dy])?,
                ])
            })?;
            let what = format!("{name} {dtype:?} of {a_dims:?} and {b_dims:?}");
            near(&what, &results[0], &values(&y)?, tolerance, 1.0);
            if op != Binary::Greater {
                let expected = gradients(&y, &cotangent, &[&a_var, &b_var])?;
                near(&what, &results[1], &expected[0], tolerance, 1.0);
                near(&what, &results[2], &expected[1], tolerance, 1.0);
            }
        }
    }
    Ok(())
}

#[test]
fn dropout_is_a_product_whose_mask_may_stand_for_maps() -> Result<()> {
    for &[n, c, h, w] in &SHAPES {
        for mask_dims in [[n, c, h, w], [n, c, 1, 1]] {
            let mut sample = Sample::new(3);
            let x = numbers(&mut sample, DType::F32, &[n, c, h, w], -1.0, 1.0);
            let mask: Vec<f64> = (0..mask_dims.iter().product()).map(|_| 2.0 * sample.below(2) as f64).collect();
            let expected =
                ops::dropout(&tensor(DType::F32, &[n, c, h, w], &x)?, &tensor(DType::F32, &mask_dims, &mask)?)?;
            let call = Broadcast { name: "mul", a: [n, c, h, w], b: mask_dims };
            let results = in_any_order(|machine| {
                Ok(vec![call.forward(machine, &memory(DType::F32, &x)?, &memory(DType::F32, &mask)?)?])
            })?;
            near("dropout", &results[0], &values(&expected)?, 0.0, 0.0);
        }
    }
    Ok(())
}

#[test]
fn steps_of_many_tensors_are_the_cpus_one_by_one() -> Result<()> {
    for (dtype, tolerance) in REALS {
        // More than a launch has places for, some larger than a block does at once.
        let sizes: Vec<usize> = (0..70).map(|index| if index % 16 == 3 { 2500 + index } else { 1 + index }).collect();
        let mut sample = Sample::new(5);
        let tensors: Vec<[Vec<f64>; 3]> =
            sizes.iter().map(|&size| [0; 3].map(|_| numbers(&mut sample, dtype, &[size], -1.0, 1.0))).collect();
        let step = |index: usize| SgdStep {
            momentum: if index < 50 { 0.9 } else { 0.5 },
            decay: [5e-4, 0.0][index % 2],
            rate: 0.1 * index as f64,
        };
        let results = in_any_order(|machine| {
            let memories = tensors
                .iter()
                .map(|[weight, velocity, gradient]| {
                    Ok([memory(dtype, weight)?, memory(dtype, velocity)?, memory(dtype, gradient)?])
                })
                .collect::<Result<Vec<_>>>()?;
            let moved: Vec<_> = memories
                .iter()
                .enumerate()
                .map(|(index, [weight, velocity, gradient])| sgd::Tensor {
                    weight,
                    velocity,
                    gradient,
                    step: step(index),
                })
                .collect();
            sgd::step(machine, &moved)?;
            assert_eq!(machine.launches(), 3, "50 tensors of one momentum are 2 launches, 20 of another are one");
            Ok(memories.into_iter().flat_map(|[weight, velocity, _]| [weight, velocity]).collect())
        })?;
        for (index, [weight, velocity, gradient]) in tensors.iter().enumerate() {
            let dims = [sizes[index]];
            let weight = Var::from_tensor(&tensor(dtype, &dims, weight)?)?;
            let velocity = tensor(dtype, &dims, velocity)?;
            ops::sgd_step(&weight, &velocity, &tensor(dtype, &dims, gradient)?, step(index))?;
            near("weight", &results[2 * index], &values(&weight)?, tolerance, 1.0);
            near("velocity", &results[2 * index + 1], &values(&velocity)?, tolerance, 1.0);
        }
    }
    Ok(())
}
