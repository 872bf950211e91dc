//! How well image scores rank: average precision of each class, and its mean over the classes.
//!
//! Average precision is the area under the steps of the precision-recall curve, [`average_precision`], as the authors'
//! code measures it. (Pascal VOC's own tool first raises each precision to the highest at any larger recall, which
//! gives a little more.)

use serde::Serialize;
use wseg_core::metric::{MetricError, average_precision, mean};

/// The scores of images, class by class, with what the images really show.
#[derive(Debug, Clone)]
pub struct Ranking {
    names: Vec<String>,
    /// By class, then image.
    scores: Vec<Vec<f32>>,
    /// By class, then image.
    present: Vec<Vec<bool>>,
}

impl Ranking {
    /// No image yet. `names` are those of the classes, background left out.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        Self { names: names.to_vec(), scores: vec![Vec::new(); names.len()], present: vec![Vec::new(); names.len()] }
    }

    /// Adds the scores of an image and what it shows, both by class. Nothing is added if there is a mistake.
    ///
    /// # Errors
    /// Another number of classes, or a score that is not a number.
    pub fn add(&mut self, scores: &[f32], present: &[bool]) -> Result<(), MetricError> {
        for given in [scores.len(), present.len()] {
            if given != self.names.len() {
                return Err(MetricError::Length { expected: self.names.len(), given });
            }
        }
        if let Some(index) = scores.iter().position(|score| score.is_nan()) {
            return Err(MetricError::Score { index });
        }
        for (class, (score, present)) in scores.iter().zip(present).enumerate() {
            self.scores[class].push(*score);
            self.present[class].push(*present);
        }
        Ok(())
    }

    /// The measures over all images.
    #[must_use]
    pub fn report(&self) -> RankingReport {
        let images = self.scores.first().map_or(0, Vec::len);
        let mut order = vec![0; images];
        let classes: Vec<ClassRanking> = self
            .names
            .iter()
            .zip(self.scores.iter().zip(&self.present))
            .map(|(name, (scores, present))| ClassRanking {
                name: name.clone(),
                positives: present.iter().filter(|present| **present).count(),
                // `add` let in nothing that it refuses.
                average_precision: average_precision(scores, present, &mut order).ok().flatten().map(|ap| 100.0 * ap),
            })
            .collect();
        let mean_average_precision = mean(classes.iter().map(|class| class.average_precision));
        RankingReport { images, mean_average_precision, classes }
    }
}

/// Average precisions, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankingReport {
    /// Number of images.
    pub images: usize,
    /// Mean over the classes that an image shows; `None` if there is none.
    pub mean_average_precision: Option<f64>,
    /// Class by class, background left out.
    pub classes: Vec<ClassRanking>,
}

