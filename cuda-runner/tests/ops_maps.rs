//! Operations on maps: normalisation, pooling, resizing, shifting. Values by hand or from the definition, gradients
//! against finite differences.

mod ops_support;

use candle_core::{DType, Device, Result, Tensor, Var};
use ops_support::{Numbers, check_gradients, distance, values};
use proptest::prelude::*;
use wseg_core::Corners;
use wseg_cuda_runner::ops;

type Extents = (usize, usize, usize, usize);

fn maps(channels: usize, extent: usize) -> impl Strategy<Value = Extents> {
    (1..4usize, 1..=channels, 1..=extent, 1..=extent)
}

/// Numbers no two of which are closer than 0.01, so that a small step does not change their order.
fn distinct(seed: u64, shape: Extents) -> Tensor {
    let count = shape.0 * shape.1 * shape.2 * shape.3;
    let mut order: Vec<usize> = (0..count).collect();
    let mut numbers = Numbers(seed);
    for i in (1..count).rev() {
        order.swap(i, ((numbers.draw() + 1.0) / 2.0 * (i + 1) as f64) as usize);
    }
    let values: Vec<f64> = order.into_iter().map(|i| i as f64 * 0.01 - 0.5).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape has")
}

/// Mean and biased variance of each channel.
fn statistics(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let channels = x.transpose(0, 1)?.flatten_from(1)?;
    let mean = channels.mean_keepdim(1)?;
    let variance = channels.broadcast_sub(&mean)?.sqr()?.mean(1)?;
    Ok((mean.squeeze(1)?, variance))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn batch_norm_is_the_definition(shape in maps(5, 20), relu: bool, seed: u64) {
        let mut numbers = Numbers(seed);
        // A mean far larger than the deviation: a one-pass variance in f32 would be lost.
        let x = (numbers.tensor(shape) + 50.0).expect("a sum");
        let (gamma, beta) = (numbers.tensor(shape.1), numbers.tensor(shape.1));
        let (mean, variance) = statistics(&x).expect("statistics");
        let expected = || -> Result<Tensor> {
            let column = |t: &Tensor| t.reshape((1, shape.1, 1, 1));
            let deviation = (&variance + 1e-5)?.sqrt()?;
            let normalised = x.broadcast_sub(&column(&mean)?)?.broadcast_div(&column(&deviation)?)?;
            let y = normalised.broadcast_mul(&column(&gamma)?)?.broadcast_add(&column(&beta)?)?;
            if relu { y.relu() } else { Ok(y) }
        };
        let expected = expected().expect("the definition");
        let got = ops::batch_norm_train(&x, &gamma, &beta, 1e-5, relu).expect("batch norm");
        prop_assert!(distance(&got.output, &expected) < 1e-9);
        prop_assert!(distance(&got.mean, &mean) < 1e-12);
        prop_assert!(distance(&got.variance, &variance) < 1e-12);
        let single = |t: &Tensor| t.to_dtype(DType::F32).expect("a conversion");
        let got = ops::batch_norm_train(&single(&x), &single(&gamma), &single(&beta), 1e-5, relu).expect("batch norm");
        // The rounding of x itself, 2e-6, is multiplied by up to 1 / sqrt(1e-5) where a channel is one pixel.
        prop_assert!(distance(&got.variance, &variance) < 1e-5);
        let deviation = values(&variance).into_iter().fold(f64::INFINITY, f64::min).max(1e-5).sqrt();
        prop_assert!(distance(&got.output, &expected) < 1e-5 / deviation);
    }

    #[test]
    fn batch_norm_gradients_are_difference_quotients(shape in maps(3, 4), seed: u64) {
        let mut numbers = Numbers(seed);
        let inputs = [distinct(seed, shape), numbers.tensor(shape.1), numbers.tensor(shape.1)];
        let norm = |relu| move |t: &[Tensor]| Ok(ops::batch_norm_train(&t[0], &t[1], &t[2], 0.1, relu)?.output);
        check_gradients(norm(false), &inputs, 1e-6);
        // With the shift at 5 nothing is rectified, at -5 everything is; in between a step may cross the corner.
        for shift in [5.0, -5.0] {
            let mut inputs = inputs.clone();
            inputs[2] = (&inputs[2] + shift).expect("a sum");
            check_gradients(norm(true), &inputs, 1e-6);
        }
    }

    #[test]
    fn rectified_batch_norm_has_the_gradient_of_the_two_operations(shape in maps(5, 9), seed: u64) {
        let mut numbers = Numbers(seed);
        let [x, gamma, beta] = [numbers.tensor(shape), numbers.tensor(shape.1), numbers.tensor(shape.1)]
            .map(|t| Var::from_tensor(&t).expect("a variable"));
        let cotangent = numbers.tensor(shape);
        let gradients = |y: Tensor| (y * &cotangent).and_then(|p| p.backward()).expect("a backward pass");
        let fused = gradients(ops::batch_norm_train(&x, &gamma, &beta, 1e-5, true).expect("batch norm").output);
        let plain = ops::batch_norm_train(&x, &gamma, &beta, 1e-5, false).expect("batch norm").output;
        let apart = gradients(ops::relu(&plain).expect("relu"));
        for variable in [&x, &gamma, &beta] {
            let (fused, apart) = (fused.get(variable).expect("a gradient"), apart.get(variable).expect("a gradient"));
            prop_assert!(distance(fused, apart) < 1e-9);
        }
    }

    #[test]
    fn scale_shift_is_the_definition_and_so_are_its_gradients(shape in maps(4, 5), seed: u64) {
        let mut numbers = Numbers(seed);
        let inputs = [distinct(seed, shape), numbers.tensor(shape.1), numbers.tensor(shape.1)];
        let column = |t: &Tensor| t.reshape((1, shape.1, 1, 1));
        let expected = column(&inputs[1])
            .and_then(|scale| inputs[0].broadcast_mul(&scale))
            .and_then(|y| y.broadcast_add(&column(&inputs[2])?))
            .expect("the definition");
        for relu in [false, true] {
            let expected = if relu { expected.relu().expect("relu") } else { expected.clone() };
            let got = ops::scale_shift(&inputs[0], &inputs[1], &inputs[2], relu).expect("scale_shift");
            prop_assert!(distance(&got, &expected) < 1e-14);
        }
        check_gradients(|t| ops::scale_shift(&t[0], &t[1], &t[2], false), &inputs, 1e-7);
        for shift in [20.0, -20.0] {
            let mut inputs = inputs.clone();
            inputs[2] = (&inputs[2] + shift).expect("a sum");
            check_gradients(|t| ops::scale_shift(&t[0], &t[1], &t[2], true), &inputs, 1e-7);
        }
    }

    #[test]
    fn max_pool_is_the_definition(shape in maps(3, 12), kernel in 1..5usize, stride in 1..4usize, half: bool, seed: u64) {
        let padding = if half { kernel / 2 } else { 0 };
        prop_assume!(shape.2.min(shape.3) + 2 * padding >= kernel);
        let x = distinct(seed, shape);
        let (n, c, h, w) = shape;
        let size = |extent: usize| (extent + 2 * padding - kernel) / stride + 1;
        let elements = values(&x);
        let mut expected = Vec::new();
        for plane in 0..n * c {
            for (oy, ox) in (0..size(h)).flat_map(|oy| (0..size(w)).map(move |ox| (oy, ox))) {
                let inside = |o: usize, k: usize, extent: usize| {
                    (o * stride + k).checked_sub(padding).filter(|&i| i < extent)
                };
                let window = (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx)));
                let seen = window.filter_map(|(ky, kx)| Some((inside(oy, ky, h)?, inside(ox, kx, w)?)));
                expected.push(seen.map(|(y, x)| elements[(plane * h + y) * w + x]).fold(f64::NEG_INFINITY, f64::max));
            }
        }
        let got = ops::max_pool2d(&x, kernel, stride, padding).expect("a pool that fits");
        prop_assert_eq!(got.dims(), &[n, c, size(h), size(w)]);
        prop_assert_eq!(values(&got), expected);
        check_gradients(|t| ops::max_pool2d(&t[0], kernel, stride, padding), &[x], 1e-7);
    }

    #[test]
    fn global_max_pool_gradients_are_difference_quotients(shape in maps(3, 6), seed: u64) {
        check_gradients(|t| ops::global_max_pool(&t[0]), &[distinct(seed, shape)], 1e-7);
    }

    #[test]
    fn resize_gradients_are_difference_quotients(shape in maps(2, 6), to in (1..9usize, 1..9usize), seed: u64) {
        let x = Numbers(seed).tensor(shape);
        for corners in [Corners::Aligned, Corners::HalfPixel] {
            // Linear: the difference quotient is exact but for rounding.
            check_gradients(|t| ops::resize(&t[0], to.0, to.1, corners), std::slice::from_ref(&x), 1e-9);
        }
    }

    #[test]
    fn shift_and_mirror_move_pixels(shape in maps(2, 6), dy in -8..9isize, dx in -8..9isize, seed: u64) {
        let x = Numbers(seed).tensor(shape);
        let (n, c, h, w) = shape;
        let elements = values(&x);
        let moved = |from: &dyn Fn(isize, isize) -> (isize, isize)| -> Vec<f64> {
            let pixels = (0..n * c).flat_map(|p| (0..h).flat_map(move |y| (0..w).map(move |x| (p, y, x))));
            let pixel = |(plane, y, x): (usize, usize, usize)| {
                let (y, x) = from(y as isize, x as isize);
                elements[(plane * h + y.clamp(0, h as isize - 1) as usize) * w + x.clamp(0, w as isize - 1) as usize]
            };
            pixels.map(pixel).collect()
        };
        let shifted = ops::shift(&x, dy, dx).expect("a shift");
        prop_assert_eq!(values(&shifted), moved(&|y, x| (y + dy, x + dx)));
        let mirrored = ops::mirror(&x).expect("a mirror image");
        prop_assert_eq!(values(&mirrored), moved(&|y, x| (y, w as isize - 1 - x)));
        check_gradients(|t| ops::shift(&t[0], dy, dx), std::slice::from_ref(&x), 1e-8);
        check_gradients(|t| ops::mirror(&t[0]), &[x], 1e-8);
    }
}

