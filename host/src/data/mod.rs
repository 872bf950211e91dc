//! Data sets as people have them: class names, image labels, photos and masks in VOC layout.

pub mod augment;
pub mod classes;
pub mod labels;
pub mod loader;
pub mod photos;
mod problems;
pub mod voc;

pub use classes::{Classes, VOC_OBJECTS};
pub use labels::{ImageLabels, LabelSource};
pub use photos::{Photo, photos};
pub use problems::Problems;
pub use voc::{Dataset, Sample};

use std::path::Path;

use crate::{Error, Result};

/// Reads a text file; a byte order mark at its start is dropped.
///
/// # Errors
/// The file cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| Error::input(path, reason(&error)))?;
    let text = String::from_utf8(bytes).map_err(|_| Error::input(path, "not a text file in UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads a list of names, one a line: the form of `ImageSets/Segmentation/NAME.txt`. Blank lines are skipped.
///
/// # Errors
/// The file cannot be read, has no names, or has one twice.
pub fn read_list(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let mut lines = std::collections::HashMap::new();
    let mut names = Vec::new();
    for (number, name) in numbered_lines(&text) {
        if let Some(first) = lines.insert(name, number) {
            return Err(Error::input(path, format!("line {number}: `{name}` is on line {first} already")));
        }
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(Error::input(path, "the list is empty; write one name a line"));
    }
    Ok(names)
}

/// The lines that say something, trimmed, with their numbers from 1.
fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// Checks that a folder is there.
///
/// # Errors
/// It is not there, or is no folder.
pub fn require_folder(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Error::input(path, "a file, but a folder is needed")),
        Err(error) => {
            Err(Error::input(path, if is_missing(&error) { "no such folder".into() } else { reason(&error) }))
        }
    }
}

/// An I/O error in the words of a sentence, without the system's number.
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    if is_missing(error) {
        return "no such file".into();
    }
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = words.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// The known name nearest to `name`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(steps, candidate)| *steps <= 1 + candidate.chars().count() / 4)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in characters.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_if_it_is_near() {
        let known = ["background", "bicycle", "cat", "cow"];
        assert_eq!(nearest("bycicle", known), Some("bicycle"));
        assert_eq!(nearest("Cat", known), Some("cat"));
        assert_eq!(nearest("aeroplane", known), None);
    }

    #[test]
    fn a_list_is_trimmed_and_has_no_name_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.txt");
        std::fs::write(&path, "\u{feff}a\r\n\n  b \nc").unwrap();
        assert_eq!(read_list(&path).unwrap(), ["a", "b", "c"]);
        std::fs::write(&path, "a\nb\na\n").unwrap();
        let message = read_list(&path).unwrap_err().to_string();
        assert!(message.contains("train.txt: line 3: `a` is on line 1 already"), "{message}");
        std::fs::write(&path, "\n \n").unwrap();
        assert!(read_list(&path).unwrap_err().to_string().contains("the list is empty"));
    }

    #[test]
    fn a_missing_folder_and_a_file_in_its_place_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("photos");
        assert!(require_folder(&path).unwrap_err().to_string().ends_with("photos: no such folder"));
        std::fs::write(&path, "").unwrap();
        assert!(require_folder(&path).unwrap_err().to_string().contains("a file, but a folder is needed"));
        assert!(require_folder(dir.path()).is_ok());
    }
}
