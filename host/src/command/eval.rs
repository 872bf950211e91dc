//! `wseg eval`: predicted masks against true ones, and archives for the test server.

mod masks;
mod output;
mod paper;
mod submission;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    Result,
    args::{EvalArgs, Format, Published},
    console::Console,
    data::{Classes, read_list},
    error::Error,
    metrics::{Measures, Pair, evaluate},
};
use masks::Masks;
use paper::Paper;

/// How many masks without a counterpart a remark names.
const NAMED: usize = 5;

/// Prints the measures, writes the archive.
///
/// # Errors
/// Names every file that is missing or cannot be used; then nothing is printed on standard output, and nothing written.
pub fn run(args: &EvalArgs, console: &Console) -> Result<()> {
    super::use_threads(args.threads)?;
    let predicted = Masks::predicted(&args.pred)?;
    if let Some(gt) = &args.gt {
        return measure(args, gt, &predicted, console);
    }
    let names = match &args.list {
        Some(list) => read_list(list)?,
        None => predicted.names()?,
    };
    if let Some(archive) = &args.submission {
        submission::write(archive, &predicted, &names)?;
        if args.format() == Format::Json {
            console.print(json!({ "submission": archive, "masks": names.len() }));
        } else {
            console.print(format_args!("{}: {} masks", archive.display(), names.len()));
        }
    }
    Ok(())
}

fn measure(args: &EvalArgs, gt: &Path, predicted: &Masks, console: &Console) -> Result<()> {
    let truth = Masks::truth(gt)?;
    let classes = classes(args, gt)?;
    let paper = args.compare.map(|Published::Paper| Paper::read(&classes)).transpose()?;
    let names = match &args.list {
        Some(list) => read_list(list)?,
        None => {
            let names = truth.names()?;
            remark(&names, predicted, gt, console);
            names
        }
    };
    let pairs: Vec<Pair> = names
        .iter()
        .map(|name| Pair { name: name.clone(), prediction: predicted.path(name), truth: truth.path(name) })
        .collect();
    let measures = Measures { tolerance: args.tolerance, trimap: args.trimap.clone(), undecided: args.undecided };
    let evaluation = evaluate(&pairs, &classes, &measures)?;
    if let Some(archive) = &args.submission {
        submission::write(archive, predicted, &names)?;
        console.note(format_args!("{}: {} masks", archive.display(), names.len()));
    }
    output::print(args, &evaluation, &classes, paper.as_ref(), console)
}

/// Says which masks of either folder have no counterpart in the other.
fn remark(names: &[String], predicted: &Masks, gt: &Path, console: &Console) {
    let missing = names.iter().filter(|name| !predicted.has(name)).count();
    if missing > 0 {
        console.note(format_args!(
            "{missing} of the {} masks in {} have no prediction; --list FILE compares only the names in a list",
            names.len(),
            gt.display()
        ));
    }
    let beyond = predicted.beyond(names);
    if !beyond.is_empty() {
        let named = beyond[..beyond.len().min(NAMED)].join(", ");
        let more = beyond.len().checked_sub(NAMED).filter(|more| *more > 0);
        let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
        console.note(format_args!("predictions without a true mask are no part of the numbers: {named}{more}"));
    }
}

/// The names of all true masks in a folder, sorted.
pub(super) fn masks_in(folder: &Path) -> Result<Vec<String>> {
    Masks::truth(folder)?.names()
}

/// The classes: as given, or those of the folder of true masks.
fn classes(args: &EvalArgs, gt: &Path) -> Result<Classes> {
    match &args.classes {
        Some(word) if word == Path::new("voc") && !word.exists() => Ok(Classes::voc()),
        Some(file) => Classes::read(file),
        None => Classes::read(&classes_file(gt)?),
    }
}

/// The file of class names in the folder of true masks, or beside it.
pub(super) fn classes_file(gt: &Path) -> Result<PathBuf> {
    let inside = gt.join("classes.txt");
    // "masks" has the parent "", and "." none, but each has a "..".
    let beside = match gt.parent() {
        Some(parent) if gt.file_name().is_some() => parent.join("classes.txt"),
        _ => gt.join("../classes.txt"),
    };
    [inside, beside].into_iter().find(|file| file.is_file()).ok_or_else(|| {
        Error::input(
            gt,
            "no classes.txt in this folder or beside it; give the class names with --classes FILE, or --classes voc",
        )
    })
}
