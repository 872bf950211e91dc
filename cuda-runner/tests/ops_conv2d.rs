//! Convolution against a naive loop, its gradients against finite differences.

mod ops_support;

use candle_core::{DType, Result, Tensor, Var};
use ops_support::{Numbers, check_gradients, convolution::naive, distance, values};
use proptest::prelude::*;
use wseg_cuda_runner::ops::{Conv2d, conv2d};

/// Shapes of map and kernel, and a convolution that fits them.
#[derive(Clone, Debug)]
struct Case {
    map: (usize, usize, usize, usize),
    kernel: (usize, usize, usize),
    p: Conv2d,
    bias: bool,
}

impl Case {
    fn draw(&self, seed: u64) -> (Tensor, Tensor, Option<Tensor>) {
        let mut numbers = Numbers(seed);
        let (outputs, kh, kw) = self.kernel;
        let weight = numbers.tensor((outputs, self.map.1, kh, kw));
        (numbers.tensor(self.map), weight, self.bias.then(|| numbers.tensor(outputs)))
    }
}

fn cases(channels: usize, extent: usize) -> impl Strategy<Value = Case> {
    let map = (1..3usize, 1..=channels, 1..=extent, 1..=extent);
    let kernel = (1..=channels, 1..5usize, 1..5usize);
    let convolution = (1..4usize, 0..5usize, 1..4usize);
    (map, kernel, convolution, any::<bool>())
        .prop_map(|(map, kernel, (stride, padding, dilation), bias)| Case {
            map,
            kernel,
            p: Conv2d { stride, padding, dilation },
            bias,
        })
        .prop_filter("the kernel must fit", |case| {
            case.p.output(case.map.2, case.kernel.1).is_some() && case.p.output(case.map.3, case.kernel.2).is_some()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn conv2d_is_the_naive_loop(case in cases(20, 30), seed: u64) {
        let (x, weight, bias) = case.draw(seed);
        let expected = naive(&x, &weight, bias.as_ref(), case.p);
        let got = conv2d(&x, &weight, bias.as_ref(), case.p).expect("a convolution that fits");
        prop_assert!(distance(&expected, &got) < 1e-12);
        let single = |t: &Tensor| t.to_dtype(DType::F32).expect("a conversion");
        let got = conv2d(&single(&x), &single(&weight), bias.as_ref().map(single).as_ref(), case.p);
        // Up to 20 * 16 products of rounding error 6e-8 each.
        prop_assert!(distance(&expected, &got.expect("a convolution that fits")) < 1e-4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn conv2d_gradients_are_difference_quotients(case in cases(3, 7), seed: u64) {
        let (x, weight, bias) = case.draw(seed);
        let inputs: Vec<Tensor> = [x, weight].into_iter().chain(bias).collect();
        // Linear in each input: the difference quotient is exact but for rounding.
        check_gradients(|t| conv2d(&t[0], &t[1], t.get(2), case.p), &inputs, 1e-8);
    }

    /// `<conv(x, w), dy> = <x, dx> = <w, dw>`, at sizes where every tile and every block boundary occurs.
    #[test]
    fn conv2d_gradients_are_the_transposes(case in cases(40, 40), seed: u64) {
        let (x, weight, _) = case.draw(seed);
        let (x, weight) = (Var::from_tensor(&x).expect("x"), Var::from_tensor(&weight).expect("weight"));
        let y = conv2d(&x, &weight, None, case.p).expect("a convolution that fits");
        let dy = Numbers(seed ^ 1).tensor(y.shape());
        let product = |a: &Tensor, b: &Tensor| values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum::<f64>();
        let gradients = (&y * &dy).and_then(|p| p.backward()).expect("a backward pass");
        let expected = product(&y, &dy);
        for variable in [&x, &weight] {
            let got = product(variable, gradients.get(variable).expect("a gradient"));
            prop_assert!((got - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{got} {expected}");
        }
    }
}

/// Shapes of real layers: many channels, several blocks of them, several tiles of rows, wide dilation.
#[test]
fn conv2d_is_the_naive_loop_on_real_layers() {
    let conv = |stride, padding, dilation| Conv2d { stride, padding, dilation };
    for (map, kernel, p) in [
        ((2, 64, 41, 41), (70, 3, 3), conv(1, 2, 2)),
        ((1, 3, 65, 64), (64, 7, 7), conv(2, 3, 1)),
        ((2, 300, 13, 13), (64, 1, 1), conv(1, 0, 1)),
        ((1, 130, 12, 12), (96, 3, 3), conv(1, 12, 12)),
        ((1, 40, 30, 30), (96, 3, 3), conv(1, 18, 18)),
        ((2, 64, 80, 80), (8, 1, 1), conv(2, 0, 1)),
        ((1, 33, 9, 10), (65, 3, 3), conv(2, 1, 1)),
    ] {
        let (x, weight, _) = Case { map, kernel, p, bias: false }.draw(5);
        let expected = naive(&x, &weight, None, p);
        let got = conv2d(&x, &weight, None, p).expect("a convolution that fits");
        assert!(distance(&expected, &got) < 1e-11, "{map:?} {kernel:?} {p:?}");
    }
}

#[test]
fn conv2d_and_its_gradients_are_bit_identical_from_run_to_run() -> Result<()> {
    let p = Conv2d { stride: 1, padding: 2, dilation: 2 };
    let case = Case { map: (5, 48, 33, 31), kernel: (80, 3, 3), p, bias: true };
    let (x, weight, bias) = case.draw(3);
    let bias = bias.expect("a bias was asked for").to_dtype(DType::F32)?;
    let (x, weight) = (Var::from_tensor(&x.to_dtype(DType::F32)?)?, Var::from_tensor(&weight.to_dtype(DType::F32)?)?);
    let run = || -> Result<Vec<Vec<f32>>> {
        let y = conv2d(&x, &weight, Some(&bias), p)?;
        let gradients = y.sqr()?.sum_all()?.backward()?;
        [Some(&y), gradients.get(&x), gradients.get(&weight)]
            .map(|t| t.expect("a gradient").flatten_all()?.to_vec1::<f32>())
            .into_iter()
            .collect()
    };
    let first = run()?;
    for _ in 0..3 {
        assert!(first == run()?, "two runs differ");
    }
    Ok(())
}

/// The same sums in the same order, however many threads share the work.
#[test]
fn conv2d_does_not_depend_on_the_number_of_threads() -> Result<()> {
    let p = Conv2d { stride: 2, padding: 1, dilation: 1 };
    let (x, weight, _) = Case { map: (3, 16, 40, 41), kernel: (24, 3, 3), p, bias: false }.draw(8);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| -> Result<Vec<f32>> {
            let weight = Var::from_tensor(&weight.to_dtype(DType::F32)?)?;
            let gradients = conv2d(&x.to_dtype(DType::F32)?, &weight, None, p)?.sqr()?.sum_all()?.backward()?;
            gradients.get(&weight).expect("a gradient").flatten_all()?.to_vec1()
        })
    };
    assert!(run(1)? == run(3)?);
    Ok(())
}

#[test]
fn conv2d_computes_no_gradient_for_what_is_not_tracked() -> Result<()> {
    let (x, weight, _) = Case { map: (1, 2, 5, 5), kernel: (3, 3, 3), p: Conv2d::default(), bias: false }.draw(1);
    let variable = Var::from_tensor(&weight)?;
    let gradients = conv2d(&x, &variable, None, Conv2d::default())?.sum_all()?.backward()?;
    assert!(gradients.get(&x).is_none());
    assert!(gradients.get(&variable).is_some());
    Ok(())
}

#[test]
fn conv2d_refuses_what_does_not_fit() {
    let mut numbers = Numbers(0);
    let (x, weight) = (numbers.tensor((1, 2, 5, 5)), numbers.tensor((3, 2, 3, 3)));
    let conv = |stride, padding, dilation| Conv2d { stride, padding, dilation };
    assert!(conv2d(&x, &numbers.tensor((3, 4, 3, 3)), None, conv(1, 0, 1)).is_err(), "other channels");
    assert!(conv2d(&x, &weight, None, conv(0, 0, 1)).is_err(), "stride 0");
    assert!(conv2d(&x, &weight, None, conv(1, 0, 0)).is_err(), "dilation 0");
    assert!(conv2d(&x, &weight, None, conv(1, 0, 3)).is_err(), "kernel larger than the map");
    assert!(conv2d(&x, &weight, Some(&numbers.tensor(4)), conv(1, 0, 1)).is_err(), "bias of another length");
    assert!(conv2d(&numbers.tensor((0, 2, 5, 5)), &weight, None, conv(1, 0, 1)).is_err(), "empty batch");
}
