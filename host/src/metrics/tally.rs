//! Counts of pixels by true and predicted class, and the measures of regions.

use serde::Serialize;
use wseg_core::metric::{Confusion, mean};

use crate::{
    data::{Classes, labels::check_values},
    palette::VOID,
};

/// What is wrong with a pair of masks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// With the predicted mask.
    Prediction(String),
    /// With the true mask.
    Truth(String),
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Prediction(problem) => write!(f, "predicted mask: {problem}"),
            Self::Truth(problem) => write!(f, "true mask: {problem}"),
        }
    }
}

/// Counts pixels by true and predicted class, over any number of masks.
#[derive(Debug, Clone)]
pub struct Tally {
    classes: Classes,
    /// The counts of [`Confusion`].
    counts: Vec<u64>,
    images: usize,
    ignored: u64,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(classes: Classes) -> Self {
        let counts = vec![0; classes.len() * classes.len()];
        Self { classes, counts, images: 0, ignored: 0 }
    }

    /// Counts the labels of one image; pixels whose true value is [`VOID`] are ignored. Nothing is counted if there is a
    /// mistake.
    ///
    /// # Errors
    /// Another number of pixels, or a value that is no class, even where the truth is ignored.
    pub fn add(&mut self, prediction: &[u8], truth: &[u8]) -> Result<(), Mistake> {
        check_values(&present(truth), &self.classes).map_err(Mistake::Truth)?;
        let predicted = present(prediction);
        check_values(&predicted, &self.classes).map_err(Mistake::Prediction)?;
        if predicted[usize::from(VOID)] {
            return Err(Mistake::Prediction(format!(
                "value {VOID} is for true masks; a prediction has a class everywhere (--undecided leaves such pixels out)"
            )));
        }
        Confusion::new(&mut self.counts, self.classes.len(), Some(usize::from(VOID)))
            .and_then(|mut confusion| confusion.add(truth, prediction))
            .map_err(|error| Mistake::Prediction(error.to_string()))?;
        self.ignored += truth.iter().filter(|label| **label == VOID).count() as u64;
        self.images += 1;
        Ok(())
    }

    /// As [`Self::add`], but pixels predicted as [`VOID`] are undecided: they are ignored, too.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_decided(&mut self, prediction: &[u8], truth: &[u8]) -> Result<(), Mistake> {
        check_values(&present(truth), &self.classes).map_err(Mistake::Truth)?;
        let decided: Vec<u8> = prediction.iter().map(|&label| if label == VOID { 0 } else { label }).collect();
        self.add(&decided, &where_decided(prediction, truth))
    }

    /// The classes counted.
    #[must_use]
    pub const fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Forgets everything counted.
    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
        (self.images, self.ignored) = (0, 0);
    }

    /// The counts, for measures that a report has no use for.
    pub(super) fn confusion(&mut self) -> Option<Confusion<'_>> {
        Confusion::new(&mut self.counts, self.classes.len(), Some(usize::from(VOID))).ok()
    }

    /// Adds what another tally of the same classes counted.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.classes, other.classes);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.images += other.images;
        self.ignored += other.ignored;
    }

    /// The measures over everything counted.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut counts = self.counts.clone();
        let pixels = counts.iter().sum();
        let classes = self.classes.len();
        let confusion_matrix = counts.chunks(classes).map(<[u64]>::to_vec).collect();
        // The counts are of the length needed since `new`; without them there would be nothing to report.
        let confusion = Confusion::new(&mut counts, classes, None).ok();
        let measure =
            |of: &dyn Fn(&Confusion<'_>) -> Option<f64>| confusion.as_ref().and_then(of).map(|part| 100.0 * part);
        let sum = |count: &dyn Fn(&Confusion<'_>, usize) -> u64| {
            confusion.as_ref().map_or(0, |confusion| (0..classes).map(|other| count(confusion, other)).sum())
        };
        let rows: Vec<ClassReport> = (0..classes)
            .map(|class| ClassReport {
                name: self.classes.names()[class].clone(),
                iou: measure(&|confusion| confusion.iou(class)),
                precision: measure(&|confusion| confusion.precision(class)),
                recall: measure(&|confusion| confusion.recall(class)),
                true_pixels: sum(&|confusion, other| confusion.count(class, other)),
                predicted_pixels: sum(&|confusion, other| confusion.count(other, class)),
            })
            .collect();
        Report {
            images: self.images,
            pixels,
            ignored_pixels: self.ignored,
            pixel_accuracy: measure(&|confusion| confusion.pixel_accuracy()),
            mean_iou: measure(&|confusion| confusion.mean_iou()),
            mean_iou_objects: measure(&|confusion| confusion.mean_foreground_iou()),
            mean_precision: mean(rows.iter().map(|row| row.precision)),
            mean_recall: mean(rows.iter().map(|row| row.recall)),
            mean_accuracy: measure(&|confusion| confusion.mean_accuracy()),
            frequency_weighted_iou: measure(&|confusion| confusion.frequency_weighted_iou()),
            classes: rows,
            confusion: confusion_matrix,
        }
    }
}

