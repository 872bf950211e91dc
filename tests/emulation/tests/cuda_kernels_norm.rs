//! Norms and what follows a convolution, against the CPU's operations.
#![cfg(emulated)]

mod support;

use candle_core::{DType, Result};
use support::{ALL, SHAPES, gradients, in_any_order, memory, near, numbers, reference, tensor, values, variable};
use wseg_cuda_runner::ops::{
    self, Binary, Conv2d,
    kernels::norm::{Maps, weight_scale},
};
use wseg_tests::sample::Sample;

#[test]
fn scale_and_shift_and_their_gradients_are_the_cpus() -> Result<()> {
    for (index, &[n, channels, h, w]) in SHAPES.iter().enumerate() {
        for (number, (dtype, tolerance)) in ALL.into_iter().enumerate() {
            let relu = (index + number) % 2 == 0;
            let residual = number == 1 || index % 2 == 0;
            let dims = [n, channels, h, w];
            let mut sample = Sample::new((8 * index + number) as u64);
            let x = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let other = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let scale = numbers(&mut sample, DType::F32, &[channels], 0.5, 2.0);
            let shift = numbers(&mut sample, DType::F32, &[channels], -0.5, 0.5);
            let cotangent = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let vector = |values| variable(dtype, &[channels], values);
            let (x_var, scale_var, shift_var) = (variable(dtype, &dims, &x)?, vector(&scale)?, vector(&shift)?);
            let other_var = variable(dtype, &dims, &other)?;
            let maps = Maps { n, channels, pixels: h * w, relu };
            let plain = ops::scale_shift(&x_var, &scale_var, &shift_var, relu && !residual)?;
            let y = match residual {
                true if relu => ops::relu(&ops::binary(Binary::Add, &plain, &other_var)?)?,
                true => ops::binary(Binary::Add, &plain, &other_var)?,
                false => plain,
            };
            // The output as the machine stores it: where it is cut decides which gradients pass.
            let results = in_any_order(|machine| {
                let (x, dy) = (memory(dtype, &x)?, memory(dtype, &cotangent)?);
                let (scale, shift) = (memory(reference(dtype), &scale)?, memory(reference(dtype), &shift)?);
                let other = memory(dtype, &other)?;
                let y = maps.scale_shift(machine, &x, [&scale, &shift], residual.then_some(&other))?;
                let [products, plain] = maps.sums(machine, [&x, &y, &dy])?;
                let [passed, scaled] = maps.rectify_both(machine, &y, &dy, &scale)?;
                let also = [maps.rectify(machine, &y, &dy)?, maps.rectify_scaled(machine, &y, &dy, &scale)?];
                assert_eq!([also[0].read()?, also[1].read()?], [passed.read()?, scaled.read()?]);
                Ok(vec![y, scaled, passed, products, plain])
            })?;
            let of = [&x_var, &other_var, &scale_var, &shift_var];
            let expected = gradients(&y, &cotangent, &of)?;
            near("output", &results[0], &values(&y)?, tolerance, 1.0);
            near("gradient of x", &results[1], &expected[0], tolerance, 1.0);
            if residual {
                near("gradient of the residual", &results[2], &expected[1], tolerance, 1.0);
            }
            near("gradient of the scale", &results[3], &expected[2], tolerance, 1.0);
            near("gradient of the shift", &results[4], &expected[3], tolerance, 1.0);
        }
    }
    Ok(())
}

