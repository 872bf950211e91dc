//! Counts of pixels by truth and prediction, and the measures of regions that follow from them.

use super::{MetricError, mean, ratio};

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
        self.add_chosen(truth, prediction, |_| true)
    }

    /// [`Self::add`] for those pixels whose index `chosen` says yes to, such as a band around true borders.
    ///
    /// # Errors
    /// As [`Self::add`]; values of pixels that are not chosen may be anything.
    pub fn add_chosen<L: Copy + Into<usize>>(
        &mut self,
        truth: &[L],
        prediction: &[L],
        chosen: impl Fn(usize) -> bool,
    ) -> Result<(), MetricError> {
        if truth.len() != prediction.len() {
            return Err(MetricError::Length { expected: truth.len(), given: prediction.len() });
        }
        let (classes, ignore) = (self.classes, self.ignore);
        let pixels = || {
            let pairs = truth.iter().zip(prediction).enumerate().filter(|(index, _)| chosen(*index));
            let pairs = pairs.map(|(_, (&truth, &prediction))| (truth.into(), prediction.into()));
            pairs.filter(move |&(truth, _)| Some(truth) != ignore)
        };
        // One look at all values, without a branch, and a second one only to name the wrong one.
        let wrong = |(truth, prediction): (usize, usize)| (truth >= classes) | (prediction >= classes);
        if pixels().fold(false, |any, pair| any | wrong(pair)) {
            return match pixels().find(|&pair| wrong(pair)) {
                Some((value, _)) if value >= classes => Err(MetricError::Truth { value, classes }),
                Some((_, value)) => Err(MetricError::Prediction { value, classes }),
                None => Ok(()),
            };
        }
        // Masks are made of regions: equal neighbours are counted together.
        let (mut last, mut run) = (None, 0);
        for pair in pixels() {
            if last != Some(pair) {
                self.count_run(last, run);
                (last, run) = (Some(pair), 0);
            }
            run += 1;
        }
        self.count_run(last, run);
        Ok(())
    }

    fn count_run(&mut self, pair: Option<(usize, usize)>, pixels: u64) {
        if let Some((truth, prediction)) = pair {
            self.counts[truth * self.classes + prediction] += pixels;
        }
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

    /// Mean recall over the classes in the truth: mean (class) accuracy.
    ///
    /// # Reference
    /// Long, Shelhamer & Darrell, *Fully Convolutional Networks for Semantic Segmentation*, CVPR 2015, section 5.
    #[must_use]
    pub fn mean_accuracy(&self) -> Option<f64> {
        mean((0..self.classes).map(|class| self.recall(class)))
    }

    /// Mean IoU over all classes, weighted with their share of the truth: classes that the truth lacks have no weight.
    /// `None` if no pixel is counted.
    ///
    /// # Reference
    /// As [`Self::mean_accuracy`].
    #[must_use]
    pub fn frequency_weighted_iou(&self) -> Option<f64> {
        let pixels: u64 = self.counts.iter().sum();
        let weighted = |class| self.iou(class).map_or(0.0, |iou| self.truths(class) as f64 * iou);
        (pixels > 0).then(|| (0..self.classes).map(weighted).sum::<f64>() / pixels as f64)
    }
}
