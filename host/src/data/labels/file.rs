//! A label file, read and checked against the classes.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
};

use super::{ImageLabels, Rows};
use crate::{
    Error, Result,
    data::{
        Classes, Problems,
        photos::{bare_name, name_of},
        text::shown,
    },
};

/// Unknown classes for which the nearest name is looked for.
const HINTS: usize = 100;

/// A photo and its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The photo's name: its path without the ending.
    pub name: String,
    /// The photo's name or path, as written.
    pub image: String,
    /// The classes it shows.
    pub labels: ImageLabels,
}

/// Labels of many photos, checked: of a label file, or of a folder for each class.
#[derive(Debug, Clone)]
pub struct LabelFile {
    path: PathBuf,
    images: Vec<Labelled>,
    by_name: HashMap<String, usize>,
    /// By file name without the folders; `None` if there are several.
    by_stem: HashMap<String, Option<usize>>,
}

impl LabelFile {
    /// Reads a label file; see [`super::csv`] and [`super::jsonl`] for its forms.
    ///
    /// # Errors
    /// The file cannot be read; or, with the line's number: a line of another form, an unknown class, a photo twice.
    pub fn read(path: &Path, classes: &Classes) -> Result<Self> {
        let mut problems = Problems::default();
        let rows = Rows::read(path, &mut problems);
        let file = Self::new(&rows, classes, &mut problems);
        problems.into_result(|count| format!("{}: {count} of its lines cannot be used", path.display()))?;
        Ok(file)
    }

    /// The labels of rows. What is wrong with them is added to `problems`; unknown classes and photos that were there
    /// before are left out.
    #[must_use]
    pub fn new(rows: &Rows, classes: &Classes, problems: &mut Problems) -> Self {
        let mut file = Self::empty(&rows.path);
        let values: HashMap<&str, usize> =
            classes.names().iter().enumerate().map(|(value, name)| (name.as_str(), value)).collect();
        let mut lines = HashMap::new();
        for row in &rows.rows {
            let line = row.line;
            let name = name_of(&row.image);
            if let Some(first) = lines.insert(name.clone(), line) {
                let problem = format!("line {line}: `{}` is on line {first} already", shown(&name));
                problems.push(&rows.path, problem);
                continue;
            }
            let mut labels = vec![false; classes.objects()];
            for label in &row.labels {
                match values.get(label.as_str()) {
                    // Every photo shows some background: it is no image label.
                    Some(0) => {}
                    Some(value) => labels[value - 1] = true,
                    None => {
                        // Looking for the nearest name takes a while; who has hundreds of mistakes needs no hundreds of hints.
                        let hint = (problems.count() < HINTS).then(|| classes.value(label).err()).flatten();
                        let problem = hint.unwrap_or_else(|| format!("there is no class `{}`", shown(label)));
                        problems.push(&rows.path, format!("line {line}: {problem}"));
                    }
                }
            }
            file.add(Labelled { name, image: row.image.clone(), labels });
        }
        file
    }

    pub(in crate::data) fn empty(path: &Path) -> Self {
        Self { path: path.to_owned(), images: Vec::new(), by_name: HashMap::new(), by_stem: HashMap::new() }
    }

    /// Adds a photo; its name must be a new one.
    pub(in crate::data) fn add(&mut self, image: Labelled) {
        let index = self.images.len();
        match self.by_stem.entry(stem(&image.name).to_owned()) {
            Entry::Vacant(vacant) => drop(vacant.insert(Some(index))),
            Entry::Occupied(mut several) => drop(several.insert(None)),
        }
        self.by_name.insert(image.name.clone(), index);
        self.images.push(image);
    }

    /// The file, or the folder of folders.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The photos, in the file's order.
    #[must_use]
    pub fn images(&self) -> &[Labelled] {
        &self.images
    }

    /// The place of a photo among [`Self::images`]: of this name, or with an ending that is left off, or, where no other
    /// has it, of this file name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        let bare = bare_name(name);
        // `a.jpg.jpg` is called `a.jpg`.
        let exact = self.by_name.get(name).or_else(|| self.by_name.get(bare));
        exact.copied().or_else(|| {
            let index = (*self.by_stem.get(stem(bare))?)?;
            // `dogs/1` is not `cats/1`.
            let other = bare.contains('/') && self.images.get(index)?.name.contains('/');
            (!other).then_some(index)
        })
    }

    /// The labels of one photo, as [`Self::position`] finds it.
    ///
    /// # Errors
    /// The file has no line for it.
    pub fn labels(&self, name: &str) -> Result<&ImageLabels> {
        self.position(name).and_then(|index| self.images.get(index)).map(|image| &image.labels).ok_or_else(|| {
            if self.path.is_dir() {
                return Error::input(&self.path, format!("none of its folders holds the photo `{name}`"));
            }
            Error::input(&self.path, format!("no line for the photo `{name}`; add `{name},CLASS;CLASS`"))
        })
    }
}

