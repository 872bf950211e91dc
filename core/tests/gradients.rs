//! Values and derivatives stay finite where a naive formula breaks, and derivatives are right elsewhere.

mod support;

use support::{Random, assert_close, assert_finite, dual::Dual, random_claims, values};
use wseg_core::{
    Axes, Kernels, Shape, Tensor,
    activation::{sigmoid, softplus},
    arena::{Arena, ArenaError, ArenaTensor, Real},
    cam::{Cam, cam_masks},
    loss::{gated_segmentation_loss_mean, segmentation_loss, soft_margin},
    pamr::{Pamr, refine},
    pooling::{Pooling, classify, focal_penalty},
    pseudo::{Cutoff, drop_absent, pseudo_labels},
};

type Handle<'a, 'm, F> = ArenaTensor<'a, 'm, F>;

/// Everything a training step computes from scores, in one number.
fn step<T: Kernels>(scores: &T, labels: &T, image: &T) -> Result<T, T::Error> {
    let head = classify(scores, &Pooling::default())?;
    let pamr = Pamr { dilations: [1, 2].into_iter().collect(), iterations: 2, ..Pamr::default() };
    let refined = drop_absent(&refine(&head.masks.detach(), image, &pamr)?, labels)?;
    let pseudo = pseudo_labels(&refined, &Cutoff::default())?;
    let logits = wseg_core::activation::with_background(scores, Pooling::default().background)?;
    soft_margin(&head.scores, labels)?
        .add(&segmentation_loss(&logits, &pseudo)?)?
        .add(&gated_segmentation_loss_mean(&logits, &pseudo, labels)?)
}

fn dual<'a, 'm, F: Real>(
    arena: &'a Arena<'m, F>,
    shape: Shape,
    values: &[f64],
    tangent: &[f64],
) -> Result<Dual<Handle<'a, 'm, F>>, ArenaError> {
    Ok(Dual::moving(arena.tensor_from_f64(shape, values)?, arena.tensor_from_f64(shape, tangent)?))
}

/// Asserts that [`step`] has a finite value and a finite slope at `scores`; returns both.
#[track_caller]
fn assert_step_is_finite<F: Real>(shape: Shape, scores: &[f64], labels: &[f64], image: &[f64]) -> (f64, f64) {
    let mut memory = vec![F::from_f64(f64::NAN); 1 << 16];
    let arena = Arena::new(&mut memory);
    let mut random = Random(17);
    let scores = dual(&arena, shape, scores, &random.values(shape, 1.0)).unwrap();
    let labels = Dual::constant(arena.tensor_from_f64(shape.with_size(1, 1), labels).unwrap());
    let guide = shape.with_channels(1);
    // The image moves as well: where it is flat its standard deviation has no slope, which must not get out.
    let image = dual(&arena, guide, image, &random.values(guide, 1.0)).unwrap();
    let loss = step(&scores, &labels, &image).unwrap();
    let (value, slope) = (values(&loss.value)[0], values(&loss.slope().unwrap())[0]);
    assert!(value.is_finite() && slope.is_finite(), "value {value}, slope {slope}");
    (value, slope)
}

fn a_step_is_finite<F: Real>() {
    let shape = Shape::new(2, 3, 4, 5);
    let mut random = Random(23);
    let image = random.values(shape.with_channels(1), 1.0);
    let labels = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    for extreme in [1000.0, -1000.0, 0.0] {
        assert_step_is_finite::<F>(shape, &vec![extreme; shape.count()], &labels, &image);
    }
    // Some pixels far up, some far down.
    let mixed: Vec<f64> = random.values(shape, 1.0).into_iter().map(|v| 1000.0 * v.signum()).collect();
    assert_step_is_finite::<F>(shape, &mixed, &labels, &image);
    // No labels, all labels, a flat image, a map of one pixel.
    let scores = random.values(shape, 3.0);
    assert_step_is_finite::<F>(shape, &scores, &[0.0; 6], &image);
    assert_step_is_finite::<F>(shape, &scores, &[1.0; 6], &image);
    assert_step_is_finite::<F>(shape, &scores, &labels, &vec![0.25; image.len()]);
    for score in [1000.0, -1000.0, 1.0] {
        assert_step_is_finite::<F>(Shape::new(1, 1, 1, 1), &[score], &[1.0], &[0.5]);
    }
}

#[test]
fn a_training_step_is_finite_at_the_edges_in_f32() {
    a_step_is_finite::<f32>();
}

#[test]
fn a_training_step_is_finite_at_the_edges_in_f64() {
    a_step_is_finite::<f64>();
}

/// Value and slope of `f` at `x` along `direction`.
fn slope_of(
    shape: Shape,
    x: &[f64],
    direction: &[f64],
    f: impl for<'a, 'm> Fn(&Dual<Handle<'a, 'm, f64>>) -> Result<Dual<Handle<'a, 'm, f64>>, ArenaError>,
) -> (Vec<f64>, Vec<f64>) {
    let mut memory = vec![f64::NAN; 1 << 17];
    let arena = Arena::new(&mut memory);
    let result = f(&dual(&arena, shape, x, direction).unwrap()).unwrap();
    (values(&result.value), values(&result.slope().unwrap()))
}

/// Compares the slope of `f` with a central difference.
#[track_caller]
fn assert_slope(
    shape: Shape,
    scale: f64,
    f: impl for<'a, 'm> Fn(&Dual<Handle<'a, 'm, f64>>) -> Result<Dual<Handle<'a, 'm, f64>>, ArenaError>,
) {
    let mut random = Random(29);
    let (x, direction) = (random.values(shape, scale), random.values(shape, 1.0));
    let (_, slope) = slope_of(shape, &x, &direction, &f);
    let step = 1e-5;
    let at = |sign: f64| {
        let moved: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + sign * step * d).collect();
        slope_of(shape, &moved, &direction, &f).0
    };
    let difference: Vec<f64> = at(1.0).iter().zip(at(-1.0)).map(|(up, down)| (up - down) / (2.0 * step)).collect();
    // Truncation 1e-10 and cancellation 1e-16 / 1e-5, with room for third derivatives.
    assert_close(&slope, &difference, 1e-7);
}

