//! Analytic gradients: definitions and slices against the golden files, finite differences and each other.

mod support;

use support::{Random, assert_close, golden::Golden, random_claims, values, with_arena};
use wseg_core::{
    Kernels, Pooling, Shape, Tensor, gradient,
    loss::{gated_segmentation_loss_mean, segmentation_loss},
    pooling::{classify, focal_penalty},
    slices::{self, Real},
};

/// Share of the largest value that an element may be off: as for every golden case.
trait Tolerance: Real {
    const TOLERANCE: f64;
}

impl Tolerance for f32 {
    const TOLERANCE: f64 = 1e-5;
}

impl Tolerance for f64 {
    const TOLERANCE: f64 = 1e-10;
}

fn cast<F: Real>(values: &[f64]) -> Vec<F> {
    values.iter().map(|&value| F::from_f64(value)).collect()
}

fn back<F: Real>(values: &[F]) -> Vec<f64> {
    values.iter().map(|value| value.to_f64()).collect()
}

/// Slices of NaN, which must not show.
fn blank<F: Real>(len: usize) -> Vec<F> {
    vec![F::from_f64(f64::NAN); len]
}

/// Class scores of logits, and the gradient for a cotangent of them, in scratch memory that is too long.
fn head<F: Real>(
    shape: Shape,
    logits: &[F],
    cotangent: impl Fn(&[F]) -> Vec<F>,
    pooling: &Pooling,
) -> (Vec<F>, Vec<F>) {
    let (mut masks, mut scores) = (blank(shape.with_channels(shape.c + 1).count()), blank(shape.n * shape.c));
    slices::classify(shape, logits, pooling, &mut masks, &mut scores).unwrap();
    let (mut gradient, mut scratch) = (blank(logits.len()), blank(slices::class_scores_gradient_scratch(shape) + 9));
    let cotangent = cotangent(&scores);
    slices::class_scores_gradient(shape, logits, &cotangent, pooling, &mut gradient, &mut scratch).unwrap();
    (scores, gradient)
}

/// Segmentation loss and its gradient.
fn segmentation<F: Real>(from: Shape, logits: &[F], to: Shape, pseudo: &[F]) -> (F, Vec<F>) {
    let mut scratch = blank(slices::segmentation_loss_scratch(to) + 100);
    let loss = slices::segmentation_loss(from, logits, to, pseudo, &mut scratch).unwrap();
    let mut gradient = blank(logits.len());
    slices::segmentation_loss_gradient(from, logits, to, pseudo, &mut gradient, &mut scratch).unwrap();
    (loss, gradient)
}

/// The gated loss and its gradient.
fn gated<F: Real>(from: Shape, logits: &[F], to: Shape, pseudo: &[F], labels: &[F]) -> (F, Vec<F>) {
    let mut scratch = blank(slices::segmentation_loss_scratch(to) + 100);
    let loss = slices::gated_segmentation_loss(from, logits, to, pseudo, labels, &mut scratch).unwrap();
    let mut gradient = blank(logits.len());
    slices::gated_segmentation_loss_gradient(from, logits, to, pseudo, labels, &mut gradient, &mut scratch).unwrap();
    (loss, gradient)
}

/// Labels `[n, c - 1]` of the classes that each sample claims, but for the last sample, whose first label is wrong; and
/// the background claimed by all.
fn labels_of(pseudo: &mut [f64], shape: Shape) -> Vec<f64> {
    let plane = shape.h * shape.w;
    let mut labels = Vec::new();
    for sample in pseudo.chunks_mut(shape.c * plane) {
        (0..shape.c).for_each(|c| sample[c * plane] = f64::from(u8::from(c == 0)));
        labels.extend((1..shape.c).map(|c| f64::from(u8::from(sample[c * plane..][..plane].contains(&1.0)))));
    }
    let wrong = labels.len() - (shape.c - 1);
    labels[wrong] = 1.0 - labels[wrong];
    labels
}

