//! Convolutions of 3x3 with many channels, which are computed by minimal filtering (a unit test of the runner says that
//! these are): against the naive loop, and how exact they are.

mod ops_support;

use candle_core::{DType, Result, Tensor, Var};
use ops_support::{Numbers, convolution::naive, distance, values};
use wseg_cuda_runner::ops::{Conv2d, conv2d, conv2d_affine_onto};

/// Images, channels, rows, columns and outputs, and a convolution of 3x3.
type Case = ([usize; 5], Conv2d);

fn draw(([images, channels, h, w, outputs], _): Case, seed: u64) -> (Tensor, Tensor) {
    let mut numbers = Numbers(seed);
    (numbers.tensor((images, channels, h, w)), numbers.tensor((outputs, channels, 3, 3)))
}

fn product(a: &Tensor, b: &Tensor) -> f64 {
    values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum()
}

/// `<conv(x, w), dy> = <x, dx> = <w, dw>`.
fn check_transposes(x: &Tensor, weight: &Tensor, p: Conv2d) -> Result<()> {
    let (x, weight) = (Var::from_tensor(x)?, Var::from_tensor(weight)?);
    let y = conv2d(&x, &weight, None, p)?;
    let dy = Numbers(7).tensor(y.shape());
    let gradients = (&y * &dy)?.backward()?;
    let expected = product(&y, &dy);
    for variable in [&x, &weight] {
        let got = product(variable, gradients.get(variable).expect("a gradient"));
        assert!((got - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{got} {expected}");
    }
    Ok(())
}

#[test]
fn wide_convolutions_are_the_naive_loop() -> Result<()> {
    for case in [
        ([2, 170, 41, 41, 180], Conv2d { stride: 1, padding: 1, dilation: 1 }),
        ([2, 180, 41, 41, 180], Conv2d { stride: 1, padding: 4, dilation: 4 }),
    ] {
        let (x, weight) = draw(case, 31);
        let expected = naive(&x, &weight, None, case.1);
        assert!(distance(&expected, &conv2d(&x, &weight, None, case.1)?) < 1e-11, "{case:?}");
        check_transposes(&x, &weight, case.1)?;
    }
    Ok(())
}

/// Kernels with inputs for outputs, each turned around.
fn turned(weight: &Tensor) -> Result<Tensor> {
    let taps = weight.flatten_from(2)?;
    let backwards: Vec<Tensor> = (0..9).rev().map(|tap| taps.narrow(2, tap, 1)).collect::<Result<_>>()?;
    Tensor::cat(&backwards, 2)?.reshape(weight.shape())?.transpose(0, 1)?.contiguous()
}

/// The gradients are linear in the output's, and so equal the naive transposes for any one output's gradient.
#[test]
fn gradients_of_wide_convolutions_are_those_of_the_naive_loop() -> Result<()> {
    for (shape, p) in [
        ([2, 170, 41, 41, 180], Conv2d { stride: 1, padding: 1, dilation: 1 }),
        ([2, 180, 41, 41, 180], Conv2d { stride: 1, padding: 4, dilation: 4 }),
    ] {
        let (x, weight) = draw((shape, p), 11);
        let (xs, weights) = (Var::from_tensor(&x)?, Var::from_tensor(&weight)?);
        let y = conv2d(&xs, &weights, None, p)?;
        let dy = Numbers(12).tensor(y.shape());
        let gradients = (&y * &dy)?.backward()?;
        // The input's gradient is a convolution of the output's with kernels turned around, inputs for outputs.
        let turned = turned(&weight)?;
        let around = Conv2d { padding: 2 * p.dilation - p.padding, ..p };
        let expected = naive(&dy, &turned, None, around);
        assert!(distance(&expected, gradients.get(&xs).expect("a gradient")) < 1e-11, "{shape:?} {p:?}");
        // The kernels' gradient is a convolution of the input with the output's gradient, images for channels.
        let (images, channels) = (x.transpose(0, 1)?.contiguous()?, dy.transpose(0, 1)?.contiguous()?);
        let along = Conv2d { stride: p.dilation, padding: p.padding, dilation: 1 };
        let expected = naive(&images, &channels, None, along).narrow(2, 0, 3)?.narrow(3, 0, 3)?;
        let got = gradients.get(&weights).expect("a gradient").transpose(0, 1)?;
        assert!(distance(&expected.contiguous()?, &got.contiguous()?) < 1e-10, "{shape:?} {p:?}");
    }
    Ok(())
}

/// In single precision, errors are those of a plain sum: minimal filtering with the usual points has 4 times as much.
#[test]
fn wide_convolutions_are_as_exact_as_plain_sums() -> Result<()> {
    let p = Conv2d { stride: 1, padding: 1, dilation: 1 };
    let (x, weight) = draw(([2, 512, 24, 24, 160], p), 3);
    // As after a ReLU: nothing cancels on average.
    let x = x.relu()?;
    let expected = naive(&x, &weight, None, p);
    let largest = values(&expected).into_iter().map(f64::abs).fold(0.0, f64::max);
    let single = conv2d(&x.to_dtype(DType::F32)?, &weight.to_dtype(DType::F32)?, None, p)?;
    let error = distance(&expected, &single) / largest;
    assert!(error < 3e-6, "{error:e}");
    Ok(())
}

#[test]
fn a_wide_convolution_is_finished_like_any_other() -> Result<()> {
    let p = Conv2d { stride: 1, padding: 2, dilation: 2 };
    let (x, weight) = draw(([2, 160, 41, 41, 160], p), 21);
    let mut numbers = Numbers(22);
    let (scale, shift) = (numbers.tensor(160), numbers.tensor(160));
    let residual = numbers.tensor((2, 160, 41, 41));
    let got = conv2d_affine_onto(&x, &weight, &scale, &shift, &residual, true, p)?;
    let column = |t: &Tensor| t.reshape((1, 160, 1, 1));
    let expected = naive(&x, &weight, None, p).broadcast_mul(&column(&scale)?)?.broadcast_add(&column(&shift)?)?;
    assert!(distance(&(expected + residual)?.relu()?, &got) < 1e-11);
    Ok(())
}

/// The same sums in the same order, however many threads share the work.
#[test]
fn wide_convolutions_do_not_depend_on_the_number_of_threads() -> Result<()> {
    let p = Conv2d { stride: 1, padding: 1, dilation: 1 };
    let (x, weight) = draw(([2, 170, 41, 41, 180], p), 8);
    let (x, weight) = (x.to_dtype(DType::F32)?, weight.to_dtype(DType::F32)?);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| -> Result<Vec<Vec<f32>>> {
            let (x, weight) = (Var::from_tensor(&x)?, Var::from_tensor(&weight)?);
            let gradients = conv2d(&x, &weight, None, p)?.sqr()?.sum_all()?.backward()?;
            [&x, &weight].map(|v| gradients.get(v).expect("a gradient").flatten_all()?.to_vec1()).into_iter().collect()
        })
    };
    let once = run(1)?;
    assert!(once == run(3)? && once == run(1)?);
    Ok(())
}
