//! `wseg plot`: the curves of runs as pictures, and their best epochs as a table.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    Error, Result,
    args::PlotArgs,
    console::Console,
    files,
    log::{EpochLog, METRICS, read_metrics},
    plot::{Curves, MAX_RUNS, figure},
    report::table::Table,
};

/// Pixels of the PNG for a pixel of the drawing: sharp on today's screens.
pub(super) const PNG_SCALE: f32 = 2.0;

/// Reads the logs, draws, and prints what was best.
///
/// # Errors
/// If a log is missing, malformed or empty, or the folder cannot be written.
pub fn run(args: &PlotArgs, console: &Console) -> Result<()> {
    if args.runs.len() > MAX_RUNS {
        return Err(Error::Input(format!("{} runs cannot be told apart; draw at most {MAX_RUNS}", args.runs.len())));
    }
    let names = names(&args.runs);
    let mut runs = Vec::with_capacity(args.runs.len());
    for (run, name) in args.runs.iter().zip(names) {
        runs.push(Curves { name, epochs: epochs(run, console)? });
    }
    let drawing = figure(&runs).ok_or_else(|| Error::Input("the runs hold no number that can be drawn".to_owned()))?;
    let folder = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [run]) if run.is_dir() => run.clone(),
        (None, [file]) => files::folder_of(file).to_owned(),
        (None, _) => PathBuf::from("."),
    };
    let [svg, png] = ["curves.svg", "curves.png"].map(|name| folder.join(name));
    let picture = drawing.png(PNG_SCALE)?;
    files::write_atomic(&svg, drawing.svg()?.as_bytes())?;
    files::write_atomic(&png, &picture)?;
    if args.json {
        let best = |run: &Curves| {
            let of = |measure: &Measure| {
                measure.best(&run.epochs).map(|(epoch, value)| json!({"epoch": epoch, "value": value}))
            };
            let [loss, miou, map] = MEASURES.each_ref().map(of);
            let last = run.epochs.last().map(|log| log.epoch);
            json!({ "name": run.name, "last_epoch": last, "validation_loss": loss, "validation_miou": miou, "validation_map": map })
        };
        console.print(json!({ "svg": svg, "png": png, "runs": runs.iter().map(best).collect::<Vec<_>>() }));
    } else {
        console.print(table(&runs).text(console.paint()));
        console.print(format_args!("\nCurves: {}, {}", svg.display(), png.display()));
    }
    Ok(())
}

/// What was logged of a run that is named by its folder or its log.
pub(super) fn epochs(run: &Path, console: &Console) -> Result<Vec<EpochLog>> {
    let path = if run.is_dir() { run.join(METRICS) } else { run.to_owned() };
    if !path.exists() {
        let problem = format!("no such file; RUN is the folder that `wseg train --out` made, with its {METRICS}");
        return Err(Error::input(&path, problem));
    }
    let metrics = read_metrics(&path)?;
    if metrics.cut_off {
        console.warn(format_args!("{}: the last line is cut off and left out; was the run killed?", path.display()));
    }
    if metrics.epochs.is_empty() {
        return Err(Error::input(&path, "holds no epoch yet; draw it when the first one is over"));
    }
    Ok(metrics.epochs)
}

/// Names to know the runs by: the ends of their paths, as long as needed to differ.
pub(super) fn names(runs: &[PathBuf]) -> Vec<String> {
    let parts: Vec<Vec<String>> = runs.iter().map(|run| parts(run)).collect();
    let end = |parts: &[String], length: usize| parts[parts.len().saturating_sub(length)..].join("/");
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    parts
        .iter()
        .enumerate()
        .map(|(index, own)| {
            let differs = |length: &usize| {
                let others = parts.iter().enumerate().filter(|(other, _)| *other != index);
                others.into_iter().all(|(_, other)| end(other, *length) != end(own, *length))
            };
            let length = (1..longest).find(differs).unwrap_or(longest.max(1));
            end(own, length)
        })
        .collect()
}

/// The folders that lead to a run, and its own. A log is named like its folder, `.` by its real name.
fn parts(run: &Path) -> Vec<String> {
    let run = if run.file_name().is_some_and(|name| name == METRICS) { files::folder_of(run) } else { run };
    let real = if run.file_name().is_none() { run.canonicalize().ok() } else { None };
    let run = real.as_deref().unwrap_or(run);
    let parts: Vec<String> = run
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if parts.is_empty() { vec![run.display().to_string()] } else { parts }
}