fn gradients_equal_the_golden_ones<F: Tolerance>() {
    for name in ["classification_small", "classification_eps0", "classification_saturated", "classification_voc"] {
        let golden = Golden::read(name);
        let number = |name| golden.number(name);
        let pooling = Pooling {
            epsilon: number("epsilon"),
            p: number("p"),
            lambda: number("lambda"),
            background: number("background"),
        };
        let ((shape, logits), (_, labels)) = (golden.array("in.logits"), golden.array("in.labels"));
        let labels = cast::<F>(&labels);
        let cotangent = |scores: &[F]| {
            let mut cotangent = blank(scores.len());
            slices::soft_margin_gradient(scores, &labels, &mut cotangent).unwrap();
            cotangent
        };
        let (scores, gradient) = head::<F>(shape, &cast(&logits), cotangent, &pooling);
        assert_close(&back(&scores), &golden.array("out.scores").1, F::TOLERANCE);
        let loss = slices::soft_margin(&scores, &labels).unwrap().to_f64();
        assert_close(&[loss], &golden.array("out.loss_cls").1, F::TOLERANCE);
        assert_close(&back(&gradient), &golden.array("out.grad_logits").1, F::TOLERANCE);
    }
    for name in ["segmentation_loss_small", "segmentation_loss_voc"] {
        let golden = Golden::read(name);
        let ((from, logits), (to, pseudo)) = (golden.array("in.logits"), golden.array("in.pseudo"));
        let (loss, gradient) = segmentation::<F>(from, &cast(&logits), to, &cast(&pseudo));
        assert_close(&[loss.to_f64()], &golden.array("out.loss_seg").1, F::TOLERANCE);
        assert_close(&back(&gradient), &golden.array("out.grad_logits").1, F::TOLERANCE);
        let labels = golden.array("in.labels").1;
        let (loss, gradient) = gated::<F>(from, &cast(&logits), to, &cast(&pseudo), &cast(&labels));
        assert_close(&[loss.to_f64()], &golden.array("out.loss_gated_mean").1, F::TOLERANCE);
        assert_close(&back(&gradient), &golden.array("out.grad_gated_logits").1, F::TOLERANCE);
    }
}

#[test]
fn gradients_equal_the_golden_ones_in_f32() {
    gradients_equal_the_golden_ones::<f32>();
}

#[test]
fn gradients_equal_the_golden_ones_in_f64() {
    gradients_equal_the_golden_ones::<f64>();
}

/// Central differences of a scalar function, one element after the other.
fn differences(at: &[f64], scalar: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-5;
    let moved = |index: usize, by: f64| {
        let mut moved = at.to_vec();
        moved[index] += by;
        scalar(&moved)
    };
    (0..at.len()).map(|index| (moved(index, step) - moved(index, -step)) / (2.0 * step)).collect()
}

/// Truncation 1e-10 and cancellation 1e-16 / 1e-5, with room for third derivatives.
const DIFFERENCE: f64 = 1e-7;

const POOLINGS: [Pooling; 4] = [
    Pooling { epsilon: 1.0, p: 3.0, lambda: 0.01, background: 1.0 },
    Pooling { epsilon: 0.0, p: 1.0, lambda: 0.1, background: -0.5 },
    Pooling { epsilon: 1e-6, p: 0.0, lambda: 0.01, background: 0.0 },
    Pooling { epsilon: 2.0, p: 1.5, lambda: 1.0, background: 1.0 },
];

#[test]
fn class_score_gradients_are_those_of_central_differences() {
    let mut random = Random(41);
    for pooling in &POOLINGS {
        for shape in [Shape::new(2, 3, 4, 5), Shape::new(1, 1, 1, 1), Shape::new(1, 2, 9, 8)] {
            let logits = random.values(shape, 3.0);
            let cotangent = random.values(shape.with_size(1, 1), 1.0);
            let (_, gradient) = head(shape, &logits, |_| cotangent.clone(), pooling);
            let expected = differences(&logits, |logits| {
                let (scores, _) = head(shape, logits, |_| cotangent.clone(), pooling);
                scores.iter().zip(&cotangent).map(|(score, cotangent)| score * cotangent).sum()
            });
            assert_close(&gradient, &expected, DIFFERENCE);
        }
    }
}

