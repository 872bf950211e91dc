//! Photos and labels without a layout: a label file, or a folder of photos for each class.
//!
//! ```text
//! DIR/labels.csv           photos by their paths from DIR (or from DIR/JPEGImages), and their classes: see `labels`
//! DIR/train.txt, val.txt   optional: the photos of the splits, one a line; without train.txt all that are not in val.txt
//! DIR/SegmentationClass    optional: true masks, for validation
//! ```
//! or
//! ```text
//! DIR/CLASS/*.jpg          all photos to train on
//! DIR/train/CLASS/*.jpg    or those to train on, and in DIR/val/CLASS those to validate on
//! ```
//! The classes are those of `DIR/classes.txt`; without it, those that occur, sorted by name.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::Entry;
use crate::{
    Result,
    data::{
        Classes, Problems,
        folders::ClassFolders,
        labels::{LabelFile, Rows},
        list, mask,
        photos::{find_labelled, name_of},
        text::shown,
    },
};

/// Photos and labels without a layout.
#[derive(Debug, Clone)]
pub struct Table {
    path: PathBuf,
    what: &'static str,
    train: Vec<Entry>,
    val: Option<Vec<Entry>>,
}

impl Table {
    /// What it is, in a few words.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        self.what
    }

    /// The label file, or the folder of folders.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The photos of a split, if there is such a split.
    #[must_use]
    pub fn split(&self, split: &str) -> Option<&[Entry]> {
        match split {
            "train" => Some(&self.train),
            "val" => self.val.as_deref(),
            _ => None,
        }
    }

    /// The photos of a label file, its labels and its classes, unless `classes` are given.
    ///
    /// # Errors
    /// If there are no classes. What is wrong with lines is added to `problems`.
    pub(super) fn of_label_file(
        path: &Path,
        classes: Option<Classes>,
        problems: &mut Problems,
    ) -> Result<(Self, LabelFile, Classes)> {
        let rows = Rows::read(path, problems);
        let classes = classes.map_or_else(|| rows.classes(), Ok)?;
        let labels = LabelFile::new(&rows, &classes, problems);
        let folder = path.parent().unwrap_or(Path::new(""));
        let masks = folder.join("SegmentationClass");
        let entries: Vec<Entry> = labels
            .images()
            .iter()
            .map(|image| Entry {
                name: image.name.clone(),
                photo: find_labelled(folder, &image.image).unwrap_or_else(|| folder.join(&image.image)),
                mask: mask::find(&masks, &image.name),
            })
            .collect();
        let mut listed = |split: &str| {
            let list = folder.join(format!("{split}.txt"));
            list.is_file().then(|| pick(&list, &entries, &labels, problems))
        };
        let (train, val) = (listed("train"), listed("val"));
        let train = train.unwrap_or_else(|| {
            let held: HashSet<&str> = val.iter().flatten().map(|entry| entry.name.as_str()).collect();
            entries.iter().filter(|entry| !held.contains(entry.name.as_str())).cloned().collect()
        });
        Ok((Self { path: path.to_owned(), what: "label file", train, val }, labels, classes))
    }

    /// The photos in class folders, if there are any; their labels and classes, unless `classes` are given.
    ///
    /// # Errors
    /// If a folder cannot be read or there are no classes. Folders that are no class are added to `problems`.
    pub(super) fn of_folders(
        root: &Path,
        classes: Option<Classes>,
        problems: &mut Problems,
    ) -> Result<Option<(Self, LabelFile, Classes)>> {
        let named = |split: &str| {
            let folder = root.join(split);
            if folder.is_dir() { ClassFolders::find(&folder) } else { Ok(None) }
        };
        let (train, val) = match ClassFolders::find(root)? {
            Some(folders) => (folders, None),
            None => match named("train")? {
                Some(train) => (train.within("train"), named("val")?.map(|val| val.within("val"))),
                None => return Ok(None),
            },
        };
        let both = || std::iter::once(&train).chain(&val);
        let classes = match classes {
            Some(classes) => classes,
            None => {
                let names: std::collections::BTreeSet<&str> = both().flat_map(ClassFolders::classes).collect();
                Classes::of_objects(names).map_err(|problem| crate::Error::input(root, problem))?
            }
        };
        let mut labels = LabelFile::empty(root);
        let mut entries = |folders: &ClassFolders| -> Vec<Entry> {
            let own = folders.labels(&classes, problems);
            let entries = own.images().iter().map(|image| Entry {
                name: image.name.clone(),
                photo: PathBuf::from(&image.image),
                mask: None,
            });
            let entries = entries.collect();
            own.images().iter().for_each(|image| labels.add(image.clone()));
            entries
        };
        let (train, val) = (entries(&train), val.as_ref().map(&mut entries));
        Ok(Some((Self { path: root.to_owned(), what: "a folder for each class", train, val }, labels, classes)))
    }
}

/// The entries that a list names.
fn pick(list: &Path, entries: &[Entry], labels: &LabelFile, problems: &mut Problems) -> Vec<Entry> {
    let mut picked = Vec::new();
    for line in list::read_lines(list, problems) {
        match labels.position(&name_of(&line.photo)).and_then(|index| entries.get(index)) {
            Some(entry) => picked.push(entry.clone()),
            None => {
                let file = labels.path().display();
                problems
                    .push(list, format!("`{}` is not in {file}, or several photos are called so", shown(&line.photo)));
            }
        }
    }
    picked
}
