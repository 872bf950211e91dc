//! Kernels that move, resize, pool and normalise maps, against the CPU's operations.
#![cfg(emulated)]

mod support;

use candle_core::{DType, Result};
use support::{ALL, REALS, SHAPES, gradients, in_any_order, memory, near, numbers, tensor, values, variable};
use wseg_core::{Corners, pseudo::Cutoff};
use wseg_cuda_runner::ops::{
    self,
    kernels::{depthwise::Depthwise, norm::Maps, pool::MaxPool, pseudo, resize::Resize, shift, softmax},
};
use wseg_tests::sample::Sample;

#[test]
fn resize_and_its_gradient_are_the_cpus() -> Result<()> {
    let sizes = [(1, 1), (2, 3), (7, 5), (16, 31), (33, 29), (40, 1), (1, 50), (65, 66)];
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (number, &to) in sizes.iter().enumerate() {
            let corners = [Corners::Aligned, Corners::HalfPixel][(index + number) % 2];
            let (dtype, tolerance) = ALL[(index + number) % ALL.len()];
            if to == (h, w) {
                continue;
            }
            // More planes than a thread does.
            let c = if index == 1 { 3 * c } else { c };
            let mut sample = Sample::new((8 * index + number) as u64);
            let x = numbers(&mut sample, dtype, &[n, c, h, w], -1.0, 1.0);
            let cotangent = numbers(&mut sample, dtype, &[n, c, to.0, to.1], -1.0, 1.0);
            let var = variable(dtype, &[n, c, h, w], &x)?;
            let y = ops::resize(&var, to.0, to.1, corners)?;
            let op = Resize { planes: n * c, from: (h, w), to, corners };
            let results = in_any_order(|machine| {
                let y = op.forward(machine, &memory(dtype, &x)?)?;
                let dx = op.backward(machine, &memory(dtype, &cotangent)?)?;
                Ok(vec![y, dx])
            })?;
            let what = format!("{corners:?} {dtype:?} from {h}x{w} to {to:?}");
            near(&what, &results[0], &values(&y)?, tolerance, 1.0);
            near(&what, &results[1], &gradients(&y, &cotangent, &[&var])?[0], tolerance, 1.0);
        }
    }
    Ok(())
}

#[test]
fn shift_and_mirror_and_their_gradients_are_the_cpus() -> Result<()> {
    let offsets = [(0, 1), (-1, 0), (3, -2), (-24, 24), (1000, -1000), (isize::MAX, isize::MIN)];
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (number, &(dy, dx)) in offsets.iter().enumerate() {
            let (dtype, tolerance) = ALL[(index + number) % ALL.len()];
            let mut sample = Sample::new(number as u64);
            let dims = [n, c, h, w];
            let x = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let cotangent = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let var = variable(dtype, &dims, &x)?;
            let results = in_any_order(|machine| {
                let (x, cotangent) = (memory(dtype, &x)?, memory(dtype, &cotangent)?);
                Ok(vec![
                    shift::shift(machine, &x, (h, w), (dy, dx), false)?,
                    shift::shift(machine, &cotangent, (h, w), (dy, dx), true)?,
                    shift::mirror(machine, &x, w)?,
                ])
            })?;
            let y = ops::shift(&var, dy, dx)?;
            near("shift", &results[0], &values(&y)?, 0.0, 1.0);
            let scale = results[1].iter().fold(1.0_f64, |peak, value| peak.max(value.abs()));
            near("gradient", &results[1], &gradients(&y, &cotangent, &[&var])?[0], tolerance, scale);
            near("mirror", &results[2], &values(&ops::mirror(&var)?)?, 0.0, 1.0);
        }
    }
    Ok(())
}

/// Values with many equal ones, and sometimes none that is a number.
fn coarse(sample: &mut Sample, count: usize, nan: bool) -> Vec<f64> {
    let mut values: Vec<f64> = (0..count).map(|_| sample.below(5) as f64 - 2.0).collect();
    if nan {
        values.iter_mut().skip(2).step_by(7).for_each(|value| *value = f64::NAN);
    }
    values
}

