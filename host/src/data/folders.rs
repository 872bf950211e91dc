//! One folder of photos for each class: `DIR/cat/*.jpg`, `DIR/dog/*.jpg`. A photo shows its folder's class and no other;
//! photos in `DIR/background` show none.

use std::path::{Path, PathBuf};

use super::{
    Classes, ImageLabels, Problems,
    labels::{LabelFile, Labelled},
    photos::{bare_name, is_photo},
    reason,
};
use crate::{Error, Result};

/// A photo in a class's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Its name: CLASS/NAME.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Folders of photos, one a class.
#[derive(Debug, Clone)]
pub struct ClassFolders {
    root: PathBuf,
    /// Class names and their photos, both sorted.
    folders: Vec<(String, Vec<Filed>)>,
}

impl ClassFolders {
    /// The folders in `root` that hold photos; `None` if there is none, or `root` holds photos itself.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn find(root: &Path) -> Result<Option<Self>> {
        let mut folders = Vec::new();
        for path in entries(root)? {
            if is_photo(&path) && path.is_file() {
                return Ok(None);
            }
            let Some(class) = name_of_visible(&path) else { continue };
            if !path.is_dir() {
                continue;
            }
            let photos: Vec<Filed> = entries(&path)?
                .into_iter()
                .filter(|photo| is_photo(photo) && photo.is_file())
                .filter_map(|photo| {
                    let name = format!("{class}/{}", bare_name(&name_of_visible(&photo)?));
                    Some(Filed { name, path: photo })
                })
                .collect();
            if !photos.is_empty() {
                folders.push((class, photos));
            }
        }
        Ok((!folders.is_empty()).then(|| Self { root: root.to_owned(), folders }))
    }

    /// The same photos, with the name of the folder that holds the classes before theirs.
    #[must_use]
    pub(super) fn within(mut self, folder: &str) -> Self {
        let photos = self.folders.iter_mut().flat_map(|(_, photos)| photos);
        photos.for_each(|photo| photo.name = format!("{folder}/{}", photo.name));
        self
    }

    /// The names of the classes, sorted.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(|(class, _)| class.as_str())
    }

    /// All photos, class by class.
    pub fn photos(&self) -> impl Iterator<Item = &Filed> {
        self.folders.iter().flat_map(|(_, photos)| photos)
    }

    /// The photos' labels. Folders that are no class, and photos of the same name, are added to `problems` and left out.
    #[must_use]
    pub fn labels(&self, classes: &Classes, problems: &mut Problems) -> LabelFile {
        let mut file = LabelFile::empty(&self.root);
        for (class, photos) in &self.folders {
            let value = match classes.value(class) {
                Ok(value) => value,
                Err(problem) => {
                    problems.push(&self.root.join(class), problem);
                    continue;
                }
            };
            let labels: ImageLabels = (1..classes.len()).map(|object| object == value).collect();
            for (index, Filed { name, path }) in photos.iter().enumerate() {
                // Sorted by file name, so that `a.jpg` and `a.png` are neighbours.
                if index > 0 && photos[index - 1].name == *name {
                    let first = photos[index - 1].path.display();
                    problems.push(path, format!("has the same name as {first}"));
                } else {
                    let image = path.to_string_lossy().into_owned();
                    file.add(Labelled { name: name.clone(), image, labels: labels.clone() });
                }
            }
        }
        file
    }
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let refuse = |error: std::io::Error| Error::input(folder, reason(&error));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refuse)? {
        paths.push(entry.map_err(refuse)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The file name, unless it is hidden.
fn name_of_visible(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: PathBuf) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn photos_show_their_folder_s_class() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["dog/b.jpg", "dog/a.PNG", "cat/a.jpeg", "background/x.jpg", ".trash/t.jpg", "notes/readme.txt"] {
            touch(dir.path().join(name));
        }
        let folders = ClassFolders::find(dir.path()).unwrap().unwrap();
        assert_eq!(folders.classes().collect::<Vec<_>>(), ["background", "cat", "dog"]);
        let names: Vec<&str> = folders.photos().map(|photo| photo.name.as_str()).collect();
        assert_eq!(names, ["background/x", "cat/a", "dog/a", "dog/b"]);
        let classes = Classes::of_objects(folders.classes()).unwrap();
        let mut problems = Problems::default();
        let labels = folders.labels(&classes, &mut problems);
        assert!(problems.is_empty());
        assert_eq!(labels.labels("dog/a").unwrap(), &[false, true]);
        assert_eq!(labels.labels("cat/a").unwrap(), &[true, false]);
        assert_eq!(labels.labels("background/x").unwrap(), &[false, false]);
        let message = labels.labels("cat/b").unwrap_err().to_string();
        assert!(message.ends_with("none of its folders holds the photo `cat/b`"), "{message}");
    }

    #[test]
    fn a_folder_that_is_no_class_and_two_photos_of_one_name_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["dogs/a.jpg", "cat/a.jpg", "cat/a.png"] {
            touch(dir.path().join(name));
        }
        let folders = ClassFolders::find(dir.path()).unwrap().unwrap();
        let mut problems = Problems::default();
        let labels = folders.labels(&Classes::of_objects(["cat", "dog"]).unwrap(), &mut problems);
        assert_eq!(labels.images().len(), 1);
        let message = problems.into_result(|_| String::new()).unwrap_err().to_string();
        assert!(message.contains("dogs: there is no class `dogs`; is `dog` meant?"), "{message}");
        assert!(message.contains("a.png: has the same name as") && message.contains("a.jpg"), "{message}");
    }

    #[test]
    fn a_folder_of_photos_or_of_nothing_has_no_class_folders() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ClassFolders::find(dir.path()).unwrap().is_none());
        touch(dir.path().join("cat/a.jpg"));
        assert!(ClassFolders::find(dir.path()).unwrap().is_some());
        touch(dir.path().join("b.jpg"));
        assert!(ClassFolders::find(dir.path()).unwrap().is_none());
        assert!(ClassFolders::find(&dir.path().join("gone")).is_err());
    }
}
