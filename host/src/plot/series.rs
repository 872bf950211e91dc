//! From the log of a run to lines: which numbers share a panel, and how many points are worth drawing.

use crate::log::EpochLog;

/// What was logged of a run, and how the run is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// The run's name in the legend.
    pub name: String,
    /// Its epochs, in rising order.
    pub epochs: Vec<EpochLog>,
}

/// On which photos a number was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Training,
    Validation,
}

/// Whether a good number is small or large, if it is a measure of how good the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Best {
    Lowest,
    Highest,
}

/// A number of an epoch.
type Number = fn(&EpochLog) -> Option<f64>;

/// What is drawn in one panel.
pub(super) struct Subject {
    pub(super) title: &'static str,
    pub(super) numbers: &'static [(Stage, Number)],
    /// What is best of the validation numbers.
    pub(super) best: Option<Best>,
}

/// The panels there can be; one of which nothing was logged is left out.
pub(super) const SUBJECTS: &[Subject] = &[
    Subject {
        title: "Classification loss",
        numbers: &[(Stage::Training, |log| log.loss_classification), (Stage::Validation, |log| log.validation_loss)],
        best: Some(Best::Lowest),
    },
    Subject {
        title: "Segmentation loss",
        numbers: &[
            (Stage::Training, |log| log.loss_segmentation),
            (Stage::Validation, |log| log.validation_loss_segmentation),
        ],
        best: None,
    },
    Subject {
        title: "Mean IoU (%)",
        numbers: &[(Stage::Validation, |log| log.validation_miou)],
        best: Some(Best::Highest),
    },
    Subject {
        title: "Mean average precision (%)",
        numbers: &[(Stage::Validation, |log| log.validation_map)],
        best: Some(Best::Highest),
    },
    Subject { title: "Learning rate", numbers: &[(Stage::Training, |log| Some(log.rate))], best: None },
    Subject {
        title: "Photos per second",
        numbers: &[(Stage::Training, |log| Some(log.photos_per_second))],
        best: None,
    },
];

/// A number over the epochs of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Which of the runs.
    pub(super) run: usize,
    pub(super) stage: Stage,
    /// Epoch and value.
    pub(super) points: Vec<(f64, f64)>,
}

/// A number that large is a slip of a foreign file, and would leave nothing to see of the others.
const LARGEST: f64 = 1e12;
/// More points than there are pixels tell nothing more.
const MOST_POINTS: usize = 1500;

impl Subject {
    /// The lines of all runs of which there is a point.
    pub(super) fn lines(&self, runs: &[Curves]) -> Vec<Line> {
        let line = |run: usize, stage: Stage, number: Number| {
            let of = |log: &EpochLog| number(log).map(|value| (log.epoch as f64, value));
            let drawn = |point: &(f64, f64)| point.0 < LARGEST && point.1.abs() < LARGEST;
            let points: Vec<(f64, f64)> = runs[run].epochs.iter().filter_map(of).filter(drawn).collect();
            Line { run, stage, points: thinned(points) }
        };
        let each = |run| self.numbers.iter().map(move |(stage, number)| line(run, *stage, *number));
        (0..runs.len()).flat_map(each).filter(|line| !line.points.is_empty()).collect()
    }
}

/// The best of some points, the first among equals.
pub(super) fn best_of(points: &[(f64, f64)], best: Best) -> Option<(f64, f64)> {
    let better = |one: f64, other: f64| match best {
        Best::Lowest => one < other,
        Best::Highest => one > other,
    };
    points.iter().copied().reduce(|kept, point| if better(point.1, kept.1) { point } else { kept })
}

/// Of so many points in a row that they fall together, the lowest and the highest.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points;
    }
    let together = (2 * points.len()).div_ceil(MOST_POINTS);
    let ends = |chunk: &[(f64, f64)]| {
        let (low, high) = (best_of(chunk, Best::Lowest), best_of(chunk, Best::Highest));
        let mut ends: Vec<(f64, f64)> = low.into_iter().chain(high).collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        ends.dedup();
        ends
    };
    points.chunks(together).flat_map(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_order_and_extremes() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|x| (f64::from(x), f64::from(x * 7919 % 100_003))).collect();
        let thin = thinned(points.clone());
        assert!(thin.len() <= MOST_POINTS && thin.len() > MOST_POINTS / 2, "{}", thin.len());
        assert!(thin.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for best in [Best::Lowest, Best::Highest] {
            assert_eq!(best_of(&thin, best), best_of(&points, best));
        }
        assert_eq!(thinned(points[..9].to_vec()), points[..9]);
    }

    #[test]
    fn what_was_not_logged_has_no_line() {
        let log = |epoch| EpochLog { epoch, loss_classification: Some(1e300), rate: 0.1, ..EpochLog::default() };
        let runs = [Curves { name: "run".to_owned(), epochs: vec![log(1), log(2)] }];
        let drawn: Vec<&str> =
            SUBJECTS.iter().filter(|subject| !subject.lines(&runs).is_empty()).map(|subject| subject.title).collect();
        assert_eq!(drawn, ["Learning rate", "Photos per second"]);
        assert_eq!(SUBJECTS[4].lines(&runs)[0].points, [(1.0, 0.1), (2.0, 0.1)]);
    }
}
