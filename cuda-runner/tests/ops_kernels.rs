//! The fused kernels of `Dense` against the definitions, on the same backend.

mod ops_support;

use candle_core::{DType, Device, Result, Tensor, Var};
use ops_support::{Numbers, check_gradients, distance, values};
use proptest::prelude::*;
use wseg_core::{
    Axes, Corners, Kernels, Tensor as _, activation, loss,
    pamr::{self, Pamr},
    pooling::Pooling,
    pseudo::{self, Cutoff},
};
use wseg_cuda_runner::dense::Dense;

type Extents = (usize, usize, usize, usize);

fn dense(tensor: &Tensor) -> Dense {
    Dense::new(tensor.clone()).expect("rank four")
}

/// Masks that sum to 1 over the channels.
fn masks(numbers: &mut Numbers, shape: Extents) -> Tensor {
    let scores = (numbers.tensor(shape) * 2.0).expect("scores");
    activation::softmax(&dense(&scores)).expect("a softmax").into_tensor()
}

/// One-hot pseudo labels; about a third of the pixels is nobody's.
fn claims(numbers: &mut Numbers, (n, c, h, w): Extents) -> Tensor {
    let mut values = vec![0.0; n * c * h * w];
    for (image, pixel) in (0..n).flat_map(|image| (0..h * w).map(move |pixel| (image, pixel))) {
        let class = ((numbers.draw() + 1.0) * 0.75 * c as f64) as usize;
        if class < c {
            values[(image * c + class) * h * w + pixel] = 1.0;
        }
    }
    Tensor::from_vec(values, (n, c, h, w), &Device::Cpu).expect("as many values as the shape has")
}

fn single(tensor: &Tensor) -> Tensor {
    tensor.to_dtype(DType::F32).expect("a conversion")
}