#[test]
fn resize_by_hand() -> Result<()> {
    let row = |values: &[f64]| Tensor::from_vec(values.to_vec(), (1, 1, 1, values.len()), &Device::Cpu);
    let check = |from: &[f64], corners, to: &[f64]| -> Result<()> {
        assert!(distance(&ops::resize(&row(from)?, 1, to.len(), corners)?, &row(to)?) < 1e-15);
        Ok(())
    };
    // Aligned: output i of 5 lies at i / 2 among 3 pixels.
    check(&[0.0, 2.0, 6.0], Corners::Aligned, &[0.0, 1.0, 2.0, 4.0, 6.0])?;
    // Half pixel: output i of 4 lies at i / 2 - 1/4, clamped at the border.
    check(&[0.0, 4.0], Corners::HalfPixel, &[0.0, 1.0, 3.0, 4.0])?;
    // Down by two: between two pixels.
    check(&[0.0, 2.0, 4.0, 8.0], Corners::HalfPixel, &[1.0, 6.0])?;
    // One output: the first pixel if corners are aligned, the centre if not.
    check(&[1.0, 2.0, 4.0], Corners::Aligned, &[1.0])?;
    check(&[1.0, 2.0, 4.0], Corners::HalfPixel, &[2.0])?;
    // One input: itself everywhere.
    check(&[3.0], Corners::Aligned, &[3.0; 4])?;
    check(&[3.0], Corners::HalfPixel, &[3.0; 4])?;
    // Rows as columns, and both at once.
    let square = Tensor::new(&[[[[0.0, 1.0], [2.0, 3.0]]]], &Device::Cpu)?;
    let expected = Tensor::new(&[[[[0.0, 0.5, 1.0], [1.0, 1.5, 2.0], [2.0, 2.5, 3.0]]]], &Device::Cpu)?;
    assert!(distance(&ops::resize(&square, 3, 3, Corners::Aligned)?, &expected) < 1e-15);
    Ok(())
}

