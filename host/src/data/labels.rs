//! Image labels: which classes a photo shows. They are all that training learns from.
//!
//! # The label file
//! `labels.csv`, one photo a line: its name, a comma, its classes parted by semicolons.
//! ```text
//! image,labels
//! 2007_000033,aeroplane
//! 2007_000042.jpg,train;person
//! 2007_000061,
//! ```
//! The first line is a heading if it starts with `image,` or `name,`. The name's ending (`.jpg`) may be there or not.
//! No class means that the photo shows background only. Blank lines and lines that start with `#` are skipped. Either
//! part may be in double quotes. A name may hold commas: the last one of the line parts.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    data::{Classes, numbered_lines, photos::bare_name, read_text, require_folder},
    palette::VOID,
    picture,
};

/// Which object classes a photo shows: one entry a class, without the background.
pub type ImageLabels = Vec<bool>;

/// Where image labels come from.
#[derive(Debug, Clone)]
pub enum LabelSource {
    /// A label file.
    File(LabelFile),
    /// The classes found in a folder's masks, NAME.png.
    Masks(PathBuf),
}

impl LabelSource {
    /// A label file or a folder of masks.
    ///
    /// # Errors
    /// Neither, or the label file cannot be used.
    pub fn open(path: &Path, classes: &Classes) -> Result<Self> {
        if path.is_file() {
            LabelFile::read(path, classes).map(Self::File)
        } else {
            require_folder(path).map(|()| Self::Masks(path.to_owned()))
        }
    }

    /// The labels of one photo.
    ///
    /// # Errors
    /// There are none for it, or its mask cannot be used.
    pub fn labels(&self, name: &str, classes: &Classes) -> Result<ImageLabels> {
        match self {
            Self::File(file) => file.labels(name).cloned(),
            Self::Masks(folder) => labels_of_mask(&folder.join(format!("{name}.png")), classes),
        }
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(file) => &file.path,
            Self::Masks(folder) => folder,
        }
    }
}

/// A label file, read and checked.
#[derive(Debug, Clone)]
pub struct LabelFile {
    path: PathBuf,
    labels: HashMap<String, ImageLabels>,
}

impl LabelFile {
    /// Reads a label file; see the [module](self) for its form.
    ///
    /// # Errors
    /// The file cannot be read; or, with the line's number: no comma, an unknown class, a photo twice.
    pub fn read(path: &Path, classes: &Classes) -> Result<Self> {
        let text = read_text(path)?;
        let mut labels = HashMap::new();
        let mut lines = HashMap::new();
        for (index, (number, line)) in numbered_lines(&text).enumerate() {
            if line.starts_with('#') || (index == 0 && is_heading(line)) {
                continue;
            }
            let (name, shown) =
                parse_line(line, classes).map_err(|problem| Error::input(path, format!("line {number}: {problem}")))?;
            if let Some(first) = lines.insert(name.clone(), number) {
                return Err(Error::input(path, format!("line {number}: `{name}` is on line {first} already")));
            }
            labels.insert(name, shown);
        }
        if labels.is_empty() {
            return Err(Error::input(path, "no labels in it; write NAME,CLASS;CLASS a line"));
        }
        Ok(Self { path: path.to_owned(), labels })
    }

    /// The labels of one photo.
    ///
    /// # Errors
    /// The file has no line for it.
    pub fn labels(&self, name: &str) -> Result<&ImageLabels> {
        self.labels.get(bare_name(name)).ok_or_else(|| {
            Error::input(&self.path, format!("no line for the photo `{name}`; add `{name},CLASS;CLASS`"))
        })
    }
}

fn is_heading(line: &str) -> bool {
    let line = line.to_lowercase();
    ["image,", "name,", "\"image\",", "\"name\","].iter().any(|start| line.starts_with(start))
}

fn parse_line(line: &str, classes: &Classes) -> Result<(String, ImageLabels), String> {
    let (name, list) = line.rsplit_once(',').ok_or_else(|| format!("no comma in `{line}`; write NAME,CLASS;CLASS"))?;
    let name = bare_name(unquoted(name));
    if name.is_empty() {
        return Err("no name before the comma; write NAME,CLASS;CLASS".into());
    }
    let mut shown = vec![false; classes.objects()];
    for class in unquoted(list).split(';').map(str::trim).filter(|class| !class.is_empty()) {
        // Every photo shows some background: it is no image label.
        if let Some(object) = classes.value(class)?.checked_sub(1) {
            shown[object] = true;
        }
    }
    Ok((name.to_owned(), shown))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(text).trim()
}

/// The object classes whose values a mask holds.
///
/// # Errors
/// The mask cannot be read, or holds a value that is neither a class nor [`VOID`].
pub fn labels_of_mask(path: &Path, classes: &Classes) -> Result<ImageLabels> {
    let mask = picture::read_mask(path)?;
    let present = mask.present();
    check_values(&present, classes).map_err(|problem| Error::input(path, problem))?;
    Ok(present[1..classes.len()].to_vec())
}

/// Checks that the values found in a mask are classes or [`VOID`].
pub(crate) fn check_values(present: &[bool; 256], classes: &Classes) -> Result<(), String> {
    match (classes.len()..usize::from(VOID)).find(|value| present[*value]) {
        None => Ok(()),
        Some(value) => Err(format!(
            "value {value} is not a class; there are {} classes (0 to {}), and {VOID} for pixels to ignore",
            classes.len(),
            classes.objects()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Classes {
        Classes::new(["background", "cat", "dog"].map(str::to_owned).to_vec()).unwrap()
    }

    fn read(text: &str) -> Result<LabelFile> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        LabelFile::read(&path, &classes())
    }

    #[test]
    fn lines_of_every_documented_form_are_read() {
        let file =
            read("image,labels\n# a remark\na,cat\nb.JPG,dog;cat\n\nc,\n\"d, e\",\"dog\"\nf, background ; dog \n")
                .unwrap();
        for (name, expected) in [
            ("a", [true, false]),
            ("b", [true, true]),
            ("c", [false, false]),
            ("d, e", [false, true]),
            ("f", [false, true]),
        ] {
            assert_eq!(file.labels(name).unwrap(), &expected, "{name}");
        }
        assert_eq!(file.labels("b.png").unwrap(), &[true, true]);
    }

    #[test]
    fn a_first_photo_is_not_taken_for_the_heading() {
        assert_eq!(read("images01,cat\n").unwrap().labels("images01").unwrap(), &[true, false]);
    }

    #[test]
    fn mistakes_name_the_line_and_the_word() {
        for (text, expected) in [
            ("", "no labels in it"),
            ("a,cat\nb dog\n", "line 2: no comma in `b dog`"),
            ("a,cat\nb,horse\n", "line 2: there is no class `horse`"),
            ("a,catt\n", "line 1: there is no class `catt`; is `cat` meant?"),
            ("a,cat\n\na.jpg,dog\n", "line 3: `a` is on line 1 already"),
            (",cat\n", "line 1: no name before the comma"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains("labels.csv: ") && message.contains(expected), "{message}");
        }
        let message = read("a,cat\n").unwrap().labels("b").unwrap_err().to_string();
        assert!(message.contains("no line for the photo `b`"), "{message}");
    }

    #[test]
    fn a_value_beyond_the_classes_is_named() {
        let mut present = [false; 256];
        present[2] = true;
        present[255] = true;
        assert_eq!(check_values(&present, &classes()), Ok(()));
        present[3] = true;
        assert!(check_values(&present, &classes()).unwrap_err().starts_with("value 3 is not a class"));
    }
}
