//! Label files as CSV: a photo a line, its name, a comma, its classes parted by semicolons.
//!
//! ```text
//! image,labels
//! 2007_000033,aeroplane
//! 2007_000042.jpg,train;person
//! "holiday, day 2/beach.jpg","person;boat"
//! 2007_000061,
//! ```
//! The first line is a heading if its first field is `image`, `name`, `photo`, `file`, `filename` or `path`. The photo is
//! a name or a path, with its ending (`.jpg`) or without. No class means that it shows background only. Blank lines and
//! lines that start with `#` are skipped. Fields may be in double quotes, and must be where they hold a comma.

use std::path::Path;

use super::Row;
use crate::data::{
    Problems,
    text::{MAX_LINES, shown},
};

/// First fields of a heading.
const HEADINGS: [&str; 6] = ["image", "name", "photo", "file", "filename", "path"];

/// The rows of a CSV file; what is wrong with it is added to `problems`, and those lines are left out.
pub fn parse(path: &Path, text: &str, problems: &mut Problems) -> Vec<Row> {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        // A carriage return ends a record, too, so that there may be more of them than lines.
        if index >= MAX_LINES {
            problems.push(path, format!("more lines than the {MAX_LINES} that are read; part it"));
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(path, format!("is no CSV file ({})", shown(&error.to_string())));
                break;
            }
        };
        let fields: Vec<&str> = record.iter().collect();
        // Counted only for rows that say something, or a file of blanks would be counted again for each of its lines.
        let line = || record.position().map_or(0, |position| line_of(text, position));
        let mut refuse = |problem: String| problems.push(path, format!("line {}: {problem}", line()));
        match *fields.as_slice() {
            [""] => {}
            [first, ..] if index == 0 && HEADINGS.iter().any(|heading| first.eq_ignore_ascii_case(heading)) => {}
            ["", _] => refuse("no name before the comma; write NAME,CLASS;CLASS".into()),
            [image, labels] => {
                let labels = labels.split(';').map(str::trim).filter(|label| !label.is_empty());
                rows.push(Row { line: line(), image: image.to_owned(), labels: labels.map(str::to_owned).collect() });
            }
            [only] => refuse(format!("no comma in `{}`; write NAME,CLASS;CLASS", shown(only))),
            _ => refuse(format!(
                "{} fields; write NAME,CLASS;CLASS, and a name with commas in double quotes",
                fields.len()
            )),
        }
    }
    rows
}

/// The line on which a record starts. Its position is before the lines that are skipped for it.
fn line_of(text: &str, position: &::csv::Position) -> u64 {
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
    let skipped = rest.lines().take_while(|line| line.trim().is_empty() || line.starts_with('#')).count();
    position.line() + skipped as u64
}