fn parameters(dilations: &[usize], iterations: usize) -> Pamr {
    Pamr { dilations: dilations.iter().copied().collect(), iterations, ..Pamr::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn pamr_is_its_definition(
        (n, c, k) in (1..3usize, 1..8usize, 1..4usize),
        (h, w) in (1..25usize, 1..40usize),
        from in (1..25usize, 1..40usize),
        dilations in prop::sample::subsequence(vec![1, 2, 4, 8, 12, 24], 1..6),
        iterations in 0..4usize,
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let image = numbers.tensor((n, k, h, w)).affine(0.5, 0.5).expect("an image");
        let masks = masks(&mut numbers, (n, c, from.0, from.1));
        let pamr = parameters(&dilations, iterations);
        let expected = pamr::refine(&dense(&masks), &dense(&image), &pamr).expect("the definition");
        let got = dense(&masks).pamr(&dense(&image), &pamr).expect("the kernel");
        prop_assert!(distance(got.tensor(), expected.tensor()) < 1e-12);
        let got = dense(&single(&masks)).pamr(&dense(&single(&image)), &pamr).expect("the kernel");
        // An affinity's exponent is a difference over a tenth of a deviation: up to some hundred times 6e-8.
        prop_assert!(distance(got.tensor(), expected.tensor()) < 1e-4);
    }

    #[test]
    fn pseudo_labels_are_their_definition(shape in (1..4usize, 1..6usize, 1..20usize, 1..40usize), seed: u64) {
        let masks = masks(&mut Numbers(seed), shape);
        for masks in [single(&masks), masks] {
            let expected = pseudo::pseudo_labels(&dense(&masks), &Cutoff::default()).expect("the definition");
            let got = dense(&masks).pseudo_labels(&Cutoff::default()).expect("the kernel");
            prop_assert_eq!(distance(got.tensor(), expected.tensor()), 0.0);
        }
    }

    #[test]
    fn softmax_is_its_definition(shape in (1..4usize, 1..6usize, 1..20usize, 1..40usize), seed: u64) {
        let x = (Numbers(seed).tensor(shape) * 10.0).expect("scores");
        let (plain, log) = (activation::softmax(&dense(&x)), activation::log_softmax(&dense(&x)));
        let close = |got: Dense, expected: Dense| distance(got.tensor(), expected.tensor()) < 1e-14;
        prop_assert!(close(dense(&x).softmax().expect("the kernel"), plain.expect("the definition")));
        prop_assert!(close(dense(&x).log_softmax().expect("the kernel"), log.expect("the definition")));
    }

    #[test]
    fn segmentation_loss_is_its_definition_and_so_is_its_gradient(
        (n, c, h, w) in (1..4usize, 1..6usize, 1..20usize, 1..40usize),
        from in (1..9usize, 1..9usize),
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let logits = Var::from_tensor(&(numbers.tensor((n, c, from.0, from.1)) * 3.0).expect("logits")).expect("a variable");
        let pseudo = dense(&claims(&mut numbers, (n, c, h, w)));
        let of = |loss: wseg_cuda_runner::Result<Dense>| {
            let loss = loss.expect("a loss").into_tensor();
            let gradients = (&loss * 3.0).and_then(|l| l.backward()).expect("a backward pass");
            (loss, gradients.get(&logits).expect("a gradient").clone())
        };
        let expected = of(loss::segmentation_loss(&dense(&logits), &pseudo));
        let got = of(dense(&logits).segmentation_loss(&pseudo));
        prop_assert!(distance(&got.0, &expected.0) < 1e-13);
        prop_assert!(distance(&got.1, &expected.1) < 1e-13);
        let got = dense(&single(&logits)).segmentation_loss(&dense(&single(pseudo.tensor()))).expect("the kernel");
        prop_assert!(distance(got.tensor(), &expected.0) < 1e-5);
    }

    #[test]
    fn definitions_have_the_gradients_of_difference_quotients(
        (n, c, h, w) in (1..3usize, 1..4usize, 1..5usize, 1..5usize),
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let scores = (numbers.tensor((n, c, h, w)) * 3.0).expect("scores");
        let labels = numbers.tensor((n, c, 1, 1)).gt(0.0).and_then(|l| l.to_dtype(DType::F64)).expect("labels");
        let back = |error: wseg_cuda_runner::Error| candle_core::Error::Msg(error.to_string());
        check_gradients(
            |t| {
                let classified = dense(&t[0]).classify(&Pooling::default()).map_err(back)?;
                Ok(classified.scores.soft_margin(&dense(&labels)).map_err(back)?.into_tensor())
            },
            std::slice::from_ref(&scores),
            1e-6,
        );
        let pseudo = dense(&claims(&mut numbers, (n, c, 2 * h, 2 * w)));
        check_gradients(
            |t| Ok(dense(&t[0]).segmentation_loss(&pseudo).map_err(back)?.into_tensor()),
            std::slice::from_ref(&scores),
            1e-6,
        );
        for axes in [Axes::Batch, Axes::Channel, Axes::Spatial] {
            check_gradients(
                |t| Ok(dense(&t[0]).max(axes).map_err(back)?.into_tensor()),
                std::slice::from_ref(&scores),
                1e-6,
            );
            check_gradients(
                |t| Ok(dense(&t[0]).sum(axes).map_err(back)?.into_tensor()),
                std::slice::from_ref(&scores),
                1e-6,
            );
        }
        check_gradients(
            |t| {
                let whole = dense(&t[0]).cat_channels(&dense(&t[1])).map_err(back)?;
                Ok(whole.narrow_channels(c - 1, 2).map_err(back)?.into_tensor())
            },
            &[scores.clone(), scores],
            1e-6,
        );
    }
}

/// Gradients through the definition, which the kernel leaves to it.
#[test]
fn pamr_has_a_gradient_where_the_masks_are_tracked() -> Result<()> {
    let mut numbers = Numbers(2);
    let image = numbers.tensor((1, 2, 4, 5)).affine(0.5, 0.5)?;
    let masks = masks(&mut numbers, (1, 2, 4, 5));
    let pamr = parameters(&[1, 2], 2);
    let refined = |t: &[Tensor]| dense(&t[0]).pamr(&dense(&image), &pamr).map(Dense::into_tensor);
    let back = |error: wseg_cuda_runner::Error| candle_core::Error::Msg(error.to_string());
    check_gradients(|t| refined(t).map_err(back), &[masks], 1e-7);
    Ok(())
}

#[test]
fn pamr_of_a_flat_image_is_finite() -> wseg_cuda_runner::Result<()> {
    let image = Dense::new(Tensor::full(0.5f32, (1, 3, 9, 9), &Device::Cpu)?)?;
    let masks = dense(&single(&masks(&mut Numbers(1), (1, 3, 9, 9))));
    let refined = masks.pamr(&image, &Pamr::default())?;
    assert!(values(refined.tensor()).iter().all(|v| v.is_finite()));
    Ok(())
}

#[test]
fn segmentation_loss_without_a_claimed_pixel_is_zero_and_so_is_its_gradient() -> wseg_cuda_runner::Result<()> {
    let logits = Var::from_tensor(&Numbers(1).tensor((2, 3, 4, 4)))?;
    let nothing = dense(&logits.zeros_like()?);
    let loss = dense(&logits).segmentation_loss(&nothing)?.into_tensor();
    assert_eq!(values(&loss), [0.0]);
    assert_eq!(values(loss.backward()?.get(&logits).expect("a gradient")), [0.0; 96]);
    Ok(())
}

/// Saturated scores, a 1x1 map, all-zero labels: losses and gradients stay finite in f32.
#[test]
fn extreme_scores_give_finite_losses_and_gradients() -> wseg_cuda_runner::Result<()> {
    for score in [1000f32, -1000.0, 0.0] {
        for (h, w) in [(1, 1), (3, 4)] {
            let scores = Var::from_tensor(&Tensor::full(score, (2, 3, h, w), &Device::Cpu)?)?;
            let labels = dense(&Tensor::zeros((2, 3, 1, 1), DType::F32, &Device::Cpu)?);
            let classified = dense(&scores).classify(&Pooling::default())?;
            let loss = classified.scores.soft_margin(&labels)?;
            let pseudo = classified.masks.pseudo_labels(&Cutoff::default())?;
            let logits = activation::with_background(&dense(&scores), 1.0)?;
            let loss = loss.add(&logits.segmentation_loss(&pseudo)?)?.into_tensor();
            let gradients = loss.backward()?;
            let gradient = gradients.get(&scores).expect("a gradient");
            assert!(values(&loss)[0].is_finite(), "loss at {score}, {h}x{w}");
            assert!(values(gradient).iter().all(|g| g.is_finite()), "gradient at {score}, {h}x{w}");
        }
    }
    Ok(())
}

#[test]
fn of_equal_channels_or_samples_one_has_the_gradient_of_the_maximum() -> wseg_cuda_runner::Result<()> {
    for axes in [Axes::Batch, Axes::Channel, Axes::Spatial] {
        let x = Var::from_tensor(&Tensor::ones((2, 2, 2, 2), DType::F64, &Device::Cpu)?)?;
        let gradients = dense(&x).max(axes)?.into_tensor().sum_all()?.backward()?;
        let gradient = values(gradients.get(&x).expect("a gradient"));
        assert!(gradient.iter().all(|&g| g == 0.0 || g == 1.0), "{axes:?}: {gradient:?}");
        let reduced = dense(&x).max(axes)?.shape().count() as f64;
        assert_eq!(gradient.iter().sum::<f64>(), reduced, "{axes:?}");
    }
    Ok(())
}

#[test]
fn shapes_that_do_not_go_together_are_shape_errors() {
    let mut numbers = Numbers(0);
    let (a, b) = (dense(&numbers.tensor((1, 2, 3, 4))), dense(&numbers.tensor((1, 3, 3, 4))));
    let is_shape = |error: Option<wseg_cuda_runner::Error>| matches!(error, Some(wseg_cuda_runner::Error::Shape(_)));
    assert!(is_shape(a.add(&b).err()));
    assert!(is_shape(a.gt(&b).err()));
    assert!(is_shape(a.narrow_channels(1, 2).err()));
    assert!(is_shape(a.narrow_channels(usize::MAX, 2).err()));
    assert!(is_shape(a.resize(0, 3, Corners::Aligned).err()));
    assert!(is_shape(a.cat_channels(&dense(&numbers.tensor((1, 2, 3, 5)))).err()));
    assert!(is_shape(a.segmentation_loss(&b).err()));
    assert!(is_shape(a.pamr(&dense(&numbers.tensor((2, 3, 3, 4))), &Pamr::default()).err()));
    assert!(is_shape(a.pamr(&b, &parameters(&[], 1)).err()));
    assert!(is_shape(dense(&numbers.tensor((1, 2, 0, 4))).max(Axes::Spatial).err()));
    assert!(Dense::new(numbers.tensor((2, 3))).is_err(), "rank two");
}
