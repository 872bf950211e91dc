//! Table 7: the number of PAMR iterations.

use std::path::Path;

use serde::Serialize;
use wseg_core::metric::mean;

use super::{
    judge::{Question, Score},
    runs,
};
use crate::{Error, Result, args::PamrStudyArgs, console::Console, data::Dataset, predictor, report::table::Table};

/// A row of the table.
#[derive(Serialize)]
struct Row {
    iterations: usize,
    /// How many networks the numbers are the mean of.
    networks: usize,
    #[serde(flatten)]
    score: Score,
}

pub(super) fn run(args: &PamrStudyArgs, console: &Console) -> Result<()> {
    crate::command::use_threads(args.threads)?;
    let rows = match &args.checkpoint {
        Some(checkpoint) => of_one_network(checkpoint, args, console)?,
        None => of_networks(args, console)?,
    };
    let digits = args.table.digits();
    let mut table = Table::new(["Number of iterations", "IoU", "IoU w/ CRF"]);
    for Row { iterations, score, .. } in &rows {
        table.row([iterations.to_string(), digits.percent(score.iou), digits.percent(score.iou_crf)]);
    }
    super::print(&table, &rows, args.table, console)
}

/// One network's masks, refined by each number of iterations.
fn of_one_network(checkpoint: &Path, args: &PamrStudyArgs, console: &Console) -> Result<Vec<Row>> {
    let model = predictor::load(checkpoint)?;
    let root = args.data.as_ref().ok_or_else(|| Error::Input("--checkpoint needs --data".to_owned()))?;
    let data = Dataset::open(root)?;
    let mut iterations = args.iterations.clone();
    iterations.sort_unstable();
    iterations.dedup();
    let question = Question { iterations: &iterations, labels: false, title: "predict".to_owned() };
    let scores = question.judge(&model, &data, console)?;
    let row = |(iterations, score)| Row { iterations, networks: 1, score };
    Ok(iterations.into_iter().zip(scores).map(row).collect())
}

/// Networks trained with different numbers of iterations, as in the supplement.
fn of_networks(args: &PamrStudyArgs, console: &Console) -> Result<Vec<Row>> {
    let judged = runs::each(&args.runs, args.data.as_deref(), |path, run| {
        let iterations = run.config.settings(None)?.recipe.pamr_iterations;
        let title = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((iterations, run.judge(false, title, console)?))
    })?;
    Ok(rows(judged))
}

/// A row for each number of iterations, rising; networks with the same number are averaged.
fn rows(mut judged: Vec<(usize, Score)>) -> Vec<Row> {
    judged.sort_by_key(|(iterations, _)| *iterations);
    let same = judged.chunk_by(|(one, _), (other, _)| one == other);
    same.map(|networks| Row {
        iterations: networks[0].0,
        networks: networks.len(),
        score: Score {
            iou: mean(networks.iter().map(|(_, score)| score.iou)),
            iou_crf: mean(networks.iter().map(|(_, score)| score.iou_crf)),
        },
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_with_the_same_number_of_iterations_share_a_row() {
        let score = |iou: f64| Score { iou: Some(iou), iou_crf: (iou > 20.0).then_some(iou + 1.0) };
        let rows = rows(vec![(10, score(40.0)), (5, score(20.0)), (10, score(44.0))]);
        let told: Vec<_> =
            rows.iter().map(|row| (row.iterations, row.networks, row.score.iou, row.score.iou_crf)).collect();
        assert_eq!(told, [(5, 1, Some(20.0), None), (10, 2, Some(42.0), Some(43.0))]);
    }
}
