//! `wseg data`: what is in a data set, and writing it in VOC layout.

use serde_json::json;

use crate::{
    Error, Result,
    args::{CheckArgs, ConvertArgs, DataArgs, DataCommand},
    console::Console,
    data::{
        Dataset,
        check::{Check, Findings},
        convert::Conversion,
    },
    report::table::Table,
};

/// Runs the command.
///
/// # Errors
/// If the data set cannot be used, or, of `check`, if anything is wrong with it.
pub fn run(args: &DataArgs, console: &Console) -> Result<()> {
    match &args.action {
        DataCommand::Check(args) => check(args, console),
        DataCommand::Convert(args) => convert(args, console),
    }
}

fn check(args: &CheckArgs, console: &Console) -> Result<()> {
    let check = Check::open(&args.data, &args.source.options())?;
    let progress = console.progress("check", check.photos() as u64);
    let findings = check.run(|| progress.advance(1));
    drop(progress);
    if args.json {
        let json = serde_json::to_string_pretty(&findings).map_err(|error| Error::Failed(error.to_string()))?;
        console.print(json);
    } else {
        print(&findings, args, console);
    }
    match findings.problem_count() {
        0 => Ok(()),
        1 => Err(Error::input(&args.data, "there is a problem with it; the output names it")),
        count => Err(Error::input(&args.data, format!("there are {count} problems with it; the output names them"))),
    }
}

fn print(findings: &Findings, args: &CheckArgs, console: &Console) {
    let paint = console.paint();
    let data = args.data.display();
    console.print(format_args!("{data}: {}, image labels from {}", findings.layout, findings.labels));
    for split in &findings.splits {
        let (name, photos) = (split.name, split.photos);
        let plural = if photos == 1 { "" } else { "s" };
        console.print(format_args!(
            "{name}: {photos} photo{plural}, {} usable, {} with a mask",
            split.usable, split.masks
        ));
    }
    console.print("");
    console.print(counts(findings).text(paint));
    for finding in &findings.problems {
        let place = finding.split.map_or(String::new(), |split| format!(" {split}:"));
        console.print(format_args!("{}{place} {}", paint.bad("problem:"), finding.problem));
    }
    if findings.problems_left_out > 0 {
        console.print(format_args!("and {} problems more", findings.problems_left_out));
    }
    findings.remarks.iter().for_each(|remark| console.print(format_args!("remark: {remark}")));
    if findings.problem_count() == 0 {
        console.print(paint.good("no problems"));
    }
}

/// The table of photos by class and split.
fn counts(findings: &Findings) -> Table {
    let splits = findings.splits.iter().map(|split| format!("{} photos", split.name));
    let mut table = Table::new(std::iter::once("class".to_owned()).chain(splits));
    for (value, class) in findings.classes.iter().enumerate() {
        let name = if value == 0 { format!("{} only", class.name) } else { class.name.clone() };
        table.row(std::iter::once(name).chain(class.photos.iter().map(usize::to_string)));
    }
    table
}

fn convert(args: &ConvertArgs, console: &Console) -> Result<()> {
    super::require_fresh(&args.out, false)?;
    let data = Dataset::open_with(&args.data, &args.source.options())?;
    let conversion = Conversion::plan(&data)?;
    let progress = console.progress("convert", conversion.photos() as u64);
    let written = conversion.write(&args.out, || progress.advance(1))?;
    drop(progress);
    let photos: usize = written.splits.iter().map(|(_, photos)| photos).sum();
    if args.json {
        let splits: serde_json::Map<_, _> =
            written.splits.iter().map(|(name, photos)| ((*name).to_owned(), json!(photos))).collect();
        console.print(json!({ "out": args.out, "photos": photos, "masks": written.masks, "splits": splits }));
    } else {
        let splits: Vec<String> = written.splits.iter().map(|(name, photos)| format!("{photos} {name}")).collect();
        let (out, masks) = (args.out.display(), written.masks);
        console.print(format_args!("{out}: {photos} photos ({}), {masks} masks", splits.join(", ")));
    }
    Ok(())
}
