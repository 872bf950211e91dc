//! Table 9: the CAM baseline and the single-stage network by backbone.

use std::path::{Path, PathBuf};

use serde::Serialize;
use wseg_core::metric::mean;
use wseg_cuda_runner::model::{Model, ModelKind};

use super::judge::{Question, Score};
use crate::{
    Error, Result,
    args::BackbonesArgs,
    console::Console,
    data::{Dataset, Options},
    predictor,
    report::{evaluation::Digits, table::Table},
    settings::Config,
    training::{BEST, LAST, RECORD},
};

/// A run that is judged.
struct Run {
    /// As the table names its backbone: its preset.
    backbone: String,
    model: Model,
    data: PathBuf,
    options: Options,
}

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
    // All are opened before the first is judged: a slip in the last one is not told hours later.
    for path in &args.runs {
        open(path, args.data.as_deref())?;
    }
    let mut judged = Vec::with_capacity(args.runs.len());
    for path in &args.runs {
        let Run { backbone, model, data, options } = open(path, args.data.as_deref())?;
        let dataset = Dataset::open_with(&data, &options)?;
        let question = Question { iterations: &[0], labels: true, title: format!("{backbone} {}", model.config.model) };
        let scores = question.judge(&model, &dataset, console)?;
        let model = model.config.model;
        judged.extend(scores.into_iter().map(|score| Judged {
            run: path.clone(),
            backbone: backbone.clone(),
            model,
            score,
        }));
    }
    super::print(&table(&judged, args.table.digits()), &judged, args.table, console)
}

/// A run's settings and best checkpoint.
fn open(path: &Path, data: Option<&Path>) -> Result<Run> {
    let record = path.join(RECORD);
    if !record.is_file() {
        return Err(Error::input(path, format!("has no {RECORD}; a run is the folder that `wseg train --out` made")));
    }
    let config = Config::read(&record)?;
    let checkpoint = [BEST, LAST].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
    let checkpoint = checkpoint.ok_or_else(|| Error::input(path, "has no checkpoint yet; wait for its first epoch"))?;
    let own = config.run.data.as_ref().map(PathBuf::from);
    let data = data.map(Path::to_owned).or(own);
    let data = data.ok_or_else(|| Error::input(&record, "names no data; give them with --data"))?;
    if !data.exists() {
        return Err(Error::input(
            &data,
            format!("these data of {} are not there; give them with --data", path.display()),
        ));
    }
    Ok(Run {
        backbone: config.preset.clone().unwrap_or_else(|| "-".to_owned()),
        model: predictor::load(&checkpoint)?,
        data,
        options: Options { sbd: config.run.sbd.map(PathBuf::from), val_share: config.run.val_share.unwrap_or(0.0) },
    })
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
