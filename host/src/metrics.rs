//! Comparing predictions with the truth: masks by [`Evaluator`], image scores by [`Ranking`].

mod evaluator;
mod files;
mod outline;
mod ranking;
mod tally;

pub use evaluator::{BoundaryReport, Evaluation, Evaluator, ImageReport, Measures, TrimapReport};
pub use files::{Pair, evaluate};
pub use ranking::{ClassRanking, Ranking, RankingReport};
pub use tally::{ClassReport, Mistake, Report, Tally};
