//! Which checkpoints are the best, and when there have been none for too long.

use serde::{Deserialize, Serialize};

use super::exact;
use crate::settings::Best;

/// One look at the validation split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Epoch, from 1.
    pub epoch: usize,
    /// The larger, the better.
    #[serde(with = "exact")]
    score: f64,
}

/// The best looks, the best one first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestEpochs {
    looks: Vec<Seen>,
    /// Looks since the best one.
    stale: usize,
}

/// Where a look ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Better than all before.
    First,
    /// Among those that are kept.
    Kept,
    /// Not among them.
    Out,
}

impl BestEpochs {
    /// Takes the look of an epoch in, and forgets all but the `keep` best. Of equal looks the earlier one is better; a
    /// score that is missing or not a number is the worst.
    pub fn see(&mut self, epoch: usize, score: Option<f64>, keep: usize) -> Place {
        self.stale += 1;
        let Some(score) = score.filter(|score| !score.is_nan()) else { return Place::Out };
        let rank = self.looks.iter().take_while(|look| look.score >= score).count();
        self.looks.insert(rank, Seen { epoch, score });
        self.looks.truncate(keep.max(1));
        match rank {
            0 => {
                self.stale = 0;
                Place::First
            }
            rank if rank < keep => Place::Kept,
            _ => Place::Out,
        }
    }

    /// The looks that are kept, the best one first.
    #[must_use]
    pub fn kept(&self) -> &[Seen] {
        &self.looks
    }

    /// Whether there has been no better look for `patience` looks; 0 is patience without end.
    #[must_use]
    pub const fn is_over(&self, patience: usize) -> bool {
        patience > 0 && self.stale >= patience
    }
}

impl Best {
    /// The score of a look; the larger, the better.
    #[must_use]
    pub fn score(self, loss: Option<f64>, miou: Option<f64>) -> Option<f64> {
        let by_loss = loss.map(|loss| -loss);
        match self {
            Self::Loss => by_loss,
            Self::Miou => miou,
            Self::MiouOrLoss => miou.or(by_loss),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_and_the_earlier_of_equals_is_better() {
        let mut ranking = BestEpochs::default();
        let places: Vec<Place> = [1.0, 3.0, 3.0, 2.0, f64::NAN, 0.0, 4.0]
            .into_iter()
            .enumerate()
            .map(|(index, score)| ranking.see(index + 1, Some(score), 3))
            .collect();
        assert_eq!(
            places,
            [Place::First, Place::First, Place::Kept, Place::Kept, Place::Out, Place::Out, Place::First]
        );
        assert_eq!(ranking.kept().iter().map(|look| look.epoch).collect::<Vec<_>>(), [7, 2, 3]);
        assert_eq!(ranking.see(8, None, 3), Place::Out);
    }

    #[test]
    fn patience_counts_looks_since_the_best() {
        let mut ranking = BestEpochs::default();
        for (index, (score, over)) in [(1.0, false), (1.0, false), (0.5, true), (2.0, false)].into_iter().enumerate() {
            ranking.see(index + 1, Some(score), 1);
            assert_eq!(ranking.is_over(2), over, "look {index}");
            assert!(!ranking.is_over(0));
        }
    }

    #[test]
    fn a_low_loss_and_a_high_miou_are_good() {
        assert!(Best::Loss.score(Some(0.1), None) > Best::Loss.score(Some(0.2), Some(90.0)));
        assert!(Best::Miou.score(Some(0.1), Some(50.0)) > Best::Miou.score(Some(0.0), Some(40.0)));
        assert_eq!(Best::Miou.score(Some(0.1), None), None);
        assert_eq!(Best::MiouOrLoss.score(Some(0.1), Some(50.0)), Some(50.0));
        assert_eq!(Best::MiouOrLoss.score(Some(0.1), None), Some(-0.1));
    }

    #[test]
    fn a_ranking_comes_back_from_json_bit_for_bit() {
        let mut ranking = BestEpochs::default();
        for (epoch, score) in [(1, 0.1 + 0.2), (2, -1.0 / 3.0), (3, f64::INFINITY), (4, 5e-324)] {
            ranking.see(epoch, Some(score), 9);
        }
        let text = serde_json::to_string(&ranking).unwrap();
        assert_eq!(serde_json::from_str::<BestEpochs>(&text).unwrap(), ranking);
    }
}
