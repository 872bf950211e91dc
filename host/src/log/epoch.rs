//! What is logged of an epoch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, validation::Look};

/// Measures by class name, in percent; `None` where a measure is not defined, such as the average precision of a class
/// that no photo shows.
pub type Percents = BTreeMap<String, Option<f64>>;

/// What a run logs of an epoch, a line of `metrics.jsonl`. Losses are means over the epoch's steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochLog {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Steps since the start.
    pub step: usize,
    /// Base learning rate of the last step.
    pub rate: f64,
    /// Classification loss; absent where masks supervise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_classification: Option<f64>,
    /// Segmentation loss, or the cross entropy against masks; absent in classification-only epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_segmentation: Option<f64>,
    /// Mean length of the gradient before it is clipped; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Photos a second, validation left out. The only number that another run of the same seed may have otherwise.
    pub photos_per_second: f64,
    /// Classification loss on the validation split, where it was looked at and image labels supervise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Segmentation loss on the validation split, or the cross entropy against masks, where it was looked at; absent for the
    /// CAM baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss_segmentation: Option<f64>,
    /// Mean average precision of the image scores in percent, over the classes that the validation split shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_map: Option<f64>,
    /// Mean IoU with background on the validation split in percent, where it was looked at and has masks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_miou: Option<f64>,
    /// Average precision of every class; `null` for one that no validation photo shows.
    #[serde(default, skip_serializing_if = "Percents::is_empty")]
    pub validation_ap: Percents,
    /// IoU of every class, background included; `null` for one that is neither there nor predicted.
    #[serde(default, skip_serializing_if = "Percents::is_empty")]
    pub validation_iou: Percents,
}

impl EpochLog {
    /// Adds what a look at the validation split showed.
    #[must_use]
    pub fn with(self, look: Option<&Look>) -> Self {
        let Some(look) = look else { return self };
        let precision = |class: &crate::metrics::ClassRanking| (class.name.clone(), class.average_precision);
        let iou = |class: &crate::metrics::ClassReport| (class.name.clone(), class.iou);
        let (masks, ranking) = (look.masks.as_ref(), look.ranking.as_ref());
        Self {
            validation_loss: look.loss_classification,
            validation_loss_segmentation: look.loss_segmentation,
            validation_map: ranking.and_then(|ranking| ranking.mean_average_precision),
            validation_miou: masks.and_then(|report| report.mean_iou),
            validation_ap: ranking.map(|ranking| ranking.classes.iter().map(precision).collect()).unwrap_or_default(),
            validation_iou: masks.map(|report| report.classes.iter().map(iou).collect()).unwrap_or_default(),
            ..self
        }
    }

    /// Whether the validation split was looked at.
    #[must_use]
    pub fn was_looked_at(&self) -> bool {
        [self.validation_loss, self.validation_loss_segmentation, self.validation_miou].iter().any(Option::is_some)
    }

    /// The line of `metrics.jsonl`, without its newline.
    ///
    /// # Errors
    /// None that can be met: the fields are numbers and names.
    pub fn line(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Failed(format!("the log cannot be written: {error}")))
    }

    /// Everything that is a number, by its tag in TensorBoard; what is not defined is left out.
    #[must_use]
    pub fn scalars(&self) -> Vec<(String, f64)> {
        let one = |tag: &str, value: Option<f64>| value.map(|value| (tag.to_owned(), value));
        let each = |group: &str, percents: &Percents| -> Vec<(String, f64)> {
            percents.iter().filter_map(|(class, value)| one(&format!("{group}/{class}"), *value)).collect()
        };
        let mut scalars: Vec<(String, f64)> = [
            one("train/loss_classification", self.loss_classification),
            one("train/loss_segmentation", self.loss_segmentation),
            one("train/gradient_norm", self.gradient_norm),
            one("train/rate", Some(self.rate)),
            one("train/photos_per_second", Some(self.photos_per_second)),
            one("validation/loss_classification", self.validation_loss),
            one("validation/loss_segmentation", self.validation_loss_segmentation),
            one("validation/mAP", self.validation_map),
            one("validation/mIoU", self.validation_miou),
        ]
        .into_iter()
        .flatten()
        .collect();
        scalars.extend(each("average_precision", &self.validation_ap));
        scalars.extend(each("iou", &self.validation_iou));
        scalars
    }

    /// The epoch in half a sentence: what a look at the validation split showed, or else the losses of its steps.
    #[must_use]
    pub fn summary(&self) -> String {
        let (start, losses) = match self.was_looked_at() {
            true => ("validation ", [self.validation_loss, self.validation_loss_segmentation]),
            false => ("", [self.loss_classification, self.loss_segmentation]),
        };
        let mut parts = match losses {
            [Some(loss), segmentation] => {
                let segmentation = segmentation.map(|loss| format!("segmentation loss {loss:.4}"));
                [Some(format!("{start}loss {loss:.4}")), segmentation].into_iter().flatten().collect()
            }
            [None, Some(loss)] => vec![format!("{start}loss {loss:.4}")],
            [None, None] => Vec::new(),
        };
        for (name, percent) in [("mAP", self.validation_map), ("mIoU", self.validation_miou)] {
            parts.extend(percent.map(|percent| format!("{name} {percent:.1} %")));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_known_and_reads_back() {
        let log = EpochLog {
            epoch: 3,
            validation_loss: Some(0.25),
            validation_ap: [("cat".to_owned(), Some(50.0)), ("cow".to_owned(), None)].into(),
            ..EpochLog::default()
        };
        let line = log.line().unwrap();
        assert!(line.contains(r#""validation_ap":{"cat":50.0,"cow":null}"#), "{line}");
        assert!(!line.contains("segmentation") && !line.contains("iou"), "{line}");
        assert_eq!(serde_json::from_str::<EpochLog>(&line).unwrap(), log);
        let tags: Vec<String> = log.scalars().into_iter().map(|(tag, _)| tag).collect();
        assert!(tags.contains(&"average_precision/cat".to_owned()), "{tags:?}");
        assert!(!tags.iter().any(|tag| tag.contains("cow") || tag.contains("segmentation")), "{tags:?}");
    }

    #[test]
    fn a_summary_is_of_the_validation_split_where_it_was_looked_at() {
        let mut log = EpochLog { loss_classification: Some(0.7), loss_segmentation: Some(0.2), ..EpochLog::default() };
        assert_eq!(log.summary(), "loss 0.7000, segmentation loss 0.2000");
        (log.validation_loss, log.validation_map) = (Some(0.5), Some(12.34));
        assert_eq!(log.summary(), "validation loss 0.5000, mAP 12.3 %");
        let masks = EpochLog { loss_segmentation: Some(0.2), ..EpochLog::default() };
        assert_eq!(masks.summary(), "loss 0.2000");
        let masks = EpochLog { validation_loss_segmentation: Some(0.3), validation_miou: Some(56.78), ..masks };
        assert_eq!(masks.summary(), "validation loss 0.3000, mIoU 56.8 %");
    }
}
