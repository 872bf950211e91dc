//! Depthwise convolution against candle's grouped one and a naive loop, its gradients against finite differences.

mod ops_support;

use candle_core::{DType, Result, Tensor, Var};
use ops_support::{Numbers, check_gradients, convolution::naive, distance, values};
use proptest::prelude::*;
use wseg_cuda_runner::ops::{self, Conv2d, Rectify, depthwise_conv2d};

const PLAIN: Rectify = Rectify { input: false, output: false };

/// Shapes of map and kernel, and a convolution that fits them.
#[derive(Clone, Debug)]
struct Case {
    map: (usize, usize, usize, usize),
    kernel: (usize, usize),
    p: Conv2d,
    bias: bool,
}

impl Case {
    fn draw(&self, seed: u64) -> (Tensor, Tensor, Option<Tensor>) {
        let mut numbers = Numbers(seed);
        let (channels, (kh, kw)) = (self.map.1, self.kernel);
        let x = numbers.tensor(self.map);
        (x, numbers.tensor((channels, 1, kh, kw)), self.bias.then(|| numbers.tensor(channels)))
    }
}

/// The definition: each channel is a convolution of one channel.
fn defined(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, p: Conv2d) -> Tensor {
    let channel = |c: usize| {
        let bias = bias.map(|bias| bias.narrow(0, c, 1).expect("a bias"));
        naive(&x.narrow(1, c, 1).expect("a channel"), &weight.narrow(0, c, 1).expect("a kernel"), bias.as_ref(), p)
    };
    let channels: Vec<Tensor> = (0..x.dims()[1]).map(channel).collect();
    Tensor::cat(&channels, 1).expect("channels of one size")
}