/// The measures, in percent. A measure of nothing (the IoU of a class that is neither there nor predicted) is `None` and
/// not part of means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Number of images.
    pub images: usize,
    /// Number of pixels judged.
    pub pixels: u64,
    /// Number of pixels whose true value is [`VOID`].
    pub ignored_pixels: u64,
    /// Share of the judged pixels that are right.
    pub pixel_accuracy: Option<f64>,
    /// Mean IoU over all classes.
    pub mean_iou: Option<f64>,
    /// Mean IoU over the classes without the background.
    pub mean_iou_objects: Option<f64>,
    /// Mean precision over all classes.
    pub mean_precision: Option<f64>,
    /// Mean recall over all classes.
    pub mean_recall: Option<f64>,
    /// Mean class accuracy, which is the mean recall by the name that segmentation uses.
    pub mean_accuracy: Option<f64>,
    /// IoU of the classes, weighted with their share of the true pixels.
    pub frequency_weighted_iou: Option<f64>,
    /// Class by class, the background first.
    pub classes: Vec<ClassReport>,
    /// Pixels of every true class, row by row, by predicted class.
    pub confusion: Vec<Vec<u64>>,
}

/// The measures of one class, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassReport {
    /// The class's name.
    pub name: String,
    /// Intersection over union.
    pub iou: Option<f64>,
    /// Share of the pixels predicted as this class that are.
    pub precision: Option<f64>,
    /// Share of this class's pixels that were found.
    pub recall: Option<f64>,
    /// Pixels of this class.
    pub true_pixels: u64,
    /// Pixels predicted as this class.
    pub predicted_pixels: u64,
}

/// The truth, [`VOID`] where the prediction is undecided.
pub(super) fn where_decided(prediction: &[u8], truth: &[u8]) -> Vec<u8> {
    let mut truth = truth.to_vec();
    for (truth, _) in truth.iter_mut().zip(prediction).filter(|(_, predicted)| **predicted == VOID) {
        *truth = VOID;
    }
    truth
}

