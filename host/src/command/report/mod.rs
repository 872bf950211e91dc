//! `wseg report`: a run as a page.

mod given;
mod judge;
mod predicted;

use std::path::Path;

use serde_json::json;

use self::judge::Outcome;
use crate::{
    Error, Result,
    args::ReportArgs,
    console::Console,
    files,
    plot::{Curves, figure},
    report::html::{Content, page},
    settings::Config,
    training::RECORD,
};

/// Reads the run, compares its masks with the truth, writes the page.
///
/// # Errors
/// If the run has no log, or a file that is there cannot be used, or the page cannot be written.
pub fn run(args: &ReportArgs, console: &Console) -> Result<()> {
    if !args.run.is_dir() {
        return Err(Error::input(&args.run, "no such folder; RUN is the folder that `wseg train --out` made"));
    }
    super::use_threads(args.threads)?;
    let epochs = super::plot::epochs(&args.run, console)?;
    let name = super::plot::names(std::slice::from_ref(&args.run)).concat();
    let record = record(&args.run)?;
    let mut remarks = Vec::new();
    if record.is_none() {
        remarks.push(format!("The run has no {RECORD}, so nothing is known of its settings and data."));
    }
    let outcome = match (&args.pred, &args.gt) {
        (Some(pred), Some(gt)) => given::judge(args, pred, gt, console)?,
        _ if args.log_only => Outcome::default(),
        _ => match predicted::judge(args, record.as_ref().map(|(config, _)| config), console)? {
            Ok(outcome) => outcome,
            Err(reason) => {
                console.warn(format_args!("nothing is predicted: {reason}"));
                remarks.push(format!("Nothing was predicted for this page: {reason}."));
                Outcome::default()
            }
        },
    };
    remarks.extend(outcome.remark.clone());
    let classes = if outcome.classes.is_empty() { logged_classes(&epochs) } else { outcome.classes };
    let curves = figure(&[Curves { name: name.clone(), epochs: epochs.clone() }]);
    let text = page(&Content {
        name: &name,
        epochs: &epochs,
        curves: curves.as_ref(),
        record: record.as_ref().map(|(config, text)| (config, text.as_str())),
        judged: outcome.judged.as_ref(),
        photos: &outcome.photos,
        classes: &classes,
        remarks: &remarks,
    })?;
    let out = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    files::write_atomic(&out, text.as_bytes())?;
    if args.json {
        let report = outcome.judged.as_ref().map(|judged| &judged.report);
        let photos: Vec<&str> = outcome.photos.iter().map(|shown| shown.name.as_str()).collect();
        console.print(json!({
            "run": name, "out": out, "bytes": text.len(), "photos": photos, "remarks": remarks, "report": report,
        }));
    } else {
        console.print(format_args!("Report: {}", out.display()));
    }
    Ok(())
}

/// The run's record and its text, if it has one.
fn record(run: &Path) -> Result<Option<(Config, String)>> {
    let path = run.join(RECORD);
    if !path.exists() {
        return Ok(None);
    }
    let config = Config::read(&path)?;
    let text = std::fs::read_to_string(&path).map_err(|error| Error::input(&path, crate::data::reason(&error)))?;
    Ok(Some((config, text)))
}

/// The classes that a log names, the background first.
fn logged_classes(epochs: &[crate::log::EpochLog]) -> Vec<String> {
    const BACKGROUND: &str = "background";
    let last = epochs.iter().rev().find(|log| !log.validation_ap.is_empty());
    let objects = last.into_iter().flat_map(|log| log.validation_ap.keys()).filter(|name| *name != BACKGROUND);
    let mut classes: Vec<String> = std::iter::once(BACKGROUND.to_owned()).chain(objects.cloned()).collect();
    classes.truncate(if classes.len() > 1 { usize::from(u8::MAX) } else { 0 });
    classes
}
