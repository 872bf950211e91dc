//! Published results, and one's own among them.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    data::Classes,
    metrics::Evaluation,
    report::{evaluation::Digits, table::Table},
};

/// Tables 5 and 6 of the paper's supplement.
const PAPER: &str = include_str!("../../../data/paper.toml");

/// Published tables over the same classes.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paper {
    /// Short names of the classes.
    classes: Vec<String>,
    tables: Vec<Published>,
}

/// One published table.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Published {
    /// Its number in the supplement.
    number: usize,
    /// The split it is over.
    split: String,
    rows: Vec<Row>,
}

/// One method's result, in percent.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    method: String,
    /// How the method is trained.
    stages: Stages,
    iou: Vec<Option<f64>>,
    mean: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stages {
    Multi,
    Single,
}

impl Paper {
    /// Reads the tables.
    ///
    /// # Errors
    /// The classes evaluated are not those of Pascal VOC.
    pub(super) fn read(classes: &Classes) -> Result<Self> {
        if *classes != Classes::voc() {
            return Err(Error::Input(
                "--compare paper: the classes are not those of Pascal VOC in its order, so the published numbers are over \
                 others; leave it out, or give --classes voc if the masks have VOC's values"
                    .to_owned(),
            ));
        }
        toml::from_str(PAPER).map_err(|error| Error::Failed(format!("the published tables cannot be read: {error}")))
    }

    /// The tables with their titles, each with one's own result as its last row.
    pub(super) fn tables(&self, own: &Evaluation, digits: Digits) -> Vec<(String, Table)> {
        self.tables.iter().map(|table| self.table(table, own, digits)).collect()
    }

    fn table(&self, published: &Published, own: &Evaluation, digits: Digits) -> (String, Table) {
        let heading = std::iter::once("method").chain(self.classes.iter().map(String::as_str)).chain(["mean"]);
        let mut table = Table::new(heading);
        let cells = |method: &str, ious: Vec<Option<f64>>, mean: Option<f64>| -> Vec<String> {
            let numbers = ious.into_iter().chain([mean]).map(|value| digits.percent(value));
            std::iter::once(method.to_owned()).chain(numbers).collect()
        };
        for group in published.rows.chunk_by(|a, b| a.stages == b.stages) {
            for row in group {
                table.row(cells(&row.method, row.iou.clone(), row.mean));
            }
            table.rule();
        }
        let ious = own.report.classes.iter().map(|class| class.iou).collect();
        table.row(cells("this evaluation", ious, own.report.mean_iou));
        let title = format!(
            "IoU % on Pascal VOC 2012, {} (Araslanov & Roth, CVPR 2020, supplement, Table {}), and these {} images",
            published.split, published.number, own.report.images
        );
        (title, table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_are_the_published_tables() {
        let paper = Paper::read(&Classes::voc()).unwrap();
        assert_eq!(paper.classes.len(), 21);
        let sizes: Vec<_> = paper.tables.iter().map(|table| (table.number, table.rows.len())).collect();
        assert_eq!(sizes, [(5, 12), (6, 10)]);
        for table in &paper.tables {
            for row in &table.rows {
                let numbers: Vec<f64> = row.iou.iter().flatten().copied().collect();
                assert_eq!(numbers.len(), 21, "{}", row.method);
                let mean = numbers.iter().sum::<f64>() / 21.0;
                // Published means are of numbers before rounding; CRF-RNN's, 53.7 for 53.77, is cut off.
                assert!((mean - row.mean.unwrap()).abs() < 0.075, "{} in table {}: {mean}", row.method, table.number);
            }
        }
        let ours = paper.tables[0].rows.last().unwrap();
        assert_eq!((ours.method.as_str(), ours.stages, ours.mean), ("Ours + CRF", Stages::Single, Some(62.7)));
        assert_eq!((ours.iou[2], ours.iou[20]), (Some(35.1), Some(64.3)));
    }
}
