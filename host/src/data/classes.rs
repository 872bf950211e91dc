//! Names of the classes.

use std::path::Path;

use super::text::{MAX_NAME, nearest, numbered_lines, read_text, shown};
use crate::{Error, Result, palette::VOID};

/// The object classes of Pascal VOC, in the order of their values in its masks.
pub const VOC_OBJECTS: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// The name of the class of value 0.
const BACKGROUND: &str = "background";

/// Names of the classes, the background first: a mask's value is the index of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes(Vec<String>);

impl Classes {
    /// Checks and takes the names; the first is the background's.
    ///
    /// # Errors
    /// No object class, too many, a name twice or empty, or a name with a comma or semicolon (they part names in label
    /// files).
    pub fn new(names: Vec<String>) -> Result<Self, String> {
        if names.len() < 2 {
            return Err("needs the background and at least one class".into());
        }
        if names.len() > usize::from(VOID) {
            return Err(format!("{} classes; a mask can hold {VOID} with the background", names.len()));
        }
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || name.contains([',', ';', '\n']) {
                let name = shown(name);
                return Err(format!("`{name}` cannot be a class name: it is empty or holds a comma or a semicolon"));
            }
            if name.len() > MAX_NAME {
                return Err(format!("`{}` is longer than the {MAX_NAME} bytes of a class name", shown(name)));
            }
            if let Some(first) = names[..index].iter().position(|earlier| earlier == name) {
                return Err(format!("line {}: `{}` is on line {} already", index + 1, shown(name), first + 1));
            }
        }
        Ok(Self(names))
    }

    /// The classes of these objects, in their order, after the background; `background` among them is left out.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_objects<'a>(objects: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let objects = objects.into_iter().filter(|name| *name != BACKGROUND);
        Self::new(std::iter::once(BACKGROUND).chain(objects).map(str::to_owned).collect())
    }

    /// The classes of Pascal VOC.
    #[must_use]
    pub fn voc() -> Self {
        Self(std::iter::once(BACKGROUND).chain(VOC_OBJECTS).map(str::to_owned).collect())
    }

    /// Reads `classes.txt`: one name a line, line 1 is `background`.
    ///
    /// # Errors
    /// The file cannot be read, does not start with the background, or see [`Self::new`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &read_text(path)?)
    }

    /// As [`Self::read`], of the file's text.
    ///
    /// # Errors
    /// As [`Self::read`]; `path` is the name that the error uses.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let names: Vec<String> = numbered_lines(text).map(|(_, name)| name.to_owned()).collect();
        // Without this check a forgotten first line would shift every class by one, in silence.
        match names.first() {
            Some(first) if first.to_lowercase().contains("background") => {}
            Some(first) => {
                return Err(Error::input(
                    path,
                    format!("line 1 is `{}`; it must be `background`, the class of value 0", shown(first)),
                ));
            }
            None => {
                return Err(Error::input(path, "the file is empty; write one class a line, line 1 is `background`"));
            }
        }
        Self::new(names).map_err(|problem| Error::input(path, problem))
    }

    /// All names, the background's first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Number of classes with the background.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty: the background and a class at least")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Number of classes without the background.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.0.len() - 1
    }

    /// The value of a class in masks.
    ///
    /// # Errors
    /// A sentence about the unknown name, with the nearest known one.
    pub fn value(&self, name: &str) -> Result<usize, String> {
        self.0.iter().position(|known| known == name).ok_or_else(|| {
            match nearest(name, self.0.iter().map(String::as_str)) {
                Some(near) => format!("there is no class `{}`; is `{near}` meant?", shown(name)),
                None => format!("there is no class `{}` in classes.txt", shown(name)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Classes> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("classes.txt");
        std::fs::write(&path, text).unwrap();
        Classes::read(&path)
    }

    #[test]
    fn names_are_read_in_order() {
        let classes = read("background\r\ncat\r\n\r\ndog\r\n").unwrap();
        assert_eq!(classes.names(), ["background", "cat", "dog"]);
        assert_eq!((classes.len(), classes.objects()), (3, 2));
        assert_eq!(classes.value("dog"), Ok(2));
        assert!(classes.value("dgog").unwrap_err().contains("is `dog` meant"));
    }

    #[test]
    fn a_file_that_would_shift_or_mix_classes_is_refused() {
        for (text, expected) in [
            ("", "the file is empty"),
            ("cat\ndog\n", "line 1 is `cat`"),
            ("background\n", "at least one class"),
            ("background\ncat\ncat\n", "line 3: `cat` is on line 2 already"),
            ("background\ncat;dog\n", "`cat;dog` cannot be a class name"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains("classes.txt: ") && message.contains(expected), "{message}");
        }
        let long = Classes::of_objects(["x".repeat(201).as_str()]).unwrap_err();
        assert!(long.contains("longer than the 200 bytes of a class name") && long.len() < 200, "{long}");
        let many = (0..256).map(|index| format!("class{index}")).collect();
        assert!(Classes::new(many).unwrap_err().contains("256 classes"));
    }
}
