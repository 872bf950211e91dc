//! All measures of predicted masks: of regions, of contours, near borders, and image by image.

use serde::Serialize;
use wseg_core::metric::{Confusion, MetricError, mean};

use super::{Mistake, Report, Tally, outline::Outline, tally::where_decided};
use crate::{data::Classes, palette::VOID, picture::LabelMap};

/// What is measured beside the regions.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// How far a contour may be off for the boundary F-score, as a share of the image's diagonal.
    pub tolerance: f64,
    /// Widths of trimaps: pixels on each side of true borders.
    pub trimap: Vec<u32>,
    /// Whether predictions may have pixels of [`VOID`], which are undecided and ignored.
    pub undecided: bool,
}

impl Default for Measures {
    /// The boundary F-score with the tolerance of Csurka, Larlus & Perronnin (BMVC 2013), no trimaps.
    fn default() -> Self {
        Self { tolerance: 0.0075, trimap: Vec::new(), undecided: false }
    }
}

/// Everything measured, in percent. A measure of nothing is `None` and not part of means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The measures of regions.
    #[serde(flatten)]
    pub report: Report,
    /// The measure of contours.
    pub boundary: BoundaryReport,
    /// Measures near true borders, from the narrowest band.
    pub trimap: Vec<TrimapReport>,
    /// Image by image, in the order given.
    #[serde(skip)]
    pub images: Vec<ImageReport>,
}

/// The boundary F-score, in percent. A class's is its mean over the images in whose truth or prediction it has a contour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoundaryReport {
    /// How far a contour may be off, as a share of the image's diagonal.
    pub tolerance: f64,
    /// Mean over the classes.
    pub mean_f: Option<f64>,
    /// Mean over the classes without the background.
    pub mean_f_objects: Option<f64>,
    /// Class by class, the background first.
    pub classes: Vec<Option<f64>>,
}

/// The measures of a band around true borders, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrimapReport {
    /// Pixels on each side of a border.
    pub width: u32,
    /// Pixels judged.
    pub pixels: u64,
    /// Mean IoU over all classes.
    pub mean_iou: Option<f64>,
    /// Mean IoU over the classes without the background.
    pub mean_iou_objects: Option<f64>,
    /// Share of the pixels that are right.
    pub pixel_accuracy: Option<f64>,
    /// IoU class by class, the background first.
    pub classes: Vec<Option<f64>>,
}

/// The measures of one image, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageReport {
    /// What it is called.
    pub name: String,
    /// Mean IoU over the classes in its truth or prediction.
    pub mean_iou: Option<f64>,
    /// Share of the judged pixels that are right.
    pub pixel_accuracy: Option<f64>,
    /// Boundary F-score, mean over the classes with a contour.
    pub boundary_f: Option<f64>,
    /// IoU of each class in its truth or prediction, by value.
    #[serde(skip)]
    pub classes: Vec<(u8, f64)>,
    /// Boundary F-scores by class.
    #[serde(skip)]
    contours: Vec<(u8, f64)>,
}

/// Measures masks, image after image.
#[derive(Debug, Clone)]
pub struct Evaluator {
    measures: Measures,
    tally: Tally,
    /// The image at hand.
    one: Tally,
    /// Counts of [`Confusion`] for each trimap.
    bands: Vec<Vec<u64>>,
    images: Vec<ImageReport>,
}

impl Evaluator {
    /// Nothing measured yet. Widths of trimaps are put in order.
    #[must_use]
    pub fn new(classes: Classes, mut measures: Measures) -> Self {
        measures.trimap.sort_unstable();
        measures.trimap.dedup();
        let tally = Tally::new(classes);
        let counts = vec![0; tally.classes().len().pow(2)];
        Self { bands: vec![counts; measures.trimap.len()], measures, one: tally.clone(), tally, images: Vec::new() }
    }

    /// Measures one image; pixels whose true value is [`VOID`] are ignored. Nothing is counted if there is a mistake.
    ///
    /// # Errors
    /// Another number of pixels, or a value that is no class, even where the truth is ignored.
    pub fn add(&mut self, name: &str, prediction: &LabelMap, truth: &LabelMap) -> Result<(), Mistake> {
        if (prediction.width, prediction.height) != (truth.width, truth.height) {
            return Err(Mistake::Prediction(format!(
                "{} x {} pixels, but the true mask has {} x {}",
                prediction.width, prediction.height, truth.width, truth.height
            )));
        }
        self.one.clear();
        match self.measures.undecided {
            true => self.one.add_decided(&prediction.labels, &truth.labels)?,
            false => self.one.add(&prediction.labels, &truth.labels)?,
        }
        let decided = self.measures.undecided.then(|| where_decided(&prediction.labels, &truth.labels));
        let decided = decided.map(|labels| LabelMap { labels, ..*truth });
        let truth = decided.as_ref().unwrap_or(truth);
        let contours = self.contours(prediction, truth).map_err(|error| Mistake::Prediction(error.to_string()))?;
        let image = image(name, &mut self.one, contours);
        self.images.push(image);
        self.tally.merge(&self.one);
        Ok(())
    }