#[test]
fn loss_gradients_are_those_of_central_differences() {
    let mut random = Random(43);
    let shape = Shape::new(2, 3, 1, 1);
    let (scores, labels) = (random.values(shape, 4.0), [1.0, 0.0, 0.0, 1.0, 0.5, 0.0]);
    let mut gradient = blank(6);
    slices::soft_margin_gradient(&scores, &labels, &mut gradient).unwrap();
    let expected = differences(&scores, |scores| slices::soft_margin(scores, &labels).unwrap());
    assert_close(&gradient, &expected, DIFFERENCE);

    // Enlarged, reduced, of one pixel, the same, wider than a tile.
    for ((h, w), (rows, columns)) in
        [((3, 4), (7, 9)), ((6, 6), (2, 3)), ((1, 1), (5, 4)), ((4, 3), (4, 3)), ((2, 9), (3, 70))]
    {
        let (from, to) = (Shape::new(2, 3, h, w), Shape::new(2, 3, rows, columns));
        let (logits, pseudo) = (random.values(from, 3.0), random_claims(&mut random, to));
        let (_, gradient) = segmentation(from, &logits, to, &pseudo);
        let expected = differences(&logits, |logits| segmentation(from, logits, to, &pseudo).0);
        assert_close(&gradient, &expected, DIFFERENCE);
        let mut pseudo = pseudo;
        let labels = labels_of(&mut pseudo, to);
        let (_, gradient) = gated(from, &logits, to, &pseudo, &labels);
        let expected = differences(&logits, |logits| gated(from, logits, to, &pseudo, &labels).0);
        assert_close(&gradient, &expected, DIFFERENCE);
        let (counted, not) = gradient.split_at(gradient.len() / 2);
        assert!(counted.iter().any(|&slope| slope != 0.0) && not.iter().all(|&slope| slope == 0.0));
    }
}

#[test]
fn slices_equal_the_definitions() {
    let mut random = Random(47);
    with_arena(|arena| {
        for shape in [Shape::new(2, 3, 4, 5), Shape::new(1, 4, 9, 70), Shape::new(3, 1, 1, 1)] {
            let scores = random.values(shape, 5.0);
            let labels = random.values(shape.with_size(1, 1), 1.0);
            let (tensor, side) =
                (arena.tensor(shape, &scores).unwrap(), arena.tensor(shape.with_size(1, 1), &labels).unwrap());
            for pooling in &POOLINGS {
                let (_, actual) = head(shape, &scores, |_| labels.clone(), pooling);
                let expected = gradient::class_scores(&tensor, &side, pooling).unwrap();
                assert_close(&actual, &values(&expected), 1e-13);
            }
            let heights = classify(&tensor, &POOLINGS[0]).unwrap().scores;
            let mut actual = blank(labels.len());
            slices::soft_margin_gradient(&values(&heights), &labels, &mut actual).unwrap();
            assert_close(&actual, &values(&gradient::soft_margin(&heights, &side).unwrap()), 1e-14);
            let claims = random_claims(&mut random, shape);
            let pseudo = arena.tensor(shape, &claims).unwrap();
            let (loss, actual) = segmentation(shape, &scores, shape, &claims);
            assert_close(&actual, &values(&gradient::segmentation_loss(&tensor, &pseudo).unwrap()), 1e-13);
            assert_close(&[loss], &values(&segmentation_loss(&tensor, &pseudo).unwrap()), 1e-13);
            if shape.c > 1 {
                let mut claims = claims;
                let labels = labels_of(&mut claims, shape);
                let pseudo = arena.tensor(shape, &claims).unwrap();
                let side = arena.tensor(Shape::new(shape.n, shape.c - 1, 1, 1), &labels).unwrap();
                let (loss, actual) = gated(shape, &scores, shape, &claims, &labels);
                let expected = gradient::gated_segmentation_loss(&tensor, &pseudo, &side).unwrap();
                assert_close(&actual, &values(&expected), 1e-13);
                let expected = gated_segmentation_loss_mean(&tensor, &pseudo, &side).unwrap();
                assert_close(&[loss], &values(&expected), 1e-13);
            }
        }
    });
}

