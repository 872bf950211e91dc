//! The analytic gradients of core, for backends without automatic differentiation, against candle's automatic ones:
//! the definitions on candle itself, and the slices, in f32 and f64, on random inputs and on those of the golden files.

mod common;

use common::{ensure, fixture, for_all, maps};
use wseg_core::{
    Pooling, Shape, Tensor, gradient, loss,
    pooling::{class_scores, classify},
    slices::{self, Real},
};
use wseg_tests::{
    bench::{
        Bench,
        candle::{CandleF32, CandleF64},
        total,
    },
    failure::Failure,
    golden::Golden,
    sample::Sample,
};

type Outcome = Result<(), Failure>;

/// A precision: candle in it, and the slices' numbers.
trait Precision {
    type Candle: Bench + Default;
    type Number: Real;
}

struct Single;
struct Double;

impl Precision for Single {
    type Candle = CandleF32;
    type Number = f32;
}

impl Precision for Double {
    type Candle = CandleF64;
    type Number = f64;
}

fn cast<F: Real>(values: &[f64]) -> Vec<F> {
    values.iter().map(|&value| F::from_f64(value)).collect()
}

/// A slice that every element is written of.
fn blank<F: Real>(len: usize) -> Vec<F> {
    vec![F::from_f64(f64::NAN); len]
}

/// Holds a gradient against the automatic one, within the precision's tolerance of the largest element.
fn close<P: Precision>(what: &str, way: &str, actual: &[f64], expected: &[f64]) -> Outcome {
    let largest = expected.iter().fold(0.0_f64, |largest, slope| largest.max(slope.abs()));
    ensure!(actual.len() == expected.len(), "{what}: {} slopes instead of {}", actual.len(), expected.len());
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        // Where all slopes cancel, what is left is rounding of numbers up to 1.
        let allowed = P::Candle::TOLERANCE * largest.max(1e-3);
        let near = (actual - expected).abs() <= allowed;
        ensure!(near, "{what} by the {way}: element {index} is {actual}, automatic {expected}, largest {largest}");
    }
    Ok(())
}

/// A gradient's two forms, both held against candle's automatic gradient of `scalar` at `values`.
struct Case<'a> {
    what: &'a str,
    shape: Shape,
    values: &'a [f64],
}

impl Case<'_> {
    /// The definition.
    fn definition<P: Precision>(
        &self,
        automatic: &[f64],
        of: impl Fn(&<P::Candle as Bench>::T) -> Result<<P::Candle as Bench>::T, Failure>,
    ) -> Outcome {
        let candle = P::Candle::default();
        let at = candle.load(self.shape, self.values)?;
        close::<P>(self.what, "definition", &candle.read(&of(&at)?)?, automatic)
    }

    /// The slices.
    fn slices<P: Precision>(&self, automatic: &[f64], of: impl Fn(&[P::Number], &mut [P::Number])) -> Outcome {
        let mut actual = blank(self.values.len());
        of(&cast(self.values), &mut actual);
        let actual: Vec<f64> = actual.into_iter().map(Real::to_f64).collect();
        close::<P>(self.what, "slices", &actual, automatic)
    }

    /// candle's own.
    fn automatic<B: Bench>(&self, bench: &B, of: impl Fn(&B::T) -> Result<B::T, Failure>) -> Result<Vec<f64>, Failure> {
        bench.gradient(self.shape, self.values, &of)?.ok_or_else(|| Failure::new("candle gave no gradient"))
    }
}

/// Class scores for a cotangent.
fn scores_of<P: Precision>(shape: Shape, logits: &[f64], cotangent: &[f64], pooling: &Pooling) -> Outcome {
    let case = Case { what: "class scores", shape, values: logits };
    let (candle, side) = (P::Candle::default(), shape.with_size(1, 1));
    let given = candle.load(side, cotangent)?;
    let automatic = case.automatic(&candle, |y| {
        let masks = classify(y, pooling)?.masks.narrow_channels(1, shape.c)?;
        Ok(total(&class_scores(y, &masks, pooling)?.mul(&given)?)?)
    })?;
    case.definition::<P>(&automatic, |y| Ok(gradient::class_scores(y, &given, pooling)?))?;
    case.slices::<P>(&automatic, |logits, out| {
        let mut scratch = blank(slices::class_scores_gradient_scratch(shape));
        slices::class_scores_gradient(shape, logits, &cast(cotangent), pooling, out, &mut scratch).unwrap();
    })
}

/// The soft-margin loss of scores.
fn soft_margin_of<P: Precision>(shape: Shape, scores: &[f64], labels: &[f64]) -> Outcome {
    let case = Case { what: "soft margin", shape, values: scores };
    let candle = P::Candle::default();
    let given = candle.load(shape, labels)?;
    let automatic = case.automatic(&candle, |y| Ok(loss::soft_margin(y, &given)?))?;
    case.definition::<P>(&automatic, |y| Ok(gradient::soft_margin(y, &given)?))?;
    case.slices::<P>(&automatic, |scores, out| slices::soft_margin_gradient(scores, &cast(labels), out).unwrap())
}