/// The gradient of the sum of `f` at `x`.
fn gradient(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Vec<f64>> {
    let x = Var::from_tensor(x)?;
    let gradients = f(&x)?.sum_all()?.backward()?;
    Ok(values(gradients.get(&x).expect("a gradient")))
}

#[test]
fn of_equal_maxima_the_first_has_the_gradient() -> Result<()> {
    let x = Tensor::new(&[[[[1.0, 5.0, 5.0], [5.0, 0.0, 5.0]]]], &Device::Cpu)?;
    assert_eq!(gradient(ops::global_max_pool, &x)?, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(gradient(|x| ops::max_pool2d(x, 2, 1, 0), &x)?, [0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    Ok(())
}

#[test]
fn batch_norm_of_a_constant_channel_is_its_shift() -> Result<()> {
    let x = Tensor::full(7f32, (2, 3, 4, 4), &Device::Cpu)?;
    let gamma = Var::ones(3, DType::F32, &Device::Cpu)?;
    let beta = Tensor::new(&[1f32, -2.0, 0.0], &Device::Cpu)?;
    let norm = ops::batch_norm_train(&x, &gamma, &beta, 1e-5, false)?;
    assert_eq!(values(&norm.variance), [0.0; 3]);
    assert!(distance(&norm.output, &beta.reshape((1, 3, 1, 1))?.broadcast_as(x.shape())?) < 1e-3);
    let gradients = norm.output.sum_all()?.backward()?;
    assert_eq!(values(gradients.get(&gamma).expect("a gradient")), [0.0; 3]);
    Ok(())
}

#[test]
fn operations_are_bit_identical_from_run_to_run() -> Result<()> {
    let mut numbers = Numbers(6);
    let [x, gamma, beta] = [numbers.tensor((6, 19, 33, 31)), numbers.tensor(19), numbers.tensor(19)]
        .map(|t| Var::from_tensor(&t.to_dtype(DType::F32).expect("a conversion")).expect("a variable"));
    let run = || -> Result<Vec<Vec<f32>>> {
        let y = ops::batch_norm_train(&x, &gamma, &beta, 1e-5, true)?.output;
        let y = ops::scale_shift(&y, &gamma, &beta, true)?;
        let y = ops::resize(&ops::max_pool2d(&y, 3, 2, 1)?, 40, 40, Corners::Aligned)?;
        let y = ops::softmax(&ops::shift(&y, 3, -2)?)?;
        let gradients = y.sqr()?.sum_all()?.backward()?;
        let tensors = [Some(&y), gradients.get(&x), gradients.get(&gamma), gradients.get(&beta)];
        tensors.map(|t| t.expect("a gradient").flatten_all()?.to_vec1::<f32>()).into_iter().collect()
    };
    let first = run()?;
    for _ in 0..3 {
        assert!(first == run()?, "two runs differ");
    }
    Ok(())
}

#[test]
fn shapes_that_do_not_go_together_are_refused() {
    let mut numbers = Numbers(0);
    let x = numbers.tensor((1, 2, 3, 4));
    let (two, three) = (numbers.tensor(2), numbers.tensor(3));
    assert!(ops::batch_norm_train(&x, &three, &two, 1e-5, false).is_err());
    assert!(ops::scale_shift(&x, &two, &three, false).is_err());
    assert!(ops::max_pool2d(&x, 4, 1, 0).is_err(), "kernel larger than the map");
    assert!(ops::max_pool2d(&x, 2, 0, 0).is_err(), "stride 0");
    assert!(ops::max_pool2d(&x, 2, 1, 2).is_err(), "windows of nothing but padding");
    assert!(ops::resize(&x, 0, 3, Corners::Aligned).is_err());
    assert!(ops::global_max_pool(&numbers.tensor((1, 2, 0, 4))).is_err());
    assert!(ops::shift(&numbers.tensor((1, 2, 0, 4)), 1, 1).is_err());
}
