//! Measures of a result: confusion counts with what follows from them, and average precision.
//!
//! All fractions lie in 0..=1. What is not defined, such as the IoU of a class that occurs nowhere, is `None` and
//! left out of means.

use core::fmt;

use crate::arena::Real;

/// What can go wrong while measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// Slices that have to be of one length, or counts that have to be `classes * classes`.
    Length {
        /// The length needed.
        expected: usize,
        /// The length given.
        given: usize,
    },
    /// A truth that is neither a class nor the ignored value.
    Truth {
        /// The value.
        value: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A prediction that is not a class.
    Prediction {
        /// The value.
        value: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A score that is not a number.
    Score {
        /// Its place.
        index: usize,
    },
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, given } => write!(f, "{given} elements where {expected} are needed"),
            Self::Truth { value, classes } => {
                write!(f, "the ground truth holds {value}, but there are {classes} classes")
            }
            Self::Prediction { value, classes } => {
                write!(f, "the prediction holds {value}, but there are {classes} classes")
            }
            Self::Score { index } => write!(f, "score {index} is not a number"),
        }
    }
}

impl core::error::Error for MetricError {}

/// Counts of pixels by truth and prediction, over memory that the caller lends.
///
/// ```
/// use wseg_core::metric::Confusion;
///
/// let mut counts = [0; 4];
/// let mut confusion = Confusion::new(&mut counts, 2, Some(255))?;
/// confusion.add(&[0_u8, 1, 1, 255], &[0_u8, 1, 0, 1])?;
/// assert_eq!(confusion.iou(1), Some(0.5));
/// # Ok::<(), wseg_core::metric::MetricError>(())
/// ```
#[derive(Debug)]
pub struct Confusion<'c> {
    counts: &'c mut [u64],
    classes: usize,
    ignore: Option<usize>,
}

impl<'c> Confusion<'c> {
    /// Continues counting in `counts`, `classes * classes` long, `counts[truth * classes + prediction]`; pass zeros
    /// to begin. Pixels whose truth is `ignore` are left out.
    ///
    /// # Errors
    /// [`MetricError::Length`] if `counts` is not `classes * classes` long.
    pub fn new(counts: &'c mut [u64], classes: usize, ignore: Option<usize>) -> Result<Self, MetricError> {
        let expected = classes.saturating_mul(classes);
        if counts.len() != expected {
            return Err(MetricError::Length { expected, given: counts.len() });
        }
        Ok(Self { counts, classes, ignore })
    }

    /// Counts the pixels of one image. After an error nothing of the image is counted.
    ///
    /// # Errors
    /// [`MetricError::Length`] if the two differ in length, [`MetricError::Truth`] or [`MetricError::Prediction`] if a
    /// value is not a class (predictions on ignored pixels may be anything).
    pub fn add<L: Copy + Into<usize>>(&mut self, truth: &[L], prediction: &[L]) -> Result<(), MetricError> {
        if truth.len() != prediction.len() {
            return Err(MetricError::Length { expected: truth.len(), given: prediction.len() });
        }
        let (classes, ignore) = (self.classes, self.ignore);
        let pixels = || {
            let pairs = truth.iter().zip(prediction).map(|(&truth, &prediction)| (truth.into(), prediction.into()));
            pairs.filter(move |&(truth, _)| Some(truth) != ignore)
        };
        for (truth, prediction) in pixels() {
            if truth >= classes {
                return Err(MetricError::Truth { value: truth, classes });
            }
            if prediction >= classes {
                return Err(MetricError::Prediction { value: prediction, classes });
            }
        }
        for (truth, prediction) in pixels() {
            self.counts[truth * classes + prediction] += 1;
        }
        Ok(())
    }

    /// Number of classes, background included.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Pixels of class `truth` predicted as `prediction`; 0 outside the classes.
    #[must_use]
    pub fn count(&self, truth: usize, prediction: usize) -> u64 {
        let inside = truth < self.classes && prediction < self.classes;
        if inside { self.counts[truth * self.classes + prediction] } else { 0 }
    }

    /// Pixels whose truth is `class`.
    fn truths(&self, class: usize) -> u64 {
        (0..self.classes).map(|prediction| self.count(class, prediction)).sum()
    }

    /// Pixels predicted as `class`.
    fn predictions(&self, class: usize) -> u64 {
        (0..self.classes).map(|truth| self.count(truth, class)).sum()
    }

    /// Intersection over union of a class; `None` if it is neither in truth nor in prediction.
    #[must_use]
    pub fn iou(&self, class: usize) -> Option<f64> {
        let hits = self.count(class, class);
        ratio(hits, self.truths(class) + self.predictions(class) - hits)
    }

    /// Share of the pixels predicted as a class that are of it; `None` if it is never predicted.
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.predictions(class))
    }

    /// Share of a class's pixels that are predicted as it; `None` if it is not in the truth.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.count(class, class), self.truths(class))
    }

    /// Mean IoU over all classes, background (class 0) included, for which it is defined.
    #[must_use]
    pub fn mean_iou(&self) -> Option<f64> {
        mean((0..self.classes).map(|class| self.iou(class)))
    }

    /// Mean IoU over the classes without background (class 0) for which it is defined.
    #[must_use]
    pub fn mean_foreground_iou(&self) -> Option<f64> {
        mean((1..self.classes).map(|class| self.iou(class)))
    }

    /// Share of the counted pixels that are predicted right; `None` if none is counted.
    #[must_use]
    pub fn pixel_accuracy(&self) -> Option<f64> {
        let hits = (0..self.classes).map(|class| self.count(class, class)).sum();
        ratio(hits, self.counts.iter().sum())
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean of the values that are defined; `None` if none is.
pub fn mean(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (total, count) = values.into_iter().flatten().fold((0.0, 0_u32), |(total, count), v| (total + v, count + 1));
    (count > 0).then(|| total / f64::from(count))
}

/// Average precision of one class: the sum over distinct scores, from the highest, of `(R_n - R_{n-1}) P_n`, where
/// equal scores enter together. `None` if nothing is positive. `order` is scratch memory, one element a score.
///
/// # Errors
/// [`MetricError::Length`] if the three slices differ in length, [`MetricError::Score`] if a score is NaN.
///
/// # Reference
/// scikit-learn's `average_precision_score`.
pub fn average_precision<F: Real>(
    scores: &[F],
    positive: &[bool],
    order: &mut [usize],
) -> Result<Option<f64>, MetricError> {
    for given in [positive.len(), order.len()] {
        if given != scores.len() {
            return Err(MetricError::Length { expected: scores.len(), given });
        }
    }
    if let Some(index) = scores.iter().position(|score| score.to_f64().is_nan()) {
        return Err(MetricError::Score { index });
    }
    order.iter_mut().enumerate().for_each(|(index, place)| *place = index);
    order.sort_unstable_by(|&a, &b| scores[b].to_f64().total_cmp(&scores[a].to_f64()));
    let (mut retrieved, mut hits, mut area) = (0_u64, 0_u64, 0.0);
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let found = equal.iter().filter(|&&index| positive[index]).count() as u64;
        retrieved += equal.len() as u64;
        hits += found;
        area += found as f64 * (hits as f64 / retrieved as f64);
    }
    Ok((hits > 0).then(|| area / hits as f64))
}