/// The last part of a path.
fn stem(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Classes {
        Classes::new(["background", "cat", "dog"].map(str::to_owned).to_vec()).unwrap()
    }

    fn read_as(name: &str, text: &str) -> Result<LabelFile> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        LabelFile::read(&path, &classes())
    }

    fn read(text: &str) -> Result<LabelFile> {
        read_as("labels.csv", text)
    }

    #[test]
    fn lines_of_every_documented_form_are_read() {
        let file = read(
            "Image,labels\r\n# a remark, of no weight\r\na,cat\nb.JPG,dog;cat\n\nc,\n\"d, e\",\"dog\"\nf, background ; dog \n\
             \"say \"\"hi\"\".png\",cat\ntrip/day 1/g.jpeg,dog",
        )
        .unwrap();
        for (name, expected) in [
            ("a", [true, false]),
            ("b", [true, true]),
            ("c", [false, false]),
            ("d, e", [false, true]),
            ("f", [false, true]),
            ("say \"hi\"", [true, false]),
            ("trip/day 1/g", [false, true]),
            ("g", [false, true]),
        ] {
            assert_eq!(file.labels(name).unwrap(), &expected, "{name}");
        }
        assert_eq!(file.labels("b.png").unwrap(), &[true, true]);
        assert_eq!(file.images().len(), 7);
    }

    #[test]
    fn json_lines_say_the_same() {
        let file = read_as(
            "labels.jsonl",
            "\u{feff}{\"image\": \"a.jpg\", \"labels\": [\"dog\", \"cat\"], \"width\": [[3]]}\n\n{\"labels\": [], \"image\": \"sub/b\"}\n",
        )
        .unwrap();
        assert_eq!(file.labels("a").unwrap(), &[true, true]);
        assert_eq!(file.labels("sub/b").unwrap(), &[false, false]);
        for (text, expected) in [
            ("a,cat\n", "line 1: expected value, column 1; write {"),
            ("{\"image\": \"a\"}\n", "line 1: missing field `labels`"),
            ("\n{\"image\": \"a\", \"labels\": \"cat\"}", "line 2: invalid type: string \"cat\""),
            ("{\"image\": \" \", \"labels\": []}", "line 1: `image` is empty"),
            ("{\"image\": \"a\", \"labels\": [\"hat\"]}", "line 1: there is no class `hat`; is `cat` meant?"),
            (&"[".repeat(100_000), "line 1: "),
        ] {
            let message = read_as("labels.jsonl", text).unwrap_err().to_string();
            assert!(message.contains("labels.jsonl") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_first_photo_is_not_taken_for_the_heading() {
        assert_eq!(read("images01,cat\n").unwrap().labels("images01").unwrap(), &[true, false]);
    }

    #[test]
    fn photos_of_one_file_name_are_told_apart_by_their_folders() {
        let file = read("cats/1.jpg,cat\ndogs/1.jpg,dog\n").unwrap();
        assert_eq!(file.labels("dogs/1").unwrap(), &[false, true]);
        assert!(file.labels("1").is_err(), "which of them?");
        let file = read("cats/1.jpg,cat\n2,dog\n").unwrap();
        assert_eq!(file.labels("1").unwrap(), &[true, false]);
        assert_eq!(file.labels("dogs/2").unwrap(), &[false, true]);
        assert!(file.labels("dogs/1").is_err());
        let file = read("a.jpg.jpg,cat\na.jpg,dog\n").unwrap();
        assert_eq!(
            (file.labels("a.jpg").unwrap(), file.labels("a").unwrap()),
            (&vec![true, false], &vec![false, true])
        );
        assert!(read("cats/1.jpg,cat\n./cats/1.png,dog\n").unwrap_err().to_string().contains("is on line 1 already"));
    }

    #[test]
    fn mistakes_name_the_line_and_the_word() {
        for (text, expected) in [
            ("", "no labels in it"),
            ("image,labels\n", "no labels in it"),
            ("a,cat\nb dog\n", "line 2: no comma in `b dog`"),
            ("a,cat\r\n# remark\r\n\r\nb,horse\r\n", "line 4: there is no class `horse`"),
            ("a,catt\n", "line 1: there is no class `catt`; is `cat` meant?"),
            ("a,cat\n\na.jpg,dog\n", "line 3: `a` is on line 1 already"),
            (",cat\n", "line 1: no name before the comma"),
            ("a,cat,dog\n", "line 1: 3 fields"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains("labels.csv: ") && message.contains(expected), "{message}");
        }
        let message = read("a,cat\n").unwrap().labels("b").unwrap_err().to_string();
        assert!(message.contains("no line for the photo `b`"), "{message}");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let message = read("a,cat\nb,horse\nc\nd,dog;cow\na,dog\n").unwrap_err().to_string();
        assert!(message.contains("labels.csv: 4 of its lines cannot be used"), "{message}");
        for expected in ["line 2: ", "`horse`", "line 3: no comma", "line 4: ", "`cow`", "line 5: `a` is on line 1"] {
            assert!(message.contains(expected), "{message}");
        }
    }
}
