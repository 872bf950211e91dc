//! Evaluating masks in files, on all threads.

use std::path::PathBuf;

use rayon::prelude::*;

use super::{Evaluation, Evaluator, Measures, Mistake};
use crate::{
    Error, Result,
    data::{Classes, Problems},
    picture,
};

/// A predicted mask and the true one, as files.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What the image is called.
    pub name: String,
    /// The predicted mask.
    pub prediction: PathBuf,
    /// The true mask; pixels of value [`VOID`](crate::palette::VOID) do not count.
    pub truth: PathBuf,
}

/// Compares masks in files. The result does not depend on the number of threads.
///
/// # Errors
/// Names every file that is missing, unreadable, of another size than its counterpart, or holds a value that is no class.
/// There is no report over a part of the pairs.
pub fn evaluate(pairs: &[Pair], classes: &Classes, measures: &Measures) -> Result<Evaluation> {
    let new = || (Evaluator::new(classes.clone(), measures.clone()), Vec::new());
    // Parts are joined in the order of the pairs: counts are whole numbers, and fractions are added up at the end.
    let (evaluator, problems) = pairs
        .par_iter()
        .fold(new, |(mut evaluator, mut problems), pair| {
            if let Err(errors) = add_pair(&mut evaluator, pair) {
                problems.extend(errors);
            }
            (evaluator, problems)
        })
        .reduce(new, |(mut evaluator, mut problems), (other, others)| {
            evaluator.merge(other);
            problems.extend(others);
            (evaluator, problems)
        });
    let mut all = Problems::default();
    problems.iter().for_each(|error| all.push_error(error));
    all.into_result_with_all(|count| format!("{count} masks cannot be used, so nothing was evaluated"))?;
    Ok(evaluator.finish())
}

fn add_pair(evaluator: &mut Evaluator, pair: &Pair) -> Result<(), Vec<Error>> {
    let (prediction, truth) = match (picture::read_mask(&pair.prediction), picture::read_mask(&pair.truth)) {
        (Ok(prediction), Ok(truth)) => (prediction, truth),
        (prediction, truth) => return Err([prediction.err(), truth.err()].into_iter().flatten().collect()),
    };
    if (prediction.width, prediction.height) != (truth.width, truth.height) {
        let truth = format!("{} has {} x {}", pair.truth.display(), truth.width, truth.height);
        let problem = format!("{} x {} pixels, but its true mask {truth}", prediction.width, prediction.height);
        return Err(vec![Error::input(&pair.prediction, problem)]);
    }
    evaluator.add(&pair.name, &prediction, &truth).map_err(|mistake| {
        vec![match mistake {
            Mistake::Prediction(problem) => Error::input(&pair.prediction, problem),
            Mistake::Truth(problem) => Error::input(&pair.truth, problem),
        }]
    })
}