#[test]
fn batch_norm_and_its_gradients_are_the_cpus() -> Result<()> {
    for (index, &[n, channels, h, w]) in SHAPES.iter().enumerate() {
        for (number, (dtype, tolerance)) in ALL.into_iter().enumerate() {
            let relu = (index + number) % 2 == 0;
            // Far from 0, where a sum of squares would lose every digit.
            let centre = if dtype == DType::BF16 { 1.0 } else { 100.0 };
            let dims = [n, channels, h, w];
            let mut sample = Sample::new((8 * index + number) as u64);
            let x = numbers(&mut sample, dtype, &dims, centre - 1.0, centre + 1.0);
            let gamma = numbers(&mut sample, DType::F32, &[channels], 0.5, 2.0);
            let beta = numbers(&mut sample, DType::F32, &[channels], -0.5, 0.5);
            let mut cotangent = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let vector = |values| variable(DType::F64, &[channels], values);
            // In f64: the f32 of the CPU is no measure for inputs far from 0.
            let (x_var, gamma_var, beta_var) = (variable(DType::F64, &dims, &x)?, vector(&gamma)?, vector(&beta)?);
            let eps = 1e-5;
            let expected = ops::batch_norm_train(&x_var, &gamma_var, &beta_var, eps, relu)?;
            // Where rounding decides on which side of 0 an output falls, no gradient is asked for.
            let close = values(&expected.output)?.iter().map(|y| y.abs() < 0.01).collect::<Vec<_>>();
            cotangent.iter_mut().zip(close).for_each(|(dy, close)| *dy = if close { 0.0 } else { *dy });
            let maps = Maps { n, channels, pixels: h * w, relu };
            let results = in_any_order(|machine| {
                let (x, dy) = (memory(dtype, &x)?, memory(dtype, &cotangent)?);
                let (gamma, beta) = (memory(reference(dtype), &gamma)?, memory(reference(dtype), &beta)?);
                let normal = maps.batch_norm(machine, &x, [&gamma, &beta], eps)?;
                let statistics = [&gamma, &normal.mean, &normal.variance];
                let [dx, dgamma, dbeta] =
                    maps.batch_norm_gradient(machine, [&x, &normal.output, &dy], statistics, eps)?;
                Ok(vec![normal.output, normal.mean, normal.variance, dx, dgamma, dbeta])
            })?;
            let wanted = gradients(&expected.output, &cotangent, &[&x_var, &gamma_var, &beta_var])?;
            // One sample has no variance: what is divided by it is all rounding.
            let slope = if n * h * w == 1 { 1.0 / eps.sqrt() } else { centre };
            near("output", &results[0], &values(&expected.output)?, tolerance * slope, 1.0);
            near("mean", &results[1], &values(&expected.mean)?, tolerance, 1.0);
            near("variance", &results[2], &values(&expected.variance)?, tolerance * centre, 1.0);
            near("gradient of x", &results[3], &wanted[0], tolerance * slope, 1.0);
            near("gradient of gamma", &results[4], &wanted[1], tolerance * slope, 1.0);
            near("gradient of beta", &results[5], &wanted[2], tolerance, 1.0);
        }
    }
    Ok(())
}

#[test]
fn the_gradient_of_a_scaled_convolution_follows_from_the_weights() -> Result<()> {
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
        let (outputs, inputs) = (5, 37);
        let mut sample = Sample::new(1);
        let weight = numbers(&mut sample, dtype, &[outputs, inputs, 3, 3], -1.0, 1.0);
        let scale = numbers(&mut sample, dtype, &[outputs], 0.5, 2.0);
        let x = tensor(dtype, &[2, inputs, 6, 5], &numbers(&mut sample, dtype, &[2, inputs, 6, 5], -1.0, 1.0))?;
        let cotangent = numbers(&mut sample, dtype, &[2, outputs, 4, 3], -1.0, 1.0);
        let var = variable(dtype, &[outputs, inputs, 3, 3], &weight)?;
        let scale_var = variable(dtype, &[outputs], &scale)?;
        let shift = tensor(dtype, &[outputs], &vec![0.0; outputs])?;
        let p = Conv2d { stride: 1, padding: 0, dilation: 1 };
        let bare = gradients(&ops::conv2d(&x, &var, None, p)?, &cotangent, &[&var])?.remove(0);
        let y = ops::conv2d_affine(&x, &var, &scale_var, &shift, false, p)?;
        let expected = gradients(&y, &cotangent, &[&var, &scale_var])?;
        let results = in_any_order(|machine| {
            let (weight, bare) = (memory(dtype, &weight)?, memory(dtype, &bare)?);
            let [dweight, dscale] = weight_scale(machine, [&weight, &bare], &memory(dtype, &scale)?, outputs)?;
            Ok(vec![dweight, dscale])
        })?;
        near("gradient of the weights", &results[0], &expected[0], tolerance, 1.0);
        near("gradient of the scale", &results[1], &expected[1], tolerance, 10.0);
    }
    Ok(())
}