/// The measures of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassRanking {
    /// The class's name.
    pub name: String,
    /// Number of images that show it.
    pub positives: usize,
    /// Average precision in percent; `None` if no image shows it.
    pub average_precision: Option<f64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    /// The report over images given as rows of scores and of truths.
    fn report(rows: &[(Vec<f32>, Vec<bool>)]) -> RankingReport {
        let mut ranking = Ranking::new(&names(rows.first().map_or(0, |row| row.0.len())));
        rows.iter().for_each(|(scores, present)| ranking.add(scores, present).unwrap());
        ranking.report()
    }

    #[test]
    fn precisions_are_those_of_the_hand_count() {
        // Five images, by falling score. Worked out on paper from the definition, sum of (R_n - R_{n-1}) P_n:
        // cat   scores 0.9 0.8 0.7 0.6 0.5, shown + - + - +: 1/3 (1/1) + 1/3 (2/3) + 1/3 (3/5) = 34/45
        // dog   scores 0.9 0.5 0.5 0.5 0.1, shown - + - + +: the three ties enter together, two hits of four retrieved:
        //       2/3 (2/4) + 1/3 (3/5) = 8/15
        // cow   never shown: not defined, and no part of the mean
        // horse shown last of all: 1/5
        let rows: Vec<(Vec<f32>, Vec<bool>)> = [
            ([0.9, 0.9, 0.1, 0.5], [true, false, false, false]),
            ([0.8, 0.5, 0.2, 0.4], [false, true, false, false]),
            ([0.7, 0.5, 0.3, 0.3], [true, false, false, false]),
            ([0.6, 0.5, 0.4, 0.2], [false, true, false, false]),
            ([0.5, 0.1, 0.5, 0.1], [true, true, false, true]),
        ]
        .map(|(scores, present)| (scores.to_vec(), present.to_vec()))
        .to_vec();
        let report = report(&rows);
        let expected = [Some(34.0 / 45.0), Some(8.0 / 15.0), None, Some(0.2)];
        for (class, expected) in report.classes.iter().zip(expected) {
            let near = |found: f64, expected: f64| (found - 100.0 * expected).abs() < 1e-12;
            assert!(
                class.average_precision.zip(expected).is_none_or(|(found, expected)| near(found, expected))
                    && class.average_precision.is_some() == expected.is_some(),
                "{class:?}"
            );
        }
        let mean = report.mean_average_precision.unwrap();
        assert!((mean - 100.0 * (34.0 / 45.0 + 8.0 / 15.0 + 0.2) / 3.0).abs() < 1e-12, "{mean}");
        assert_eq!(report.classes.iter().map(|class| class.positives).collect::<Vec<_>>(), [3, 3, 0, 1]);
    }

    #[test]
    fn nothing_shown_is_nothing_measured() {
        assert_eq!(report(&[]).mean_average_precision, None);
        assert_eq!(report(&[(vec![0.5], vec![false])]).mean_average_precision, None);
        assert!(Ranking::new(&names(2)).report().classes.iter().all(|class| class.average_precision.is_none()));
    }

    #[test]
    fn a_mistake_adds_nothing() {
        let mut ranking = Ranking::new(&names(2));
        assert_eq!(ranking.add(&[0.1], &[true, false]), Err(MetricError::Length { expected: 2, given: 1 }));
        assert_eq!(ranking.add(&[0.1, 0.2], &[true]), Err(MetricError::Length { expected: 2, given: 1 }));
        assert_eq!(ranking.add(&[0.1, f32::NAN], &[true, true]), Err(MetricError::Score { index: 1 }));
        assert_eq!(ranking.report().images, 0);
    }

    /// The definition, from every threshold there is, without sorting: precision and recall of what scores at least so
    /// much, and the area of the steps between the recalls.
    fn by_thresholds(scores: &[f32], present: &[bool]) -> Option<f64> {
        let positives = present.iter().filter(|present| **present).count() as f64;
        let mut steps: Vec<(f64, f64)> = scores
            .iter()
            .map(|threshold| {
                let retrieved: Vec<bool> =
                    scores.iter().zip(present).filter(|(score, _)| *score >= threshold).map(|(_, p)| *p).collect();
                let hits = retrieved.iter().filter(|present| **present).count() as f64;
                (hits / positives, hits / retrieved.len() as f64)
            })
            .collect();
        // Of equal recalls, the one retrieved first has the highest precision; the others are steps of width 0.
        steps.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
        let mut reached = 0.0;
        let area =
            steps.iter().map(|(recall, precision)| (recall - std::mem::replace(&mut reached, *recall)) * precision);
        (positives > 0.0).then(|| area.sum())
    }

    proptest! {
        #[test]
        fn average_precision_is_the_area_by_definition(
            images in prop::collection::vec((0_u8..6, any::<bool>()), 1..40),
        ) {
            // Few different scores: ties are the rule.
            let (scores, present): (Vec<f32>, Vec<bool>) =
                images.iter().map(|(score, present)| (f32::from(*score) - 2.5, *present)).unzip();
            let rows: Vec<(Vec<f32>, Vec<bool>)> =
                scores.iter().zip(&present).map(|(score, present)| (vec![*score], vec![*present])).collect();
            let found = report(&rows).mean_average_precision;
            let expected = by_thresholds(&scores, &present).map(|area| 100.0 * area);
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some(expected)) = (found, expected) {
                prop_assert!((found - expected).abs() < 1e-9, "{} instead of {}", found, expected);
                prop_assert!((0.0..=100.0 + 1e-9).contains(&found));
            }
            // The order of the images tells nothing, not even among ties.
            let mut turned = rows;
            turned.reverse();
            let again = report(&turned).mean_average_precision;
            prop_assert!(found.zip(again).is_none_or(|(one, other)| (one - other).abs() < 1e-9));
        }
    }
}