#[test]
fn max_pool_and_its_gradient_are_the_cpus() -> Result<()> {
    let pools =
        [(2, 2, 0, false), (3, 2, 1, false), (3, 1, 1, false), (3, 2, 0, true), (2, 3, 1, true), (5, 4, 2, false)];
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (number, &(kernel, stride, padding, ceil)) in pools.iter().enumerate() {
            if h.min(w) + 2 * padding < kernel {
                continue;
            }
            let (dtype, tolerance) = ALL[(index + number) % ALL.len()];
            let mut sample = Sample::new((8 * index + number) as u64);
            let x = coarse(&mut sample, n * c * h * w, number % 2 == 1);
            let var = variable(dtype, &[n, c, h, w], &x)?;
            let pool = if ceil { ops::max_pool2d_ceil } else { ops::max_pool2d };
            let y = pool(&var, kernel, stride, padding)?;
            let (_, _, rows, columns) = y.dims4()?;
            let cotangent = numbers(&mut sample, dtype, y.dims(), -1.0, 1.0);
            let to = (rows, columns);
            let op = MaxPool { planes: n * c, from: (h, w), to, kernel: (kernel, kernel), stride, padding };
            let results = in_any_order(|machine| {
                let x = memory(dtype, &x)?;
                let y = op.forward(machine, &x)?;
                let dx = op.backward(machine, [&x, &y, &memory(dtype, &cotangent)?])?;
                Ok(vec![y, dx])
            })?;
            near("pool", &results[0], &values(&y)?, 0.0, 0.0);
            let expected = pool_gradient(&x, [n, c, h, w], &values(&y)?, &cotangent, &op);
            near("gradient", &results[1], &expected, tolerance, 1.0);
        }
    }
    Ok(())
}

/// The gradient that the CPU's operation gives; candle's own sums beside it would spread a NaN of the forward pass.
fn pool_gradient(x: &[f64], [n, c, h, w]: [usize; 4], y: &[f64], dy: &[f64], op: &MaxPool) -> Vec<f64> {
    let mut dx = vec![0.0; x.len()];
    for plane in 0..n * c {
        for out in 0..op.to.0 * op.to.1 {
            let start = |out: usize| (out * op.stride) as isize - op.padding as isize;
            let inside = |from: isize, kernel: usize, extent: usize| {
                from.max(0) as usize..((from + kernel as isize) as usize).min(extent)
            };
            let rows = inside(start(out / op.to.1), op.kernel.0, h);
            let columns = inside(start(out % op.to.1), op.kernel.1, w);
            let pixels: Vec<usize> = rows.flat_map(|y| columns.clone().map(move |x| y * w + x)).collect();
            let map = &x[plane * h * w..];
            let largest = y[plane * op.to.0 * op.to.1 + out];
            let chosen = match largest.is_nan() {
                true => pixels.iter().rfind(|&&pixel| map[pixel].is_nan()),
                false => pixels.iter().find(|&&pixel| map[pixel] == largest),
            };
            if let Some(&pixel) = chosen {
                dx[plane * h * w + pixel] += dy[plane * op.to.0 * op.to.1 + out];
            }
        }
    }
    dx
}

#[test]
fn the_largest_of_a_map_and_its_gradient_are_the_cpus() -> Result<()> {
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (number, (dtype, _)) in ALL.into_iter().enumerate() {
            let mut sample = Sample::new((8 * index + number) as u64);
            let nan = number == 1;
            let x = coarse(&mut sample, n * c * h * w, nan);
            let var = variable(dtype, &[n, c, h, w], &x)?;
            let y = ops::global_max_pool(&var)?;
            let cotangent = numbers(&mut sample, dtype, y.dims(), -1.0, 1.0);
            let op = MaxPool { planes: n * c, from: (h, w), to: (1, 1), kernel: (h, w), stride: 1, padding: 0 };
            let results = in_any_order(|machine| {
                let x = memory(dtype, &x)?;
                let y = op.forward(machine, &x)?;
                let dx = op.backward(machine, [&x, &y, &memory(dtype, &cotangent)?])?;
                Ok(vec![y, dx])
            })?;
            near("largest", &results[0], &values(&y)?, 0.0, 0.0);
            let expected = pool_gradient(&x, [n, c, h, w], &values(&y)?, &cotangent, &op);
            near("gradient", &results[1], &expected, 0.0, 0.0);
            if !nan {
                near("the CPU's", &expected, &gradients(&y, &cotangent, &[&var])?[0], 0.0, 0.0);
            }
        }
    }
    Ok(())
}

#[test]
fn softmax_and_its_gradient_are_the_cpus() -> Result<()> {
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (number, size) in [1.0, 8.0, 1000.0].into_iter().enumerate() {
            let (dtype, tolerance) = REALS[(index + number) % REALS.len()];
            let dims = [n, if index == 1 { 21 } else { c }, h, w];
            let mut sample = Sample::new((8 * index + number) as u64);
            let x = numbers(&mut sample, dtype, &dims, -size, size);
            let cotangent = numbers(&mut sample, dtype, &dims, -1.0, 1.0);
            let var = variable(dtype, &dims, &x)?;
            for (name, function) in [("softmax", ops::softmax as fn(&_) -> _), ("log_softmax", ops::log_softmax)] {
                let y = function(&var)?;
                let results = in_any_order(|machine| {
                    let y = softmax::forward(machine, name, &memory(dtype, &x)?, dims[1], h * w)?;
                    let dy = memory(dtype, &cotangent)?;
                    let dx = softmax::backward(machine, name, [&y, &dy], dims[1], h * w)?;
                    Ok(vec![y, dx])
                })?;
                near(name, &results[0], &values(&y)?, tolerance, 1.0);
                near(name, &results[1], &gradients(&y, &cotangent, &[&var])?[0], tolerance, 1.0);
            }
        }
    }
    Ok(())
}