/// Both segmentation losses of logits; the definitions of the gradients know no resizing.
fn segmentation_of<P: Precision>(
    from: Shape,
    logits: &[f64],
    to: Shape,
    pseudo: &[f64],
    labels: Option<&[f64]>,
) -> Outcome {
    let candle = P::Candle::default();
    let given = candle.load(to, pseudo)?;
    let case = Case { what: "segmentation loss", shape: from, values: logits };
    let automatic = case.automatic(&candle, |y| Ok(loss::segmentation_loss(y, &given)?))?;
    if from == to {
        case.definition::<P>(&automatic, |y| Ok(gradient::segmentation_loss(y, &given)?))?;
    }
    case.slices::<P>(&automatic, |logits, out| {
        let mut scratch = blank(slices::segmentation_loss_scratch(to));
        slices::segmentation_loss_gradient(from, logits, to, &cast(pseudo), out, &mut scratch).unwrap();
    })?;

    let Some(labels) = labels else { return Ok(()) };
    let wanted = candle.load(Shape::new(to.n, to.c - 1, 1, 1), labels)?;
    let case = Case { what: "gated segmentation loss", ..case };
    let automatic = case.automatic(&candle, |y| Ok(loss::gated_segmentation_loss_mean(y, &given, &wanted)?))?;
    if from == to {
        case.definition::<P>(&automatic, |y| Ok(gradient::gated_segmentation_loss(y, &given, &wanted)?))?;
    }
    case.slices::<P>(&automatic, |logits, out| {
        let mut scratch = blank(slices::segmentation_loss_scratch(to));
        let (pseudo, labels) = (cast(pseudo), cast(labels));
        slices::gated_segmentation_loss_gradient(from, logits, to, &pseudo, &labels, out, &mut scratch).unwrap();
    })
}

/// The comparison itself.
#[test]
fn a_wrong_slope_is_found() -> Outcome {
    let wrong = close::<Double>("it", "slices", &[1.0, -2.0 - 1e-9], &[1.0, -2.0]);
    ensure!(wrong.is_err() && close::<Single>("it", "slices", &[f64::NAN], &[1.0]).is_err(), "a wrong slope passes");
    close::<Double>("it", "slices", &[1.0, -2.0 - 1e-10], &[1.0, -2.0])
}

fn random_inputs<P: Precision>() -> Outcome {
    for_all((maps(), 1_usize..=12, 1_usize..=12), |((shape, seed), h, w)| {
        let mut sample = Sample::new(seed);
        let pooling = Pooling {
            epsilon: [0.5, 1.0, 2.0][sample.below(3)],
            p: [0.0, 1.0, 3.0][sample.below(3)],
            lambda: [0.01, 1.0][sample.below(2)],
            ..Pooling::default()
        };
        let side = shape.with_size(1, 1);
        let cotangent = sample.values(side, -1.0, 1.0);
        scores_of::<P>(shape, &sample.values(shape, -3.0, 3.0), &cotangent, &pooling)?;
        soft_margin_of::<P>(side, &sample.values(side, -9.0, 9.0), &sample.labels(shape.n, shape.c))?;
        let pseudo = sample.pseudo(shape);
        // The labels of what is claimed, so that some samples count; at random, hardly any would.
        let plane = shape.h * shape.w;
        let claimed = |map: &[f64]| f64::from(u8::from(map.contains(&1.0)));
        let labels: Vec<f64> =
            pseudo.chunks(shape.c * plane).flat_map(|sample| sample[plane..].chunks(plane).map(claimed)).collect();
        for from in [shape, shape.with_size(h, w)] {
            let logits = sample.values(from, -5.0, 5.0);
            segmentation_of::<P>(from, &logits, shape, &pseudo, (shape.c > 1).then_some(&labels))?;
        }
        Ok(())
    })
}

#[test]
fn on_random_inputs_in_f32() -> Outcome {
    random_inputs::<Single>()
}

#[test]
fn on_random_inputs_in_f64() -> Outcome {
    random_inputs::<Double>()
}

/// An array of a golden file as rank four, and its elements.
fn array(golden: &Golden, name: &str) -> Result<(Shape, Vec<f64>), Failure> {
    let array = golden.array(name)?;
    let extent = |axis: usize| array.extents.get(axis).copied().unwrap_or(1);
    Ok((Shape::new(extent(0), extent(1), extent(2), extent(3)), array.values))
}

fn golden_inputs<P: Precision>() -> Outcome {
    for name in ["classification_small", "classification_eps0", "classification_saturated", "classification_voc"] {
        let golden = Golden::read(&fixture(name))?;
        let ((shape, logits), (side, labels)) = (array(&golden, "in.logits")?, array(&golden, "in.labels")?);
        let number = |name| golden.number(name);
        let pooling = Pooling {
            epsilon: number("epsilon")?,
            p: number("p")?,
            lambda: number("lambda")?,
            background: number("background")?,
        };
        let scores = array(&golden, "out.scores")?.1;
        soft_margin_of::<P>(side, &scores, &labels)?;
        // The cotangent of the file's own gradient.
        let mut cotangent = blank(scores.len());
        slices::soft_margin_gradient(&scores, &labels, &mut cotangent).unwrap();
        scores_of::<P>(shape, &logits, &cotangent, &pooling)?;
    }
    for name in ["segmentation_loss_small", "segmentation_loss_voc"] {
        let golden = Golden::read(&fixture(name))?;
        let ((from, logits), (to, pseudo)) = (array(&golden, "in.logits")?, array(&golden, "in.pseudo")?);
        segmentation_of::<P>(from, &logits, to, &pseudo, Some(&array(&golden, "in.labels")?.1))?;
    }
    Ok(())
}

#[test]
fn on_the_golden_files_in_f32() -> Outcome {
    golden_inputs::<Single>()
}

#[test]
fn on_the_golden_files_in_f64() -> Outcome {
    golden_inputs::<Double>()
}
