//! An evaluation as tables.

use super::table::{Table, percent};
use crate::{
    data::Classes,
    metrics::{Evaluation, ImageReport},
};

/// How measures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// With one digit, for people; a dash where there is none.
    Rounded,
    /// With all digits, for programs; nothing where there is none.
    All,
}

impl Digits {
    /// A percentage.
    #[must_use]
    pub fn percent(self, value: Option<f64>) -> String {
        match self {
            Self::Rounded => percent(value),
            Self::All => value.map(|value| value.to_string()).unwrap_or_default(),
        }
    }
}

/// The measures of every class, their means, and what they were taken over.
#[must_use]
pub fn classes(evaluation: &Evaluation, digits: Digits) -> Table {
    let (report, boundary) = (&evaluation.report, &evaluation.boundary);
    let cell = |value| digits.percent(value);
    let mut table = Table::new(["class", "IoU %", "precision %", "recall %", "boundary F %", "pixels"]);
    for (class, f) in report.classes.iter().zip(&boundary.classes) {
        let [iou, precision, recall, f] = [class.iou, class.precision, class.recall, *f].map(cell);
        table.row([class.name.clone(), iou, precision, recall, f, class.true_pixels.to_string()]);
    }
    table.rule();
    let [iou, precision, recall, f] =
        [report.mean_iou, report.mean_precision, report.mean_recall, boundary.mean_f].map(cell);
    table.row(["mean".into(), iou, precision, recall, f, report.pixels.to_string()]);
    let [iou, f] = [report.mean_iou_objects, boundary.mean_f_objects].map(cell);
    table.row(["mean without background".into(), iou, String::new(), String::new(), f]);
    table.row(["frequency-weighted IoU".into(), cell(report.frequency_weighted_iou)]);
    table.row(["pixel accuracy".into(), cell(report.pixel_accuracy)]);
    table.row(["mean accuracy".into(), cell(report.mean_accuracy)]);
    table
}

/// The measures in bands around true borders.
#[must_use]
pub fn trimap(evaluation: &Evaluation, digits: Digits) -> Table {
    let mut table =
        Table::new(["pixels from border", "mean IoU %", "without background %", "pixel accuracy %", "pixels"]);
    for band in &evaluation.trimap {
        let measures = [band.mean_iou, band.mean_iou_objects, band.pixel_accuracy];
        let [iou, objects, accuracy] = measures.map(|value| digits.percent(value));
        table.row([band.width.to_string(), iou, objects, accuracy, band.pixels.to_string()]);
    }
    table
}

/// Pixels of every true class, a row each, by predicted class.
#[must_use]
pub fn confusion(evaluation: &Evaluation) -> Table {
    let names = || evaluation.report.classes.iter().map(|class| class.name.clone());
    let mut table = Table::new(std::iter::once("true class".to_owned()).chain(names()));
    for (name, counts) in names().zip(&evaluation.report.confusion) {
        table.row(std::iter::once(name).chain(counts.iter().map(u64::to_string)));
    }
    table
}

/// Images and their measures.
#[must_use]
pub fn images(images: &[&ImageReport], classes: &Classes, digits: Digits) -> Table {
    let mut table = Table::new(["image", "mean IoU %", "pixel accuracy %", "boundary F %", "IoU % of its classes"]);
    for image in images {
        let of = |&(class, iou): &(u8, f64)| {
            let name = classes.names().get(usize::from(class)).map_or("?", String::as_str);
            format!("{name} {}", digits.percent(Some(iou)))
        };
        let ious = image.classes.iter().map(of).collect::<Vec<_>>().join(", ");
        let [iou, accuracy, f] =
            [image.mean_iou, image.pixel_accuracy, image.boundary_f].map(|value| digits.percent(value));
        table.row([image.name.clone(), iou, accuracy, f, ious]);
    }
    table
}
