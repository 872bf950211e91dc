//! `wseg eval`: predicted masks against true ones.

use std::path::{Path, PathBuf};

use crate::{
    Error, Result,
    args::EvalArgs,
    console::Console,
    data::{Classes, mask, read_list, reason, require_folder},
    metrics::{Pair, evaluate},
    report::table,
};

/// Prints the measures as a table or as JSON.
///
/// # Errors
/// Names every file that is missing or cannot be used; then nothing is printed on standard output.
pub fn run(args: &EvalArgs, console: &Console) -> Result<()> {
    require_folder(&args.pred)?;
    require_folder(&args.gt)?;
    let classes = Classes::read(&classes_file(args)?)?;
    let names = match &args.list {
        Some(list) => read_list(list)?,
        None => masks_in(&args.gt)?,
    };
    let pairs: Vec<Pair> = names
        .iter()
        .map(|name| Pair {
            prediction: args.pred.join(format!("{name}.png")),
            truth: mask::find(&args.gt, name).unwrap_or_else(|| args.gt.join(format!("{name}.png"))),
        })
        .collect();
    let missing = pairs.iter().filter(|pair| !pair.prediction.is_file()).count();
    if args.list.is_none() && missing > 0 {
        console.note(format_args!(
            "{missing} of the {} masks in {} have no prediction; --list FILE compares only the names in a list",
            pairs.len(),
            args.gt.display()
        ));
    }
    let report = evaluate(&pairs, &classes)?;
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| Error::Failed(error.to_string()))?;
        console.print(json);
    } else {
        console.print(table::evaluation(&report).text(console.paint()));
        console.print(format_args!("{} images, {} pixels ignored", report.images, report.ignored_pixels));
    }
    Ok(())
}

/// The file of class names: as given, or in the folder of true masks, or beside it.
pub(super) fn classes_file(args: &EvalArgs) -> Result<PathBuf> {
    if let Some(file) = &args.classes {
        return Ok(file.clone());
    }
    let inside = args.gt.join("classes.txt");
    // "masks" has the parent "", and "." none, but each has a "..".
    let beside = match args.gt.parent() {
        Some(parent) if args.gt.file_name().is_some() => parent.join("classes.txt"),
        _ => args.gt.join("../classes.txt"),
    };
    [inside, beside].into_iter().find(|file| file.is_file()).ok_or_else(|| {
        Error::input(&args.gt, "no classes.txt in this folder or beside it; give the class names with --classes FILE")
    })
}

/// The names of all masks in a folder, sorted.
pub(super) fn masks_in(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::input(folder, reason(&error)))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::input(folder, reason(&error)))?.path();
        if let (Some(stem), true) = (path.file_stem(), mask::is_mask(&path)) {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    if names.is_empty() {
        return Err(Error::input(folder, "no masks (NAME.png or NAME.mat) in this folder"));
    }
    names.sort();
    names.dedup();
    Ok(names)
}