#[test]
fn the_penalty_slope_is_that_of_its_definition() {
    with_arena(|arena| {
        for (p, lambda) in [(3.0, 0.01), (1.0, 0.1), (0.0, 0.01), (2.5, 1.0)] {
            for mean in [0.0, 0.2, 0.999] {
                let at = |mean: f64| {
                    let mask = arena.tensor(Shape::SCALAR, &[mean]).unwrap();
                    values(&focal_penalty(&mask, p, lambda).unwrap())[0]
                };
                let step = 1e-7;
                // One-sided at 0, where the mean cannot fall.
                let below = f64::max(mean - step, 0.0);
                let expected = (at(mean + step) - at(below)) / (mean + step - below);
                let mask = arena.tensor(Shape::SCALAR, &[mean]).unwrap();
                assert_close(&values(&gradient::focal_penalty(&mask, p, lambda).unwrap()), &[expected], 1e-4);
            }
        }
    });
}

#[test]
fn saturated_scores_have_finite_gradients() {
    let shape = Shape::new(1, 2, 3, 3);
    let to = Shape::new(1, 2, 5, 4);
    let pseudo = random_claims(&mut Random(53), to);
    for level in [1000.0_f32, -1000.0, 0.0] {
        let logits: Vec<f32> = (0..18).map(|i| if i % 3 == 0 { -level } else { level }).collect();
        let (scores, gradient) = head(shape, &logits, |scores| scores.to_vec(), &Pooling::default());
        let mut slopes = blank(2);
        slices::soft_margin_gradient(&scores, &[1.0, 0.0], &mut slopes).unwrap();
        let (loss, more) = segmentation(shape, &logits, to, &cast(&pseudo));
        let all = [scores, gradient, slopes, more, vec![loss]].concat();
        assert!(all.iter().all(|value| value.is_finite()), "{all:?}");
    }
}

#[test]
fn without_a_claim_the_gradient_is_zero() {
    let shape = Shape::new(2, 3, 4, 5);
    let logits = Random(59).values(shape, 9.0);
    let (loss, gradient) = segmentation(shape, &logits, shape, &vec![0.0; shape.count()]);
    assert_eq!((loss, gradient), (0.0, vec![0.0; shape.count()]));
    let (loss, gradient) = gated(shape, &logits, shape, &vec![0.0; shape.count()], &[0.0; 4]);
    assert_eq!((loss, gradient), (0.0, vec![0.0; shape.count()]));
}

#[test]
fn shapes_that_do_not_go_together_are_refused() {
    with_arena(|arena| {
        let make = |shape: Shape| arena.tensor(shape, &vec![0.5; shape.count()]).unwrap();
        let (map, side) = (make(Shape::new(1, 2, 3, 3)), make(Shape::new(1, 3, 1, 1)));
        assert!(gradient::class_scores(&map, &side, &Pooling::default()).is_err());
        assert!(gradient::soft_margin(&map, &side).is_err());
        assert!(gradient::segmentation_loss(&map, &map.resize(2, 2, wseg_core::Corners::Aligned).unwrap()).is_err());
        assert!(map.segmentation_loss(&map).is_ok());
        assert!(gradient::gated_segmentation_loss(&map, &map, &side).is_err());
        assert!(gradient::gated_segmentation_loss(&map, &map, &make(Shape::new(1, 1, 1, 1))).is_ok());
    });
}
