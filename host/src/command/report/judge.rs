//! Masks compared with true ones, and what of them is shown.

use image::{RgbImage, imageops};

use crate::{
    Result,
    data::Classes,
    metrics::{Mistake, Tally},
    picture::LabelMap,
    report::html::{Judged, Shown},
};

/// The longer side of a photo on the page, in pixels.
const SIDE: u32 = 480;

/// What the page says of masks.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The measures, if there was a truth.
    pub(super) judged: Option<Judged>,
    /// The photos that are shown.
    pub(super) photos: Vec<Shown>,
    /// Class names, the background first.
    pub(super) classes: Vec<String>,
    /// A sentence about what is missing.
    pub(super) remark: Option<String>,
}

/// Judges masks one after the other.
pub(super) struct Judge {
    classes: Classes,
    tally: Tally,
    photos: Vec<Shown>,
    /// Photos there are, and how many of them are shown.
    all: usize,
    shown: usize,
    seen: usize,
}

impl Judge {
    /// A judge of `all` masks, of which `shown` are shown, spread over all of them.
    pub(super) fn new(classes: Classes, all: usize, shown: usize) -> Self {
        Self { tally: Tally::new(classes.clone()), classes, photos: Vec::new(), all, shown, seen: 0 }
    }

    /// Whether the next mask is shown.
    pub(super) fn shows_next(&self) -> bool {
        let shown = self.shown.min(self.all);
        // The k-th of n pictures is number k * all / n.
        shown > 0 && (0..shown).any(|index| index * self.all / shown == self.seen)
    }

    /// Judges a mask. `photo` is needed only if it is shown.
    pub(super) fn add(
        &mut self,
        name: &str,
        photo: Option<&RgbImage>,
        prediction: LabelMap,
        truth: Option<LabelMap>,
    ) -> Result<(), Mistake> {
        let mut mean_iou = None;
        if let Some(truth) = &truth {
            let mut alone = Tally::new(self.classes.clone());
            alone.add(&prediction.labels, &truth.labels)?;
            self.tally.merge(&alone);
            mean_iou = alone.report().mean_iou;
        }
        if self.shows_next() {
            let (prediction, truth) = (shrunk_mask(&prediction), truth.as_ref().map(shrunk_mask));
            let photo = photo.map(|photo| {
                let (width, height) = fitted(photo.width(), photo.height());
                if (width, height) == photo.dimensions() {
                    photo.clone()
                } else {
                    imageops::thumbnail(photo, width, height)
                }
            });
            self.photos.push(Shown { name: name.to_owned(), photo, prediction, truth, mean_iou });
        }
        self.seen += 1;
        Ok(())
    }

    /// The outcome; `origin` says whose masks they are.
    pub(super) fn finish(self, origin: String) -> Outcome {
        let report = self.tally.report();
        let judged = (report.images > 0).then_some(Judged { report, origin });
        Outcome { judged, photos: self.photos, classes: self.classes.names().to_vec(), remark: None }
    }
}

/// A size on the page.
fn fitted(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= SIDE {
        return (width, height);
    }
    let side = |pixels: u32| ((u64::from(pixels) * u64::from(SIDE) / u64::from(longest)) as u32).max(1);
    (side(width), side(height))
}

/// The mask at its size on the page, each pixel the nearest one's label.
fn shrunk_mask(mask: &LabelMap) -> LabelMap {
    let (width, height) = fitted(mask.width as u32, mask.height as u32);
    let (width, height) = (width as usize, height as usize);
    if (width, height) == (mask.width, mask.height) {
        return mask.clone();
    }
    let label = |index: usize| {
        let (row, column) = (index / width * mask.height / height, index % width * mask.width / width);
        mask.labels[row * mask.width + column]
    };
    LabelMap { width, height, labels: (0..width * height).map(label).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::VOID;

    fn classes() -> Classes {
        Classes::new(["background", "cat"].map(str::to_owned).to_vec()).unwrap()
    }

    fn mask(labels: &[u8]) -> LabelMap {
        LabelMap { width: labels.len(), height: 1, labels: labels.to_vec() }
    }

    #[test]
    fn pixels_are_counted_by_truth_and_prediction_and_photos_are_spread() {
        let mut judge = Judge::new(classes(), 10, 3);
        for index in 0..10 {
            let truth = (index != 5).then(|| mask(&[0, 1, 1, VOID]));
            judge.add(&index.to_string(), None, mask(&[0, 0, 1, 1]), truth).unwrap();
        }
        let outcome = judge.finish(String::new());
        let names: Vec<&str> = outcome.photos.iter().map(|shown| shown.name.as_str()).collect();
        assert_eq!(names, ["0", "3", "6"]);
        let judged = outcome.judged.unwrap();
        assert_eq!((judged.report.images, judged.report.confusion), (9, vec![vec![9, 0], vec![9, 9]]));
        assert_eq!(outcome.photos[0].mean_iou, Some(50.0));
    }

    #[test]
    fn without_truth_there_are_photos_and_no_numbers() {
        let mut judge = Judge::new(classes(), 1, 8);
        let photo = RgbImage::new(960, 1);
        judge.add("a", Some(&photo), LabelMap { width: 960, height: 1, labels: vec![1; 960] }, None).unwrap();
        let outcome = judge.finish(String::new());
        assert!(outcome.judged.is_none());
        assert_eq!(outcome.photos[0].photo.as_ref().unwrap().dimensions(), (480, 1));
        assert_eq!(outcome.photos[0].prediction.labels, vec![1; 480]);
    }
}
