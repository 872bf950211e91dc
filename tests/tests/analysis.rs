//! The analysis of section B.1 of the supplement, as tests on every backend: why epsilon is not 0, and where the
//! classification loss saturates.

mod common;

use common::{ensure, for_all, maps, near, on_every_backend};
use wseg_core::{
    Kernels, Shape, Tensor,
    activation::{softmax, with_background},
    loss::soft_margin,
    pooling::ngwp,
};
use wseg_tests::{bench::Bench, failure::Failure, sample::Sample};

on_every_backend!(
    equation_17_the_score_of_a_vanishing_mask_tends_to_0,
    equation_18_equal_scores_are_their_own_limit_without_epsilon,
    lemma_1_two_paths_have_two_limits_without_epsilon,
    lemma_1_has_no_counterpart_with_epsilon,
    inequality_20_epsilon_lifts_negative_scores,
    inequality_20_bounds_the_score_of_an_absent_class,
    epsilon_hardly_matters_for_a_present_class,
    figure_9_each_branch_saturates_at_0,
    figure_9_each_branch_is_linear_on_the_wrong_side,
    figure_9_gradients_vanish_where_the_loss_does,
);

type Outcome = Result<(), Failure>;

/// Powers of ten down to what f32 can still tell from 0.
const VANISHING: [f64; 6] = [1.0, 1e-2, 1e-4, 1e-8, 1e-16, 1e-30];

/// (17): with epsilon > 0, `sum m y / (epsilon + sum m) -> 0` as all m go to 0.
fn equation_17_the_score_of_a_vanishing_mask_tends_to_0<B: Bench>(bench: &B) -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let (scores, masks) = (sample.values(shape, -5.0, 5.0), sample.masks(shape));
        let (scores, masks) = (bench.load(shape, &scores)?, bench.load(shape, &masks)?);
        let epsilon = 1.0;
        for t in VANISHING {
            let pooled = bench.read(&ngwp(&scores, &masks.affine(t, 0.0)?, epsilon)?)?;
            // |sum m y| / (epsilon + sum m) <= max |y| sum m / epsilon, and the sum is at most t h w.
            let bound = 5.0 * t * (shape.h * shape.w) as f64 / epsilon;
            ensure!(pooled.iter().all(|score| score.abs() <= bound * (1.0 + 1e-5)), "{pooled:?} beyond {bound}");
        }
        Ok(())
    })
}

/// (18): with epsilon = 0 and all scores d, the limit is d.
fn equation_18_equal_scores_are_their_own_limit_without_epsilon<B: Bench>(bench: &B) -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let d = sample.uniform(-5.0, 5.0);
        let scores = bench.load(shape, &vec![d; shape.count()])?;
        let masks = bench.load(shape, &sample.masks(shape))?;
        for t in VANISHING {
            let pooled = bench.read(&ngwp(&scores, &masks.affine(t, 0.0)?, 0.0)?)?;
            near::<B>("score", &pooled, &vec![d; pooled.len()], 0.0)?;
        }
        Ok(())
    })
}

/// The pooled score along the path of the proof: `m_k = t`, all other masks 0.
fn along_path<B: Bench>(bench: &B, scores: &[f64], k: usize, t: f64, epsilon: f64) -> Result<f64, Failure> {
    let shape = Shape::new(1, 1, 1, scores.len());
    let mut masks = vec![0.0; scores.len()];
    masks[k] = t;
    Ok(bench.read(&ngwp(&bench.load(shape, scores)?, &bench.load(shape, &masks)?, epsilon)?)?[0])
}

/// Lemma 1: with epsilon = 0 and `y_k != y_l`, the paths along k and along l end at `y_k` and at `y_l`.
fn lemma_1_two_paths_have_two_limits_without_epsilon<B: Bench>(bench: &B) -> Outcome {
    let scores = [-3.0, 0.5, 2.0, 4.0];
    for t in VANISHING {
        for (k, score) in scores.iter().enumerate() {
            near::<B>("limit", &[along_path(bench, &scores, k, t, 0.0)?], &[*score], 0.0)?;
        }
    }
    let (first, last) = (along_path(bench, &scores, 0, 1e-30, 0.0)?, along_path(bench, &scores, 3, 1e-30, 0.0)?);
    ensure!((last - first - 7.0).abs() < 1e-5, "one limit after all: {first} and {last}");
    Ok(())
}

/// With epsilon > 0 the same paths end at the same limit, 0.
fn lemma_1_has_no_counterpart_with_epsilon<B: Bench>(bench: &B) -> Outcome {
    let scores = [-3.0, 0.5, 2.0, 4.0];
    for k in 0..scores.len() {
        let limit = along_path(bench, &scores, k, 1e-30, 1.0)?;
        ensure!(limit.abs() <= 1e-29, "{limit} along {k}");
    }
    Ok(())
}

/// (20): for negative scores and masks that do not vanish, the score with epsilon is the larger one.
fn inequality_20_epsilon_lifts_negative_scores<B: Bench>(bench: &B) -> Outcome {
    for_all(maps(), |(shape, seed)| {
        let mut sample = Sample::new(seed);
        let scores = bench.load(shape, &sample.values(shape, -50.0, -0.01))?;
        let masks = bench.load(shape, &sample.masks(shape))?;
        let with_epsilon = bench.read(&ngwp(&scores, &masks, 1.0)?)?;
        let without = bench.read(&ngwp(&scores, &masks, 0.0)?)?;
        for (with_epsilon, without) in with_epsilon.iter().zip(&without) {
            ensure!(with_epsilon > without, "{with_epsilon} is not above {without}");
            ensure!(*with_epsilon <= 0.0, "{with_epsilon} above 0");
        }
        Ok(())
    })
}