/// A measure by which epochs and runs are compared.
struct Measure {
    heading: &'static str,
    of: fn(&EpochLog) -> Option<f64>,
    /// 1 where more is better, -1 where less is.
    sign: f64,
    decimals: usize,
}

const MEASURES: [Measure; 3] = [
    Measure { heading: "lowest validation loss", of: |log| log.validation_loss, sign: -1.0, decimals: 4 },
    Measure { heading: "best mIoU %", of: |log| log.validation_miou, sign: 1.0, decimals: 1 },
    Measure { heading: "best mAP %", of: |log| log.validation_map, sign: 1.0, decimals: 1 },
];

impl Measure {
    /// The best value and its epoch, the first among equals.
    fn best(&self, epochs: &[EpochLog]) -> Option<(usize, f64)> {
        let values = epochs.iter().filter_map(|log| (self.of)(log).map(|value| (log.epoch, value)));
        values.reduce(|kept, next| if self.sign * next.1 > self.sign * kept.1 { next } else { kept })
    }

    fn cell(&self, best: Option<(usize, f64)>) -> String {
        best.map_or_else(|| "-".to_owned(), |(epoch, value)| format!("{value:.*} (epoch {epoch})", self.decimals))
    }

    /// Mean and standard deviation (n - 1) of the runs' best values; a dash where there are not two.
    fn spread(&self, runs: &[Curves]) -> String {
        let values: Vec<f64> = runs.iter().filter_map(|run| self.best(&run.epochs)).map(|(_, value)| value).collect();
        if values.len() < 2 {
            return "-".to_owned();
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        format!("{mean:.*} +- {:.*}", self.decimals, self.decimals, variance.sqrt())
    }
}

/// A row a run: its last epoch, and the best of its measures; below, mean and deviation over the runs.
fn table(runs: &[Curves]) -> Table {
    let headings = MEASURES.iter().map(|measure| measure.heading);
    let mut table = Table::new(["run", "epochs"].into_iter().chain(headings));
    for run in runs {
        let last = run.epochs.last().map_or(0, |log| log.epoch).to_string();
        let cells = MEASURES.iter().map(|measure| measure.cell(measure.best(&run.epochs)));
        table.row([run.name.clone(), last].into_iter().chain(cells));
    }
    if runs.len() > 1 {
        table.rule();
        let cells = MEASURES.iter().map(|measure| measure.spread(runs));
        table.row(["mean +- deviation".to_owned(), String::new()].into_iter().chain(cells));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Paint;

    #[test]
    fn runs_are_named_by_what_tells_them_apart() {
        let named = |runs: &[&str]| names(&runs.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(named(&["runs/a", "runs/b/"]), ["a", "b"]);
        assert_eq!(named(&["one/run", "two/run", "runs/c"]), ["one/run", "two/run", "c"]);
        assert_eq!(named(&["runs/a/metrics.jsonl"]), ["a"]);
        assert_eq!(named(&["runs/a", "runs/a"]), ["runs/a", "runs/a"], "the same run twice is nobody's name");
        assert!(!named(&["."])[0].is_empty() && named(&["/"]) == ["/"]);
    }

    #[test]
    fn the_table_compares_best_epochs() {
        let run = |name: &str, mious: [f64; 3]| {
            let log = |(index, miou): (usize, &f64)| EpochLog {
                epoch: index + 1,
                validation_loss: Some(0.5),
                validation_miou: Some(*miou),
                ..EpochLog::default()
            };
            Curves { name: name.to_owned(), epochs: mious.iter().enumerate().map(log).collect() }
        };
        let text = table(&[run("a", [40.0, 50.0, 50.0]), run("b", [60.0, 44.0, 30.0])]).text(Paint::PLAIN);
        // Deviation of 50 and 60: sqrt((25 + 25) / 1) = 7.07.
        for part in ["0.5000 (epoch 1)", "50.0 (epoch 2)", "60.0 (epoch 1)", "55.0 +- 7.1", "0.5000 +- 0.0000"] {
            assert!(text.contains(part), "`{part}` is missing: {text}");
        }
    }
}