    /// The boundary F-scores of the image; its trimaps are counted.
    fn contours(&mut self, prediction: &LabelMap, truth: &LabelMap) -> Result<Vec<(u8, f64)>, MetricError> {
        let mut outline = Outline::new(prediction, truth)?;
        let scores = outline.f_scores(self.measures.tolerance)?;
        if let Some(&widest) = self.measures.trimap.last() {
            let distances = outline.near_true_borders(widest)?;
            let classes = self.tally.classes().len();
            for (counts, width) in self.bands.iter_mut().zip(&self.measures.trimap) {
                Confusion::new(counts, classes, Some(usize::from(VOID)))?.add_chosen(
                    &truth.labels,
                    &prediction.labels,
                    |index| distances[index] < width * width,
                )?;
            }
        }
        Ok(scores)
    }

    /// Adds what another evaluator with the same settings measured, after what is here.
    pub fn merge(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        for (counts, more) in self.bands.iter_mut().zip(&other.bands) {
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        self.images.extend(other.images);
    }

    /// The measures over everything added.
    #[must_use]
    pub fn finish(self) -> Evaluation {
        let classes = self.tally.classes().len();
        let of_class = |class: usize| {
            let scores = self.images.iter().flat_map(|image| &image.contours);
            percent(mean(scores.filter(|(of, _)| usize::from(*of) == class).map(|(_, score)| Some(*score))))
        };
        let scores: Vec<Option<f64>> = (0..classes).map(of_class).collect();
        let boundary = BoundaryReport {
            tolerance: self.measures.tolerance,
            mean_f: mean(scores.iter().copied()),
            mean_f_objects: mean(scores.iter().skip(1).copied()),
            classes: scores,
        };
        let bands = self.measures.trimap.iter().zip(self.bands);
        Evaluation {
            report: self.tally.report(),
            boundary,
            trimap: bands.filter_map(|(&width, counts)| band(width, counts, classes)).collect(),
            images: self.images,
        }
    }
}

impl Evaluation {
    /// The `count` images with the lowest mean IoU, the worst first; of equals, those whose name comes first. Images
    /// without a judged pixel are left out.
    #[must_use]
    pub fn worst(&self, count: usize) -> Vec<&ImageReport> {
        let mut images: Vec<&ImageReport> = self.images.iter().filter(|image| image.mean_iou.is_some()).collect();
        let key = |image: &ImageReport| image.mean_iou.unwrap_or(f64::INFINITY);
        images.sort_by(|a, b| key(a).total_cmp(&key(b)).then_with(|| a.name.cmp(&b.name)));
        images.truncate(count);
        images
    }
}

fn percent(part: Option<f64>) -> Option<f64> {
    part.map(|part| 100.0 * part)
}

fn image(name: &str, tally: &mut Tally, contours: Vec<(u8, f64)>) -> ImageReport {
    let confusion = tally.confusion();
    let confusion = confusion.as_ref();
    let ious = |confusion: &Confusion<'_>| -> Vec<(u8, f64)> {
        let classes = (0..VOID).take(confusion.classes());
        classes.filter_map(|class| percent(confusion.iou(usize::from(class))).map(|iou| (class, iou))).collect()
    };
    ImageReport {
        name: name.to_owned(),
        mean_iou: percent(confusion.and_then(Confusion::mean_iou)),
        pixel_accuracy: percent(confusion.and_then(Confusion::pixel_accuracy)),
        boundary_f: percent(mean(contours.iter().map(|(_, score)| Some(*score)))),
        classes: confusion.map(ious).unwrap_or_default(),
        contours,
    }
}