/// After (20): pushed down, a class's score without epsilon is unbounded, while with epsilon it returns to 0, since
/// the constant background takes the masks to 0.
fn inequality_20_bounds_the_score_of_an_absent_class<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 1, 2, 2);
    let pooled = |level: f64, epsilon: f64| -> Result<f64, Failure> {
        let scores = bench.load(shape, &[level, level - 0.5, level - 1.0, level - 2.0])?;
        let masks = softmax(&with_background(&scores, 1.0)?)?.narrow_channels(1, 1)?;
        Ok(bench.read(&ngwp(&scores, &masks, epsilon)?)?[0])
    };
    let mut lowest = 0.0_f64;
    for level in [-5.0, -10.0, -20.0, -40.0, -80.0] {
        let without = pooled(level, 0.0)?;
        ensure!((level - 2.0..=level).contains(&without), "{without} is no convex combination");
        lowest = lowest.min(pooled(level, 1.0)?);
    }
    ensure!(lowest > -1.0, "with epsilon the score falls to {lowest}");
    let saturated = pooled(-80.0, 1.0)?;
    ensure!((-1e-30..=0.0).contains(&saturated), "with epsilon the score of a saturated class is {saturated}, not 0");
    // A larger mask makes the score of an absent class smaller: the pull away from saturation.
    let (finite_mask, saturated) = (pooled(-1.0, 1.0)?, pooled(-20.0, 1.0)?);
    ensure!(finite_mask < saturated, "{finite_mask} is not below {saturated}");
    Ok(())
}

/// Closing remark of B.1: for a present class `epsilon << sum m`, and its effect is negligible.
fn epsilon_hardly_matters_for_a_present_class<B: Bench>(bench: &B) -> Outcome {
    let shape = Shape::new(1, 1, 40, 40);
    let scores = bench.load(shape, &Sample::new(20).values(shape, 3.0, 6.0))?;
    let masks = softmax(&with_background(&scores, 1.0)?)?.narrow_channels(1, 1)?;
    let (with_epsilon, without) =
        (bench.read(&ngwp(&scores, &masks, 1.0)?)?, bench.read(&ngwp(&scores, &masks, 0.0)?)?);
    let effect = (without[0] - with_epsilon[0]) / without[0];
    ensure!((0.0..1e-3).contains(&effect), "epsilon changes the score by {effect}");
    Ok(())
}

/// The loss of one class, by definition and by override.
fn losses<B: Bench>(bench: &B, score: f64, label: f64) -> Result<[f64; 2], Failure> {
    let (score, label) = (bench.load(Shape::SCALAR, &[score])?, bench.load(Shape::SCALAR, &[label])?);
    Ok([bench.read(&soft_margin(&score, &label)?)?[0], bench.read(&score.soft_margin(&label)?)?[0]])
}

/// The side on which a class's loss vanishes: +1 for a present class, -1 for an absent one.
const BRANCHES: [(f64, f64); 2] = [(1.0, 1.0), (0.0, -1.0)];

/// Figure 9: `y -> oo` for positive and `y -> -oo` for negative classes take the loss to 0, and it only falls on the
/// way.
fn figure_9_each_branch_saturates_at_0<B: Bench>(bench: &B) -> Outcome {
    for (label, side) in BRANCHES {
        for way in 0..2 {
            let mut previous = f64::INFINITY;
            for y in [-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0] {
                let loss = losses(bench, side * y, label)?[way];
                near::<B>("loss", &[loss], &[(-y).exp().ln_1p()], 8.0)?;
                ensure!(loss < previous, "the loss rises at {y}");
                previous = loss;
            }
            for y in [50.0, 500.0, 1e6] {
                let loss = losses(bench, side * y, label)?[way];
                ensure!((0.0..=1e-15).contains(&loss), "loss {loss} at {y}");
            }
        }
    }
    let at_0 = losses(bench, 0.0, 1.0)?;
    near::<B>("loss at 0", &at_0, &[std::f64::consts::LN_2; 2], 0.0)
}

/// Figure 9, the other side: the loss grows as `|y|`.
fn figure_9_each_branch_is_linear_on_the_wrong_side<B: Bench>(bench: &B) -> Outcome {
    for (label, side) in BRANCHES {
        for y in [50.0, 500.0, 1e6] {
            near::<B>("loss", &losses(bench, -side * y, label)?, &[y; 2], 0.0)?;
        }
    }
    Ok(())
}

/// The gradient is `sigmoid(y) - z`: 0 where the loss saturates, -1 or 1 on the wrong side, -1/2 or 1/2 at 0.
fn figure_9_gradients_vanish_where_the_loss_does<B: Bench>(bench: &B) -> Outcome {
    for (label, side) in BRANCHES {
        let label = bench.load(Shape::SCALAR, &[label])?;
        for (y, slope) in [(1e6, 0.0), (500.0, 0.0), (50.0, 0.0), (0.0, -0.5 * side), (-50.0, -side), (-1e6, -side)] {
            let by_definition = bench.gradient(Shape::SCALAR, &[side * y], &|score| Ok(soft_margin(score, &label)?))?;
            let by_override = bench.gradient(Shape::SCALAR, &[side * y], &|score| Ok(score.soft_margin(&label)?))?;
            for gradient in by_definition.iter().chain(&by_override) {
                near::<B>("gradient", gradient, &[slope], 1.0)?;
            }
        }
    }
    Ok(())
}
