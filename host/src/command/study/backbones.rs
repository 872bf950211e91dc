//! Table 9: the CAM baseline and the single-stage network by backbone.

use std::path::PathBuf;

use serde::Serialize;
use wseg_core::metric::mean;
use wseg_cuda_runner::model::ModelKind;

use super::{judge::Score, runs};
use crate::{
    Result,
    args::BackbonesArgs,
    console::Console,
    report::{evaluation::Digits, table::Table},
};

/// The numbers of a run.
#[derive(Debug, Clone, Serialize)]
struct Judged {
    run: PathBuf,
    backbone: String,
    model: ModelKind,
    #[serde(flatten)]
    score: Score,
}

pub(super) fn run(args: &BackbonesArgs, console: &Console) -> Result<()> {
    crate::command::use_threads(args.threads)?;
    let judged = runs::each(&args.runs, args.data.as_deref(), |path, run| {
        let (backbone, model) = (run.config.preset.clone().unwrap_or_else(|| "-".to_owned()), run.model.config.model);
        let score = run.judge(true, format!("{backbone} {model}"), console)?;
        Ok(Judged { run: path.to_owned(), backbone, model, score })
    })?;
    super::print(&table(&judged, args.table.digits()), &judged, args.table, console)
}

/// The columns of numbers: model, and whether with CRF.
const COLUMNS: [(ModelKind, bool); 4] =
    [(ModelKind::Cam, false), (ModelKind::Cam, true), (ModelKind::SingleStage, false), (ModelKind::SingleStage, true)];

/// A row a backbone, in the order of the runs, and their mean.
fn table(judged: &[Judged], digits: Digits) -> Table {
    let mut backbones: Vec<&str> = Vec::new();
    for run in judged {
        if !backbones.contains(&run.backbone.as_str()) {
            backbones.push(&run.backbone);
        }
    }
    let cell = |backbone: &str, (model, crf): (ModelKind, bool)| {
        let runs = judged.iter().filter(|run| run.backbone == backbone && run.model == model);
        mean(runs.map(|run| if crf { run.score.iou_crf } else { run.score.iou }))
    };
    let mut table = Table::new(["Backbone", "CAM w/o CRF", "CAM + CRF", "Ours w/o CRF", "Ours + CRF"]);
    for backbone in &backbones {
        let cells = COLUMNS.map(|column| digits.percent(cell(backbone, column)));
        table.row(std::iter::once((*backbone).to_owned()).chain(cells));
    }
    if backbones.len() > 1 {
        table.rule();
        let means = COLUMNS.map(|column| digits.percent(mean(backbones.iter().map(|backbone| cell(backbone, column)))));
        table.row(std::iter::once("Mean".to_owned()).chain(means));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_backbone_and_their_mean() {
        let judged = |backbone: &str, model, iou: f64| Judged {
            run: PathBuf::new(),
            backbone: backbone.to_owned(),
            model,
            score: Score { iou: Some(iou), iou_crf: Some(iou + 2.0) },
        };
        let runs = [
            judged("vgg16", ModelKind::Cam, 41.0),
            judged("vgg16", ModelKind::SingleStage, 55.0),
            judged("vgg16", ModelKind::SingleStage, 57.0),
            judged("resnet50", ModelKind::Cam, 43.0),
        ];
        let lines = table(&runs, Digits::Rounded).markdown();
        let lines: Vec<&str> = lines.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| vgg16 | 41.0 | 43.0 | 56.0 | 58.0 |",
                "| resnet50 | 43.0 | 45.0 | - | - |",
                "| Mean | 42.0 | 44.0 | 56.0 | 58.0 |"
            ]
        );
    }
}
