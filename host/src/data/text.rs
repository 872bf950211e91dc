//! Text files within bounds, and what the system says in the words of a sentence.

use std::{io::Read as _, path::Path};

use crate::{Error, Result};

/// Largest text file that is read: a million photos, and more.
const MAX_TEXT_BYTES: u64 = 64 << 20;
/// Most lines of a list or label file: what is kept of a line takes more memory than the shortest line.
pub(super) const MAX_LINES: usize = 2_000_000;

/// Reads a text file; a byte order mark at its start is dropped.
///
/// # Errors
/// The file cannot be read, is larger than 64 MiB, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let refuse = |error: &std::io::Error| Error::input(path, reason(error));
    let file = std::fs::File::open(path).map_err(|error| refuse(&error))?;
    let mut bytes = Vec::new();
    // The bound is on what is read, not on what the file system claims: a pipe or device has no length.
    file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refuse(&error))?;
    if bytes.len() as u64 > MAX_TEXT_BYTES {
        return Err(Error::input(path, format!("larger than the {} MiB of a text file", MAX_TEXT_BYTES >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::input(path, "not a text file in UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The lines that say something, trimmed, with their numbers from 1.
pub(super) fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
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

/// Longest name of a class, in bytes.
pub(super) const MAX_NAME: usize = 200;

/// The known name nearest to `name`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer than any name is meant for none, and need not be compared letter by letter.
    if name.len() > MAX_NAME {
        return None;
    }
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

/// Text from a file as it is shown in an error: without line breaks or control characters, and not longer than a line.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
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
    fn a_missing_folder_and_a_file_in_its_place_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("photos");
        assert!(require_folder(&path).unwrap_err().to_string().ends_with("photos: no such folder"));
        std::fs::write(&path, "").unwrap();
        assert!(require_folder(&path).unwrap_err().to_string().contains("a file, but a folder is needed"));
        assert!(require_folder(dir.path()).is_ok());
    }

    #[test]
    fn what_is_shown_of_a_file_is_one_short_line() {
        assert_eq!(shown("a\nb\u{1b}c"), "a b c");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 81);
    }
}
