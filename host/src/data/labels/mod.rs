//! Image labels: which classes a photo shows. They are all that training learns from.
//!
//! | from | form |
//! |---|---|
//! | a CSV file | see [`csv`] |
//! | a JSON lines file | see [`jsonl`] |
//! | folders | a folder of photos for each class |
//! | masks | the classes whose values they hold |

pub mod csv;
mod file;
pub mod jsonl;
mod rows;

pub use file::{LabelFile, Labelled};
pub use rows::{Row, Rows};

use std::path::{Path, PathBuf};

use super::{Classes, Problems, folders::ClassFolders, mask, require_folder};
use crate::{Error, Result, palette::VOID, picture};

/// Which object classes a photo shows: one entry a class, without the background.
pub type ImageLabels = Vec<bool>;

/// Where image labels come from.
#[derive(Debug, Clone)]
pub enum LabelSource {
    /// A label file, or a folder for each class.
    File(LabelFile),
    /// The classes found in a folder's masks, NAME.png or NAME.mat.
    Masks(PathBuf),
}

impl LabelSource {
    /// A label file, a folder of masks, or a folder with a folder of photos for each class.
    ///
    /// # Errors
    /// Neither, or the labels cannot be used.
    pub fn open(path: &Path, classes: &Classes) -> Result<Self> {
        if path.is_file() {
            return LabelFile::read(path, classes).map(Self::File);
        }
        require_folder(path)?;
        match ClassFolders::find(path)? {
            Some(folders) => {
                let mut problems = Problems::default();
                let labels = folders.labels(classes, &mut problems);
                problems.into_result(|count| format!("{}: {count} of its folders cannot be used", path.display()))?;
                Ok(Self::File(labels))
            }
            None => Ok(Self::Masks(path.to_owned())),
        }
    }

    /// The labels of one photo.
    ///
    /// # Errors
    /// There are none for it, or its mask cannot be used.
    pub fn labels(&self, name: &str, classes: &Classes) -> Result<ImageLabels> {
        match self {
            Self::File(file) => file.labels(name).cloned(),
            Self::Masks(folder) => {
                let mask = mask::find(folder, name).unwrap_or_else(|| folder.join(format!("{name}.png")));
                labels_of_mask(&mask, classes)
            }
        }
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(file) => file.path(),
            Self::Masks(folder) => folder,
        }
    }
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

    #[test]
    fn a_value_beyond_the_classes_is_named() {
        let classes = Classes::new(["background", "cat", "dog"].map(str::to_owned).to_vec()).unwrap();
        let mut present = [false; 256];
        present[2] = true;
        present[255] = true;
        assert_eq!(check_values(&present, &classes), Ok(()));
        present[3] = true;
        assert!(check_values(&present, &classes).unwrap_err().starts_with("value 3 is not a class"));
    }
}
