//! Table 7: the number of PAMR iterations.

use serde::Serialize;

use super::judge::{Question, Score};
use crate::{Result, args::PamrStudyArgs, console::Console, data::Dataset, predictor, report::table::Table};

/// A row of the table.
#[derive(Serialize)]
struct Row {
    iterations: usize,
    #[serde(flatten)]
    score: Score,
}

pub(super) fn run(args: &PamrStudyArgs, console: &Console) -> Result<()> {
    crate::command::use_threads(args.threads)?;
    let model = predictor::load(&args.checkpoint)?;
    let data = Dataset::open(&args.data)?;
    let mut iterations = args.iterations.clone();
    iterations.sort_unstable();
    iterations.dedup();
    let question = Question { iterations: &iterations, labels: false, title: "predict".to_owned() };
    let scores = question.judge(&model, &data, console)?;
    let rows: Vec<Row> =
        iterations.into_iter().zip(scores).map(|(iterations, score)| Row { iterations, score }).collect();
    let digits = args.table.digits();
    let mut table = Table::new(["Number of iterations", "IoU", "IoU w/ CRF"]);
    for Row { iterations, score } in &rows {
        table.row([iterations.to_string(), digits.percent(score.iou), digits.percent(score.iou_crf)]);
    }
    super::print(&table, &rows, args.table, console)
}
