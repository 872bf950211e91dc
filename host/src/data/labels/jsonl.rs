//! Label files as JSON lines: an object a line.
//!
//! ```text
//! {"image": "2007_000042.jpg", "labels": ["train", "person"]}
//! {"image": "2007_000061.jpg", "labels": []}
//! ```
//! Other keys are skipped, and so are blank lines.

use std::path::Path;

use serde::Deserialize;

use super::Row;
use crate::data::{
    Problems,
    text::{MAX_LINES, numbered_lines, shown},
};

#[derive(Deserialize)]
struct Object {
    image: String,
    labels: Vec<String>,
}

/// The rows of a JSON lines file; what is wrong with it is added to `problems`, and those lines are left out.
pub fn parse(path: &Path, text: &str, problems: &mut Problems) -> Vec<Row> {
    let mut rows = Vec::new();
    for (number, line) in numbered_lines(text) {
        if rows.len() >= MAX_LINES {
            problems.push(path, format!("more lines than the {MAX_LINES} that are read; part it"));
            break;
        }
        match serde_json::from_str::<Object>(line) {
            Ok(object) if object.image.trim().is_empty() => {
                problems.push(path, format!("line {number}: `image` is empty"));
            }
            Ok(object) => {
                let labels = object.labels.iter().map(|label| label.trim().to_owned());
                rows.push(Row {
                    line: number as u64,
                    image: object.image.trim().to_owned(),
                    labels: labels.filter(|label| !label.is_empty()).collect(),
                });
            }
            Err(error) => {
                // The line within the line says nothing.
                let told = error.to_string().replace(" at line 1 column", ", column");
                let form = r#"write {"image": "NAME.jpg", "labels": ["CLASS"]}"#;
                problems.push(path, format!("line {number}: {}; {form}", shown(&told)));
            }
        }
    }
    rows
}