fn band(width: u32, mut counts: Vec<u64>, classes: usize) -> Option<TrimapReport> {
    let pixels = counts.iter().sum();
    let confusion = Confusion::new(&mut counts, classes, None).ok()?;
    Some(TrimapReport {
        width,
        pixels,
        mean_iou: percent(confusion.mean_iou()),
        mean_iou_objects: percent(confusion.mean_foreground_iou()),
        pixel_accuracy: percent(confusion.pixel_accuracy()),
        classes: (0..classes).map(|class| percent(confusion.iou(class))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Classes {
        Classes::new(["background", "cat"].map(str::to_owned).to_vec()).unwrap()
    }

    /// Eight columns, the first `left` of them cat.
    fn map(left: usize) -> LabelMap {
        LabelMap { width: 8, height: 4, labels: (0..32).map(|at| u8::from(at % 8 < left)).collect() }
    }

    fn evaluator(tolerance: f64) -> Evaluator {
        Evaluator::new(classes(), Measures { tolerance, trimap: vec![3, 1], undecided: false })
    }

    #[test]
    fn a_shifted_border_by_hand() {
        // True border between columns 3 and 4, predicted between 4 and 5; the diagonal is 8.94 pixels long.
        let mut strict = evaluator(0.1);
        strict.add("a", &map(5), &map(4)).unwrap();
        let evaluation = strict.finish();
        // The contours are columns 3 and 4, predicted 4 and 5: 1 pixel off, 0.89 are allowed.
        assert_eq!(evaluation.boundary.classes, [Some(0.0), Some(0.0)]);
        let mut lenient = evaluator(0.12);
        lenient.add("a", &map(5), &map(4)).unwrap();
        assert_eq!(lenient.finish().boundary.mean_f, Some(100.0));
        // A band of one pixel: columns 3 and 4, of which 4 is wrong; of three: columns 1 to 6.
        let [narrow, wide] = evaluation.trimap.as_slice() else { panic!("{:?}", evaluation.trimap) };
        assert_eq!((narrow.width, narrow.pixels, narrow.pixel_accuracy), (1, 8, Some(50.0)));
        assert_eq!(narrow.classes, [Some(0.0), Some(50.0)]);
        assert_eq!((wide.width, wide.pixels), (3, 24));
        assert_eq!(wide.classes, [Some(100.0 * (2.0 / 3.0)), Some(75.0)]);
    }

    #[test]
    fn the_f_score_of_a_class_is_its_mean_over_images_with_a_contour() {
        let mut evaluator = evaluator(0.0);
        evaluator.add("right", &map(4), &map(4)).unwrap();
        evaluator.add("missed", &map(0), &map(4)).unwrap();
        evaluator.add("empty", &map(0), &map(0)).unwrap();
        let evaluation = evaluator.finish();
        assert_eq!(evaluation.boundary.classes, [Some(50.0), Some(50.0)]);
        assert_eq!(evaluation.images[2].boundary_f, None);
        let worst: Vec<&str> = evaluation.worst(2).iter().map(|image| image.name.as_str()).collect();
        assert_eq!(worst, ["missed", "empty"], "equals by name");
        assert_eq!(evaluation.images[1].classes, [(0, 50.0), (1, 0.0)]);
    }

    #[test]
    fn undecided_pixels_count_as_ignored_ones_do_in_every_measure() {
        let measures = Measures { tolerance: 0.1, trimap: vec![2], undecided: true };
        let (mut left_out, mut ignored) =
            (Evaluator::new(classes(), measures.clone()), Evaluator::new(classes(), measures));
        let blank = |mask: LabelMap| {
            let labels =
                mask.labels.iter().enumerate().map(|(index, &label)| if index % 8 == 3 { VOID } else { label });
            LabelMap { labels: labels.collect(), ..mask }
        };
        left_out.add("a", &blank(map(3)), &map(5)).unwrap();
        ignored.add("a", &blank(map(3)), &blank(map(5))).unwrap();
        assert_eq!(left_out.finish(), ignored.finish());
        assert!(matches!(evaluator(0.1).add("a", &blank(map(3)), &map(5)), Err(Mistake::Prediction(_))));
    }

    #[test]
    fn parts_merge_to_the_whole_and_mistakes_count_nothing() {
        let (mut whole, mut first, mut second) = (evaluator(0.1), evaluator(0.1), evaluator(0.1));
        for (part, name, left) in [(&mut first, "a", 3), (&mut second, "b", 6)] {
            part.add(name, &map(left), &map(4)).unwrap();
            whole.add(name, &map(left), &map(4)).unwrap();
        }
        let other = LabelMap { width: 4, height: 8, labels: vec![0; 32] };
        assert!(matches!(whole.add("c", &other, &map(4)), Err(Mistake::Prediction(_))));
        let wrong = LabelMap { labels: vec![7; 32], ..map(0) };
        assert!(matches!(whole.add("c", &map(0), &wrong), Err(Mistake::Truth(_))));
        first.merge(second);
        assert_eq!(first.finish(), whole.finish());
    }
}