fn present(labels: &[u8]) -> [bool; 256] {
    let mut present = [false; 256];
    labels.iter().for_each(|label| present[usize::from(*label)] = true);
    present
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Classes {
        Classes::new(["background", "cat", "dog", "cow"].map(str::to_owned).to_vec()).unwrap()
    }

    #[test]
    fn measures_are_those_of_the_hand_count() {
        let mut tally = Tally::new(classes());
        tally.add(&[0, 0, 1, 1, 1, 2], &[0, 1, 1, 1, 255, 0]).unwrap();
        let report = tally.report();
        assert_eq!((report.images, report.pixels, report.ignored_pixels), (1, 5, 1));
        let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-12;
        let of = |class: usize| {
            let row = &report.classes[class];
            (row.iou, row.precision, row.recall, row.true_pixels, row.predicted_pixels)
        };
        // Background: 1 hit, 2 true, 2 predicted. Cat: 2 hits, 3 true, 2 predicted. Dog: predicted once, never true.
        assert_eq!((of(0).1, of(0).2, of(0).3, of(0).4), (Some(50.0), Some(50.0), 2, 2));
        assert_eq!((of(1).1, of(1).3, of(1).4), (Some(100.0), 3, 2));
        assert!(near(of(0).0, 100.0 / 3.0) && near(of(1).0, 200.0 / 3.0) && near(of(1).2, 200.0 / 3.0));
        assert_eq!(of(2), (Some(0.0), Some(0.0), None, 0, 1));
        assert_eq!(of(3), (None, None, None, 0, 0));
        // Cow is nowhere: it is no part of the means.
        assert!(near(report.pixel_accuracy, 60.0));
        assert!(near(report.mean_iou, 100.0 / 3.0) && near(report.mean_iou_objects, 100.0 / 3.0));
        assert_eq!(report.mean_precision, Some(50.0));
        // Weighted with two background and three cat pixels; the dog is not in the truth.
        assert!(near(report.frequency_weighted_iou, (2.0 * 100.0 / 3.0 + 3.0 * 200.0 / 3.0) / 5.0));
        assert!(near(report.mean_accuracy, (50.0 + 200.0 / 3.0) / 2.0));
        assert_eq!(report.confusion, [[1, 0, 1, 0], [1, 2, 0, 0], [0; 4], [0; 4]]);
    }

    #[test]
    fn what_is_undecided_is_ignored_and_nothing_else() {
        let (mut left_out, mut whole) = (Tally::new(classes()), Tally::new(classes()));
        left_out.add_decided(&[0, 255, 1, 255, 2], &[0, 1, 2, 255, 2]).unwrap();
        whole.add(&[0, 0, 1, 0, 2], &[0, 255, 2, 255, 2]).unwrap();
        assert_eq!(left_out.report(), whole.report());
        assert_eq!((left_out.report().pixels, left_out.report().ignored_pixels), (3, 2));
        assert!(matches!(left_out.add_decided(&[255, 4], &[0, 0]), Err(Mistake::Prediction(_))));
        assert!(matches!(left_out.add_decided(&[255], &[9]), Err(Mistake::Truth(_))), "it hides no mistake");
    }

    #[test]
    fn tallies_merge_to_the_tally_of_everything() {
        let images = [([0_u8, 1, 2], [0_u8, 2, 255]), ([1, 1, 1], [1, 0, 3])];
        let (mut whole, mut merged) = (Tally::new(classes()), Tally::new(classes()));
        for (prediction, truth) in &images {
            whole.add(prediction, truth).unwrap();
            let mut part = Tally::new(classes());
            part.add(prediction, truth).unwrap();
            merged.merge(&part);
        }
        assert_eq!(whole.report(), merged.report());
    }

    #[test]
    fn a_mistake_counts_nothing_and_says_whose_it_is() {
        let mut tally = Tally::new(classes());
        let mut mistake = |prediction: &[u8], truth: &[u8]| tally.add(prediction, truth).unwrap_err();
        assert!(matches!(mistake(&[0, 4], &[0, 0]), Mistake::Prediction(problem) if problem.starts_with("value 4")));
        assert!(matches!(mistake(&[0, 4], &[0, 255]), Mistake::Prediction(_)), "ignored truth hides no mistake");
        assert!(
            matches!(mistake(&[0, 255], &[0, 0]), Mistake::Prediction(problem) if problem.starts_with("value 255"))
        );
        assert!(matches!(mistake(&[0, 0], &[0, 9]), Mistake::Truth(problem) if problem.starts_with("value 9")));
        assert!(matches!(mistake(&[0], &[0, 0]), Mistake::Prediction(problem) if problem.contains("elements")));
        assert_eq!(tally.report(), Tally::new(classes()).report());
    }
}