fn cases(channels: usize, extent: usize) -> impl Strategy<Value = Case> {
    let map = (1..3usize, 1..=channels, 1..=extent, 1..=extent);
    // Kernels of three and five columns have loops of their own; all others share one.
    let side = || prop_oneof![Just(3usize), 1..8usize];
    let convolution = (1..4usize, 0..7usize, prop_oneof![1..4usize, 4..20usize]);
    (map, (side(), side()), convolution, any::<bool>())
        .prop_map(|(map, kernel, (stride, padding, dilation), bias)| {
            // Half of them padded as layers are, whatever the dilation.
            let padding = if padding > 3 { dilation * (kernel.0.max(kernel.1) / 2) } else { padding };
            Case { map, kernel, p: Conv2d { stride, padding, dilation }, bias }
        })
        .prop_filter("the kernel must fit", |case| {
            case.p.output(case.map.2, case.kernel.0).is_some() && case.p.output(case.map.3, case.kernel.1).is_some()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn depthwise_conv2d_is_the_naive_loop(case in cases(5, 40), seed: u64) {
        let (x, weight, bias) = case.draw(seed);
        let expected = defined(&x, &weight, bias.as_ref(), case.p);
        let got = depthwise_conv2d(&x, &weight, bias.as_ref(), PLAIN, case.p).expect("a convolution that fits");
        prop_assert!(distance(&expected, &got) < 1e-13);
        let single = |t: &Tensor| t.to_dtype(DType::F32).expect("a conversion");
        let bias = bias.as_ref().map(single);
        let got = depthwise_conv2d(&single(&x), &single(&weight), bias.as_ref(), PLAIN, case.p);
        // Up to 49 products of rounding error 6e-8 each.
        prop_assert!(distance(&expected, &got.expect("a convolution that fits")) < 1e-5);
    }

    /// `<conv(x, w), dy> = <x, dx> = <w, dw>`, in both precisions, at sizes where rows take several vectors.
    #[test]
    fn depthwise_gradients_are_the_transposes(case in cases(5, 50), seed: u64) {
        for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 1e-4)] {
            let (x, weight, _) = case.draw(seed);
            let variable = |t: &Tensor| t.to_dtype(dtype).and_then(|t| Var::from_tensor(&t)).expect("a variable");
            let (x, weight) = (variable(&x), variable(&weight));
            let y = depthwise_conv2d(&x, &weight, None, PLAIN, case.p).expect("a convolution that fits");
            let dy = Numbers(seed ^ 1).tensor(y.shape()).to_dtype(dtype).expect("a conversion");
            let product = |a: &Tensor, b: &Tensor| values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum::<f64>();
            let gradients = (&y * &dy).and_then(|p| p.backward()).expect("a backward pass");
            let expected = product(&y, &dy);
            for variable in [&x, &weight] {
                let got = product(variable, gradients.get(variable).expect("a gradient"));
                prop_assert!((got - expected).abs() < tolerance * (1.0 + expected.abs()), "{got} {expected}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn depthwise_gradients_are_difference_quotients(case in cases(2, 7), seed: u64) {
        let (x, weight, bias) = case.draw(seed);
        let inputs: Vec<Tensor> = [x, weight].into_iter().chain(bias).collect();
        // Linear in each input: the difference quotient is exact but for rounding.
        check_gradients(|t| depthwise_conv2d(&t[0], &t[1], t.get(2), PLAIN, case.p), &inputs, 1e-8);
    }
}

/// Every stride, dilation and size that a separable convolution of the networks has, and maps smaller than a dilation.
#[test]
fn depthwise_gradients_hold_over_strides_dilations_and_sizes() {
    for stride in 1..=3 {
        for dilation in [1, 2, 3, 4, 6] {
            for (h, w) in [(1, 1), (2, 5), (5, 2), (6, 6), (7, 8)] {
                for kernel in [(1, 1), (3, 3), (5, 5), (3, 5)] {
                    let p = Conv2d { stride, padding: dilation * (kernel.0.max(kernel.1) / 2), dilation };
                    let (x, weight, bias) = Case { map: (2, 2, h, w), kernel, p, bias: true }.draw(h as u64);
                    let inputs = [x, weight, bias.expect("a bias was asked for")];
                    check_gradients(|t| depthwise_conv2d(&t[0], &t[1], t.get(2), PLAIN, p), &inputs, 1e-8);
                }
            }
        }
    }
}

/// Another definition than the one above, with gradients of its own: candle's convolution in groups.
#[test]
fn depthwise_conv2d_is_candles_convolution_in_groups() -> Result<()> {
    for (map, side, p) in [
        ((2, 37, 41, 41), 3, Conv2d { stride: 1, padding: 1, dilation: 1 }),
        ((1, 20, 41, 41), 3, Conv2d { stride: 1, padding: 2, dilation: 2 }),
        ((2, 21, 41, 41), 3, Conv2d { stride: 2, padding: 1, dilation: 1 }),
        ((1, 8, 33, 17), 3, Conv2d { stride: 1, padding: 12, dilation: 12 }),
        ((1, 8, 10, 10), 3, Conv2d { stride: 1, padding: 36, dilation: 36 }),
        ((1, 6, 19, 35), 5, Conv2d { stride: 2, padding: 4, dilation: 2 }),
        ((1, 4, 65, 80), 7, Conv2d { stride: 1, padding: 3, dilation: 1 }),
    ] {
        let (x, weight, _) = Case { map, kernel: (side, side), p, bias: false }.draw(5);
        let (x, weight) = (Var::from_tensor(&x)?, Var::from_tensor(&weight)?);
        let theirs = x.conv2d(&weight, p.padding, p.stride, p.dilation, map.1)?;
        let ours = depthwise_conv2d(&x, &weight, None, PLAIN, p)?;
        assert!(distance(&ours, &theirs) < 1e-13, "{map:?} {p:?}");
        let dy = Numbers(6).tensor(ours.shape());
        let (ours, theirs) = ((ours * &dy)?.backward()?, (theirs * &dy)?.backward()?);
        for variable in [&x, &weight] {
            let gradients = [&ours, &theirs].map(|gradients| gradients.get(variable).expect("a gradient"));
            assert!(distance(gradients[0], gradients[1]) < 1e-11, "{map:?} {p:?}");
        }
    }
    Ok(())
}

/// Cutting within the operation is cutting beside it, forward and backward.
#[test]
fn rectified_depthwise_convolutions_are_three_operations() -> Result<()> {
    for (stride, dilation, w) in [(1, 1, 41), (1, 3, 9), (2, 1, 20), (3, 2, 33)] {
        let p = Conv2d { stride, padding: dilation, dilation };
        let (x, weight, bias) = Case { map: (2, 3, 11, w), kernel: (3, 3), p, bias: true }.draw(9);
        let variables =
            [x, weight, bias.expect("a bias was asked for")].map(|t| Var::from_tensor(&t).expect("a variable"));
        let [x, weight, bias] = &variables;
        for rectify in [(false, true), (true, false), (true, true)].map(|(input, output)| Rectify { input, output }) {
            let got = depthwise_conv2d(x, weight, Some(bias), rectify, p)?;
            let x = if rectify.input { ops::relu(x)? } else { x.as_tensor().clone() };
            let plain = depthwise_conv2d(&x, weight, Some(bias), PLAIN, p)?;
            let expected = if rectify.output { ops::relu(&plain)? } else { plain };
            assert_eq!(values(&got), values(&expected), "{rectify:?}");
            let dy = Numbers(6).tensor(got.shape());
            let (got, expected) = ((got * &dy)?.backward()?, (expected * &dy)?.backward()?);
            for variable in &variables {
                let gradients = [&got, &expected].map(|gradients| gradients.get(variable).expect("a gradient"));
                assert!(distance(gradients[0], gradients[1]) < 1e-13, "{rectify:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn rectification_hides_no_nan() -> Result<()> {
    let x = Tensor::new(&[[[[f32::NAN, -1.0, 2.0]]]], &candle_core::Device::Cpu)?;
    let weight = Tensor::ones((1, 1, 1, 1), DType::F32, x.device())?;
    let y = depthwise_conv2d(&x, &weight, None, Rectify { input: true, output: true }, Conv2d::default())?;
    let y = values(&y);
    assert!(y[0].is_nan() && y[1..] == [0.0, 2.0], "{y:?}");
    Ok(())
}

/// The same sums in the same order, however many threads share the work and however often it is done.
#[test]
fn depthwise_results_do_not_depend_on_threads() -> Result<()> {
    let p = Conv2d { stride: 1, padding: 2, dilation: 2 };
    let (x, weight, bias) = Case { map: (3, 150, 40, 41), kernel: (3, 3), p, bias: true }.draw(8);
    let single = |t: &Tensor| t.to_dtype(DType::F32);
    let inputs = [single(&x)?, single(&weight)?, single(&bias.expect("a bias was asked for"))?];
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| -> Result<Vec<Vec<f32>>> {
            let variables: Vec<Var> = inputs.iter().map(Var::from_tensor).collect::<Result<_>>()?;
            let rectify = Rectify { input: true, output: true };
            let y = depthwise_conv2d(&variables[0], &variables[1], Some(&variables[2]), rectify, p)?;
            let gradients = y.sqr()?.sum_all()?.backward()?;
            let gradients = variables.iter().map(|variable| gradients.get(variable).expect("a gradient"));
            [&y].into_iter().chain(gradients).map(|t| t.flatten_all()?.to_vec1()).collect()
        })
    };
    let alone = run(1)?;
    assert!(alone == run(3)? && alone == run(2)? && alone == run(1)?);
    Ok(())
}

#[test]
fn depthwise_conv2d_computes_no_gradient_for_what_is_not_tracked() -> Result<()> {
    let case = Case { map: (1, 2, 5, 5), kernel: (3, 3), p: Conv2d::default(), bias: true };
    let (x, weight, bias) = case.draw(1);
    let tensors = [x, weight, bias.expect("a bias was asked for")];
    for tracked in 0..3 {
        let variable = Var::from_tensor(&tensors[tracked])?;
        let of = |index: usize| if index == tracked { variable.as_tensor() } else { &tensors[index] };
        let y = depthwise_conv2d(of(0), of(1), Some(of(2)), PLAIN, case.p)?;
        let gradients = y.sum_all()?.backward()?;
        for (index, tensor) in tensors.iter().enumerate() {
            assert!(gradients.get(tensor).is_none(), "{index}");
        }
        assert!(gradients.get(&variable).is_some(), "{tracked}");
    }
    Ok(())
}

#[test]
fn depthwise_conv2d_refuses_what_does_not_fit() {
    let mut numbers = Numbers(0);
    let (x, weight) = (numbers.tensor((1, 2, 5, 5)), numbers.tensor((2, 1, 3, 3)));
    let conv = |stride, padding, dilation| Conv2d { stride, padding, dilation };
    let run = |x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, p| depthwise_conv2d(x, weight, bias, PLAIN, p);
    assert!(run(&x, &weight, None, conv(1, 0, 1)).is_ok());
    assert!(run(&x, &numbers.tensor((3, 1, 3, 3)), None, conv(1, 0, 1)).is_err(), "other channels");
    assert!(run(&x, &numbers.tensor((2, 2, 3, 3)), None, conv(1, 0, 1)).is_err(), "kernels of two channels");
    assert!(run(&x, &weight, None, conv(0, 0, 1)).is_err(), "stride 0");
    assert!(run(&x, &weight, None, conv(1, 0, 0)).is_err(), "dilation 0");
    assert!(run(&x, &weight, None, conv(1, 0, 3)).is_err(), "kernel larger than the map");
    assert!(run(&x, &weight, Some(&numbers.tensor(4)), conv(1, 0, 1)).is_err(), "bias of another length");
    assert!(run(&numbers.tensor((0, 2, 5, 5)), &weight, None, conv(1, 0, 1)).is_err(), "empty batch");
}