#[test]
fn slopes_are_those_of_central_differences() {
    let shape = Shape::new(2, 3, 4, 5);
    let pooling = Pooling::default();
    assert_slope(shape, 3.0, |x| softplus(x));
    assert_slope(shape, 3.0, |x| sigmoid(x));
    assert_slope(shape, 3.0, |x| x.softmax());
    assert_slope(shape, 3.0, |x| x.log_softmax());
    assert_slope(shape, 3.0, |x| Ok(classify(x, &pooling)?.scores));
    assert_slope(shape, 3.0, |x| Ok(classify(x, &pooling)?.masks));
    assert_slope(shape, 3.0, |x| cam_masks(x, &Cam::default()));
    assert_slope(shape.with_size(1, 1), 3.0, |x| {
        let labels = x.fill(x.shape(), 1.0)?;
        soft_margin(x, &labels)?.add(&soft_margin(x, &labels.affine(0.0, 0.0)?)?)
    });
    assert_slope(shape, 3.0, |x| {
        let shape = Shape::new(2, 3, 9, 8);
        let claims = x.value.arena().tensor(shape, &random_claims(&mut Random(1), shape))?;
        let logits = x.affine(1.0, 0.0)?;
        segmentation_loss(&logits, &Dual::constant(claims))
    });
    assert_slope(Shape::new(1, 2, 4, 5), 1.0, |x| {
        let shape = Shape::new(1, 3, 7, 6);
        let image = x.value.arena().tensor(shape, &Random(2).values(shape, 1.0))?;
        let pamr = Pamr { dilations: [1, 2].into_iter().collect(), iterations: 3, ..Pamr::default() };
        refine(x, &Dual::constant(image), &pamr)
    });
}

#[test]
fn softplus_has_slope_one_half_at_zero() {
    let (value, slope) = slope_of(Shape::SCALAR, &[0.0], &[1.0], |x| softplus(x));
    assert_close(&value, &[core::f64::consts::LN_2], 1e-15);
    assert_eq!(slope, [0.5]);
    let (value, slope) = slope_of(Shape::SCALAR, &[0.0], &[1.0], |x| sigmoid(x));
    assert_eq!((value[0], slope[0]), (0.5, 0.25));
}

#[test]
fn softplus_saturates_without_overflow() {
    let shape = Shape::new(1, 1, 1, 2);
    let (value, slope) = slope_of(shape, &[1000.0, -1000.0], &[1.0, 1.0], |x| softplus(x));
    assert_eq!((value, slope), (vec![1000.0, 0.0], vec![1.0, 0.0]));
}

#[test]
fn a_full_mask_has_a_finite_penalty_slope() {
    for p in [0.0, 1.0, 3.0] {
        let (value, slope) = slope_of(Shape::new(1, 1, 2, 2), &[1.0; 4], &[1.0; 4], |x| focal_penalty(x, p, 0.01));
        assert_finite(&value);
        assert_finite(&slope);
    }
}

#[test]
fn pamr_passes_no_slope_to_its_guide() {
    // A flat guide, whose standard deviation has no slope, and one that is not.
    for guide in [vec![0.5; 9], Random(37).values(Shape::new(1, 1, 3, 3), 1.0)] {
        let (_, slope) = slope_of(Shape::new(1, 1, 3, 3), &guide, &[1.0; 9], |image| {
            refine(&Dual::constant(image.value.clone()), image, &Pamr::default())
        });
        assert_eq!(slope, [0.0; 9]);
    }
}

#[test]
fn without_a_claim_the_segmentation_loss_and_its_slope_are_zero() {
    let shape = Shape::new(2, 3, 4, 5);
    let logits = Random(31).values(shape, 1000.0);
    let (value, slope) = slope_of(shape, &logits, &vec![1.0; shape.count()], |x| {
        let nothing = x.fill(x.shape(), 0.0)?;
        let labels = nothing.sum(Axes::Spatial)?.narrow_channels(0, 2)?;
        segmentation_loss(x, &nothing)?.add(&gated_segmentation_loss_mean(x, &nothing, &labels)?)
    });
    assert_eq!((value, slope), (vec![0.0], vec![0.0]));
}

#[test]
fn all_overrides_are_finite_at_saturated_scores() {
    let mut memory = vec![f32::NAN; 1 << 16];
    let arena = Arena::new(&mut memory);
    let shape = Shape::new(1, 2, 3, 3);
    for score in [1000.0, -1000.0] {
        let scores = arena.tensor(shape, &[score; 18]).unwrap();
        let labels = arena.tensor(Shape::new(1, 2, 1, 1), &[1.0, 0.0]).unwrap();
        let head = scores.classify(&Pooling::default()).unwrap();
        let pseudo = drop_absent(&head.masks, &labels).unwrap().pseudo_labels(&Cutoff::default()).unwrap();
        let logits = wseg_core::activation::with_background(&scores, 1.0).unwrap();
        for tensor in [
            head.scores.soft_margin(&labels).unwrap(),
            logits.log_softmax().unwrap(),
            logits.segmentation_loss(&pseudo).unwrap(),
            scores.cam_masks(&Cam::default()).unwrap(),
            head.masks.pamr(&scores, &Pamr::default()).unwrap(),
            head.masks,
            head.scores,
        ] {
            assert_finite(&values(&tensor));
        }
    }
}
