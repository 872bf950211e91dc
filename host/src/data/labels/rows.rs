//! The rows of a label file, as written: before it is known which classes there are.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{csv, jsonl};
use crate::{
    Error, Result,
    data::{Classes, Problems, text::read_text},
};

/// A row of a label file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its line in the file, from 1.
    pub line: u64,
    /// The photo's name or path, as written.
    pub image: String,
    /// The classes it shows, as written.
    pub labels: Vec<String>,
}

/// The rows of a label file.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The file.
    pub path: PathBuf,
    /// Its rows, in its order.
    pub rows: Vec<Row>,
}

impl Rows {
    /// Endings of label files.
    pub const ENDINGS: [&str; 4] = ["csv", "jsonl", "ndjson", "json"];

    /// Whether a file's name is that of a label file.
    #[must_use]
    pub fn is_label_file(path: &Path) -> bool {
        let ending = path.extension().unwrap_or_default();
        Self::ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
    }

    /// Reads a label file: CSV, or JSON lines if its name ends like that. What is wrong with it is added to `problems`, and
    /// those lines are left out.
    pub fn read(path: &Path, problems: &mut Problems) -> Self {
        match read_text(path) {
            Ok(text) => Self::parse(path, &text, problems),
            Err(error) => {
                problems.push_error(&error);
                Self { path: path.to_owned(), rows: Vec::new() }
            }
        }
    }

    /// As [`Self::read`], of the file's text.
    pub fn parse(path: &Path, text: &str, problems: &mut Problems) -> Self {
        let json =
            path.extension().is_some_and(|ending| !ending.eq_ignore_ascii_case("csv")) && Self::is_label_file(path);
        let rows = if json { jsonl::parse(path, text, problems) } else { csv::parse(path, text, problems) };
        if rows.is_empty() {
            let form = if json { r#"{"image": "NAME.jpg", "labels": ["CLASS"]}"# } else { "NAME,CLASS;CLASS" };
            problems.push(path, format!("no labels in it; write {form} a line"));
        }
        Self { path: path.to_owned(), rows }
    }

    /// The classes that occur, sorted by name, after the background.
    ///
    /// # Errors
    /// There are none or too many, or a name cannot be a class name.
    pub fn classes(&self) -> Result<Classes> {
        let names: BTreeSet<&str> = self.rows.iter().flat_map(|row| &row.labels).map(String::as_str).collect();
        Classes::of_objects(names).map_err(|problem| Error::input(&self.path, problem))
    }
}
