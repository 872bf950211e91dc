//! `wseg study`: the tables of the paper's supplement, measured.

mod backbones;
mod judge;
mod pamr;
mod runs;
mod two_stage;

use serde::Serialize;

use crate::{
    Error, Result,
    args::{Study, StudyArgs, TableArgs},
    console::Console,
    report::table::Table,
};

/// Makes a study.
///
/// # Errors
/// If an input cannot be used or memory runs out.
pub fn run(args: &StudyArgs, console: &Console) -> Result<()> {
    match &args.study {
        Study::Pamr(args) => pamr::run(args, console),
        Study::Backbones(args) => backbones::run(args, console),
        Study::TwoStage(args) => two_stage::run(args, console),
    }
}

/// Prints a table in the form that was asked for; `numbers` are what JSON holds of it.
fn print(table: &Table, numbers: &impl Serialize, form: TableArgs, console: &Console) -> Result<()> {
    if form.json {
        let json = serde_json::to_string_pretty(numbers).map_err(|error| Error::Failed(error.to_string()))?;
        console.print(json);
    } else if form.markdown {
        console.print(table.markdown());
    } else if form.csv {
        console.print(table.csv());
    } else {
        console.print(table.text(console.paint()));
    }
    Ok(())
}
