//! An evaluation as it is printed.

use std::path::Path;

use serde::Serialize;

use super::paper::Paper;
use crate::{
    Error, Result,
    args::{EvalArgs, Format},
    console::Console,
    data::Classes,
    metrics::{Evaluation, ImageReport},
    report::{
        evaluation::{self, Digits},
        table::Table,
    },
};

/// Everything, as JSON has it.
#[derive(Serialize)]
struct Everything<'e> {
    #[serde(flatten)]
    evaluation: &'e Evaluation,
    #[serde(skip_serializing_if = "Option::is_none")]
    worst: Option<Vec<Image<'e>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<&'e Paper>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<&'e Path>,
}

#[derive(Serialize)]
struct Image<'e> {
    #[serde(flatten)]
    report: &'e ImageReport,
    classes: Vec<ImageClass<'e>>,
}

#[derive(Serialize)]
struct ImageClass<'e> {
    name: &'e str,
    iou: f64,
}

impl<'e> Image<'e> {
    fn new(report: &'e ImageReport, classes: &'e Classes) -> Self {
        let named = classes.names().iter().enumerate();
        let iou = |value: usize| report.classes.iter().find(|(class, _)| usize::from(*class) == value);
        let classes = named.filter_map(|(value, name)| iou(value).map(|&(_, iou)| ImageClass { name, iou })).collect();
        Self { report, classes }
    }
}

/// Prints what was asked for.
///
/// # Errors
/// None that can be met: everything printed is numbers and names.
pub(super) fn print(
    args: &EvalArgs,
    evaluation: &Evaluation,
    classes: &Classes,
    paper: Option<&Paper>,
    console: &Console,
) -> Result<()> {
    let worst = args.worst.map(|count| evaluation.worst(count));
    let format = args.format();
    if format == Format::Json {
        let worst = worst.map(|images| images.into_iter().map(|image| Image::new(image, classes)).collect());
        let everything = Everything { evaluation, worst, compare: paper, submission: args.submission.as_deref() };
        let json = serde_json::to_string_pretty(&everything).map_err(|error| Error::Failed(error.to_string()))?;
        console.print(json);
        return Ok(());
    }
    let digits = if format == Format::Csv { Digits::All } else { Digits::Rounded };
    let mut tables = vec![(String::new(), evaluation::classes(evaluation, digits))];
    if !evaluation.trimap.is_empty() {
        tables.push(("Near true borders".to_owned(), evaluation::trimap(evaluation, digits)));
    }
    if args.confusion {
        tables.push(("Pixels by true and predicted class".to_owned(), evaluation::confusion(evaluation)));
    }
    if let Some(worst) = worst {
        tables.push(("Images with the lowest mean IoU".to_owned(), evaluation::images(&worst, classes, digits)));
    }
    tables.extend(paper.into_iter().flat_map(|paper| paper.tables(evaluation, digits)));
    for (index, (title, table)) in tables.iter().enumerate() {
        if index > 0 {
            console.print("");
        }
        console.print(written(title, table, format, console));
    }
    if format != Format::Csv {
        let report = &evaluation.report;
        let gap = if tables.len() > 1 || format == Format::Markdown { "\n" } else { "" };
        console.print(format_args!("{gap}{} images, {} pixels ignored", report.images, report.ignored_pixels));
    }
    Ok(())
}

fn written(title: &str, table: &Table, format: Format, console: &Console) -> String {
    let titled = |body: String, gap: &str| if title.is_empty() { body } else { format!("{title}{gap}{body}") };
    match format {
        Format::Csv => table.csv(),
        Format::Markdown => titled(table.markdown(), "\n\n"),
        Format::Text | Format::Json => titled(table.text(console.paint()), "\n"),
    }
}
