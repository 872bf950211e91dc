//! What pseudo labels hold, and how true they are.

use serde::Serialize;

use crate::{
    Error, Result,
    data::{Classes, Sample},
    metrics::{Mistake, Report, Tally},
    palette::VOID,
    picture::{self, LabelMap},
    report::table::{Table, percent},
};

/// Counts over pseudo labels.
#[derive(Debug, Clone)]
pub(crate) struct Statistics {
    classes: Classes,
    masks: usize,
    /// Pixels of each label.
    pixels: [u64; 256],
    /// Masks that have each label.
    photos: [usize; 256],
    /// Against the true masks, where there are some.
    tally: Tally,
}

/// What JSON holds of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Number of masks.
    pub(crate) masks: usize,
    /// Pixels of all of them.
    pub(crate) pixels: u64,
    /// Share of the pixels that are undecided.
    pub(crate) ignored_percent: f64,
    /// Class by class, the background first.
    pub(crate) classes: Vec<ClassSummary>,
    /// The measures over the decided pixels, where there are true masks.
    pub(crate) truth: Option<Report>,
}

/// What the masks have of a class.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ClassSummary {
    pub(crate) name: String,
    /// Masks with at least a pixel of it.
    pub(crate) photos: usize,
    /// Share of all pixels.
    pub(crate) percent: f64,
}

impl Statistics {
    /// Nothing counted yet.
    pub(super) fn new(classes: Classes) -> Self {
        let tally = Tally::new(classes.clone());
        Self { classes, masks: 0, pixels: [0; 256], photos: [0; 256], tally }
    }

    /// Counts a mask, and compares it with the photo's true mask if there is one.
    ///
    /// # Errors
    /// The true mask cannot be used; the mask itself is counted.
    pub(super) fn add(&mut self, mask: &LabelMap, sample: &Sample) -> Result<()> {
        self.masks += 1;
        mask.labels.iter().for_each(|label| self.pixels[usize::from(*label)] += 1);
        self.photos.iter_mut().zip(mask.present()).for_each(|(photos, present)| *photos += usize::from(present));
        let Some(path) = &sample.mask else { return Ok(()) };
        let truth = picture::read_mask(path)?;
        let compared = match (truth.width, truth.height) == (mask.width, mask.height) {
            true => self.tally.add_decided(&mask.labels, &truth.labels),
            false => Err(Mistake::Truth(format!("{} x {} pixels, unlike its photo", truth.width, truth.height))),
        };
        compared.map_err(|mistake| Error::input(path, mistake))
    }

    /// The numbers.
    pub(crate) fn summary(&self) -> Summary {
        let pixels: u64 = self.pixels.iter().sum();
        let share = |count: u64| 100.0 * count as f64 / pixels.max(1) as f64;
        let report = self.tally.report();
        let classes = self.classes.names().iter().zip(&self.photos).zip(self.pixels);
        let classes = classes.map(|((name, &photos), pixels)| ClassSummary {
            name: name.clone(),
            photos,
            percent: share(pixels),
        });
        Summary {
            masks: self.masks,
            pixels,
            ignored_percent: share(self.pixels[usize::from(VOID)]),
            classes: classes.collect(),
            truth: (report.images > 0).then_some(report),
        }
    }
}

impl Summary {
    /// The numbers class by class; with true masks, how true they are.
    pub(super) fn table(&self) -> Table {
        let Some(truth) = &self.truth else {
            let mut table = Table::new(["class", "photos", "pixels %"]);
            for class in &self.classes {
                table.row([class.name.clone(), class.photos.to_string(), percent(Some(class.percent))]);
            }
            table.rule().row(["undecided".to_owned(), String::new(), percent(Some(self.ignored_percent))]);
            return table;
        };
        let mut table = Table::new(["class", "photos", "pixels %", "IoU %", "precision %", "recall %"]);
        for (class, report) in self.classes.iter().zip(&truth.classes) {
            let [pixels, iou, precision, recall] =
                [Some(class.percent), report.iou, report.precision, report.recall].map(percent);
            table.row([class.name.clone(), class.photos.to_string(), pixels, iou, precision, recall]);
        }
        table.rule().row(["undecided".to_owned(), String::new(), percent(Some(self.ignored_percent))]);
        let [iou, precision, recall] = [truth.mean_iou, truth.mean_precision, truth.mean_recall].map(percent);
        table.row(["mean".to_owned(), String::new(), String::new(), iou, precision, recall]);
        let objects = percent(truth.mean_iou_objects);
        table.row(["mean without background".to_owned(), String::new(), String::new(), objects]);
        table
    }

    /// What was counted, in a sentence.
    pub(super) fn sentence(&self) -> String {
        let masks = if self.masks == 1 { "mask" } else { "masks" };
        match &self.truth {
            Some(truth) => format!(
                "{} {masks}, {} of them compared with true ones; undecided pixels are no part of the comparison",
                self.masks, truth.images
            ),
            None => format!("{} {masks}; there are no true ones to compare with", self.masks),
        }
    }
}