#[test]
fn pseudo_labels_are_the_cpus() -> Result<()> {
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        let (dtype, _) = REALS[index % REALS.len()];
        let mut sample = Sample::new(index as u64);
        let cutoff = Cutoff { low: sample.uniform(0.0, 0.5), background: 0.7, class: sample.uniform(0.2, 1.0) };
        let masks = numbers(&mut sample, dtype, &[n, c, h, w], 0.0, 1.0);
        let expected = ops::pseudo_labels(&tensor(dtype, &[n, c, h, w], &masks)?, &cutoff)?;
        let results =
            in_any_order(|machine| Ok(vec![pseudo::labels(machine, &memory(dtype, &masks)?, c, h * w, &cutoff)?]))?;
        near("labels", &results[0], &values(&expected)?, 0.0, 0.0);
    }
    Ok(())
}

#[test]
fn depthwise_convolution_is_one_convolution_a_channel() -> Result<()> {
    // Kernel rows and columns, stride, padding, dilation.
    let kinds = [((3, 3), 1, 1, 1), ((3, 3), 2, 1, 1), ((3, 3), 1, 2, 2), ((1, 5), 1, 4, 2), ((5, 3), 3, 2, 1)];
    for (index, &[n, c, h, w]) in SHAPES.iter().enumerate() {
        for (number, &(kernel, stride, padding, dilation)) in kinds.iter().enumerate() {
            let size = |extent: usize, kernel: usize| {
                Some((extent + 2 * padding).checked_sub(dilation * (kernel - 1) + 1)? / stride + 1)
            };
            let (Some(rows), Some(columns)) = (size(h, kernel.0), size(w, kernel.1)) else { continue };
            let (dtype, tolerance) = ALL[(index + number) % ALL.len()];
            let mut sample = Sample::new((8 * index + number) as u64);
            let x = numbers(&mut sample, dtype, &[n, c, h, w], -1.0, 1.0);
            let weight = numbers(&mut sample, DType::F32, &[c, 1, kernel.0, kernel.1], -1.0, 1.0);
            let cotangent = numbers(&mut sample, dtype, &[n, c, rows, columns], -1.0, 1.0);
            let (x_var, w_var) =
                (variable(dtype, &[n, c, h, w], &x)?, variable(dtype, &[c, 1, kernel.0, kernel.1], &weight)?);
            let cut = (number % 2 == 1, index % 2 == 1);
            let bias = (number != 0).then(|| numbers(&mut sample, DType::F32, &[c], -1.0, 1.0));
            let bias_var = variable(dtype, &[1, c, 1, 1], bias.as_deref().unwrap_or(&vec![0.0; c]))?;
            let input = if cut.0 { ops::relu(&x_var)? } else { x_var.as_tensor().clone() };
            let one = |channel: usize| {
                let p = ops::Conv2d { stride, padding, dilation };
                ops::conv2d(&input.narrow(1, channel, 1)?, &w_var.narrow(0, channel, 1)?, None, p)
            };
            let y = candle_core::Tensor::cat(&(0..c).map(one).collect::<Result<Vec<_>>>()?, 1)?;
            let y = ops::binary(ops::Binary::Add, &y, &bias_var)?;
            let y = if cut.1 { ops::relu(&y)? } else { y };
            let (from, to) = ((h, w), (rows, columns));
            let op = Depthwise { n, channels: c, from, to, kernel, stride, padding, dilation, cut };
            let results = in_any_order(|machine| {
                let (x, dy) = (memory(dtype, &x)?, memory(dtype, &cotangent)?);
                let weight = memory(support::reference(dtype), &weight)?;
                let bias = bias.as_deref().map(|bias| memory(support::reference(dtype), bias)).transpose()?;
                let y = op.forward(machine, &x, &weight, bias.as_ref())?;
                let maps = Maps { n, channels: c, pixels: rows * columns, relu: cut.1 };
                let dz = maps.rectify(machine, &y, &dy)?;
                Ok(vec![y, op.input_gradient(machine, &x, &weight, &dz)?, op.weight_gradient(machine, &x, &dz)?])
            })?;
            let expected = gradients(&y, &cotangent, &[&x_var, &w_var])?;
            let what = format!("{dtype:?} {kernel:?} {stride} {padding} {dilation} on {h}x{w}");
            near(&what, &results[0], &values(&y)?, tolerance, 1.0);
            near(&what, &results[1], &expected[0], tolerance, 1.0);
            near(&what, &results[2], &expected[1], tolerance, 1.0);
        }
    }
    Ok(())
}
