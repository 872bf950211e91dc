//! Lists: the photos of a split, one a line.
//!
//! A line is one of
//! ```text
//! 2007_000033                                                     a name
//! /JPEGImages/2007_000033.jpg /SegmentationClass/2007_000033.png  a photo and its mask, from the data set's folder
//! /JPEGImages/2007_000033.jpg                                     a photo, from the data set's folder
//! ```
//! The first is the form of Pascal VOC, the second that of the authors' code. Blank lines are skipped.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    Problems, mask,
    photos::{bare_name, is_photo},
    text::{MAX_LINES, numbered_lines, read_text, shown},
};
use crate::Result;

/// A line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The photo's name or path, as written.
    pub photo: String,
    /// The mask's path, as written.
    pub mask: Option<String>,
}

impl Line {
    fn parse(text: &str) -> Self {
        // A name may hold spaces, so only a space between two picture names parts them.
        let parts = text.match_indices(char::is_whitespace).map(|(at, _)| (text[..at].trim(), text[at..].trim()));
        let pair = parts.into_iter().find(|(photo, mask)| is_photo(Path::new(photo)) && mask::is_mask(Path::new(mask)));
        match pair {
            Some((photo, mask)) => Self { photo: photo.to_owned(), mask: Some(mask.to_owned()) },
            None => Self { photo: text.to_owned(), mask: None },
        }
    }

    /// Whether it leads to files from the data set's folder, rather than naming a photo.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.mask.is_some() || self.photo.starts_with('/')
    }

    /// The photo's name: the file's, for a path.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = if self.is_path() { self.photo.rsplit('/').next().unwrap_or_default() } else { &self.photo };
        bare_name(name)
    }

    /// The photo's path, seen from the data set's folder.
    #[must_use]
    pub fn photo_in(&self, root: &Path) -> PathBuf {
        within(root, &self.photo)
    }

    /// The mask's path, seen from the data set's folder.
    #[must_use]
    pub fn mask_in(&self, root: &Path) -> Option<PathBuf> {
        self.mask.as_deref().map(|mask| within(root, mask))
    }
}

/// A path that starts at `root`, with or without a slash.
fn within(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The lines of a list; what is wrong with it is added to `problems`, and those lines are left out.
pub fn parse(path: &Path, text: &str, problems: &mut Problems) -> Vec<Line> {
    let mut numbers = HashMap::new();
    let mut lines = Vec::new();
    for (number, text) in numbered_lines(text) {
        if lines.len() >= MAX_LINES {
            problems.push(path, format!("more lines than the {MAX_LINES} that are read; part it"));
            break;
        }
        let line = Line::parse(text);
        if let Some(first) = numbers.insert(line.name().to_owned(), number) {
            problems.push(path, format!("line {number}: `{}` is on line {first} already", shown(line.name())));
        } else {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        problems.push(path, "the list is empty; write one name a line");
    }
    lines
}

/// Reads a list; what is wrong with it is added to `problems`.
pub fn read_lines(path: &Path, problems: &mut Problems) -> Vec<Line> {
    match read_text(path) {
        Ok(text) => parse(path, &text, problems),
        Err(error) => {
            problems.push_error(&error);
            Vec::new()
        }
    }
}

/// Reads the names of a list.
///
/// # Errors
/// The file cannot be read, has no names, or has one twice.
pub fn read_list(path: &Path) -> Result<Vec<String>> {
    let mut problems = Problems::default();
    let lines = read_lines(path, &mut problems);
    problems.into_result(|count| format!("{}: {count} of its lines cannot be used", path.display()))?;
    Ok(lines.iter().map(|line| line.name().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(read_list(&dir.path().join("gone.txt")).unwrap_err().to_string().ends_with("gone.txt: no such file"));
    }

    #[test]
    fn pairs_of_the_authors_code_are_told_from_names() {
        let root = Path::new("voc");
        for (text, name, photo, mask) in [
            (
                "/JPEGImages/a.jpg /SegmentationClass/a.png",
                "a",
                "voc/JPEGImages/a.jpg",
                Some("voc/SegmentationClass/a.png"),
            ),
            (
                "JPEGImages/a.jpg\tSegmentationClassAug/a.mat",
                "a",
                "voc/JPEGImages/a.jpg",
                Some("voc/SegmentationClassAug/a.mat"),
            ),
            ("/my photos/a b.jpg  /my masks/a b.png", "a b", "voc/my photos/a b.jpg", Some("voc/my masks/a b.png")),
            ("/JPEGImages/a.jpg", "a", "voc/JPEGImages/a.jpg", None),
        ] {
            let line = Line::parse(text);
            assert_eq!((line.name(), line.is_path()), (name, true), "{text}");
            assert_eq!((line.photo_in(root), line.mask_in(root)), (photo.into(), mask.map(PathBuf::from)), "{text}");
        }
        for (text, name) in
            [("2007_000033", "2007_000033"), ("a b", "a b"), ("a.jpg", "a"), ("a.jpg b", "a.jpg b"), ("sub/a", "sub/a")]
        {
            let line = Line::parse(text);
            assert_eq!((line.name(), line.is_path()), (name, false), "{text}");
        }
    }
}
