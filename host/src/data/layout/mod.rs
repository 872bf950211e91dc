//! How a data set lies on the disk.
//!
//! | layout | told by | holds |
//! |---|---|---|
//! | [`Voc`] | `ImageSets` or `JPEGImages` in the folder | names of splits, photos, masks or a label file |
//! | [`Sbd`] | `dataset/cls` | the Semantic Boundaries Dataset, masks in MATLAB's files |
//! | VOC and SBD | both of them | VOC's training split and all of SBD that is not VOC's validation split |
//! | [`Table`] | a label file, or a folder of photos for each class | photos and labels, no masks needed |

mod open;
mod sbd;
mod table;
mod voc;

pub(super) use open::{Opened, open};
pub use sbd::Sbd;
pub use table::Table;
pub use voc::Voc;

use std::{collections::HashSet, path::PathBuf};

use super::Problems;

/// A photo of a split, as the layout names it: nothing is opened yet, and the files need not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the data set.
    pub name: String,
    /// The photo.
    pub photo: PathBuf,
    /// The mask, if there should be one.
    pub mask: Option<PathBuf>,
}

/// How a data set lies on the disk.
#[derive(Debug, Clone)]
pub enum Layout {
    /// Pascal VOC's.
    Voc(Voc),
    /// The Semantic Boundaries Dataset's.
    Sbd(Sbd),
    /// VOC's training split and all of SBD that is not VOC's validation split: the 10,582 photos that everyone trains on.
    Merged(Voc, Sbd),
    /// A label file, or a folder of photos for each class.
    Table(Table),
}

impl Layout {
    /// Photos to train on of the complete Pascal VOC 2012 merged with SBD.
    pub const MERGED_PHOTOS: usize = 10_582;

    /// What it is, in a few words.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Voc(_) => "VOC layout",
            Self::Sbd(_) => "SBD",
            Self::Merged(..) => "VOC layout with SBD",
            Self::Table(table) => table.describe(),
        }
    }

    /// Whether there is a split of that name.
    #[must_use]
    pub fn has(&self, split: &str) -> bool {
        match self {
            Self::Voc(voc) | Self::Merged(voc, _) => voc.list(split).is_file(),
            Self::Sbd(sbd) => sbd.list(split).is_file(),
            Self::Table(table) => table.split(split).is_some(),
        }
    }

    /// The file or folder that says which photos a split has.
    #[must_use]
    pub fn origin(&self, split: &str) -> PathBuf {
        match self {
            Self::Voc(voc) | Self::Merged(voc, _) => voc.list(split),
            Self::Sbd(sbd) => sbd.list(split),
            Self::Table(table) => table.path().to_owned(),
        }
    }

    /// The photos of a split; what is wrong with its list is added to `problems`. With `masks`, every photo should have a
    /// mask, else only those that have one.
    pub fn entries(&self, split: &str, masks: bool, problems: &mut Problems) -> Vec<Entry> {
        match self {
            Self::Voc(voc) => voc.entries(split, masks, problems),
            Self::Sbd(sbd) => sbd.entries(split, None, problems),
            Self::Merged(voc, sbd) if split == "train" => merged(voc, sbd, masks, problems),
            Self::Merged(voc, _) => voc.entries(split, masks, problems),
            Self::Table(table) => match table.split(split) {
                Some(entries) => entries.to_vec(),
                None => {
                    problems.push(table.path(), format!("there is no split `{split}`"));
                    Vec::new()
                }
            },
        }
    }
}

/// VOC's training split, then SBD's splits without what is in VOC's training or validation split. Where both have a photo
/// it is VOC's, whose masks are better.
fn merged(voc: &Voc, sbd: &Sbd, masks: bool, problems: &mut Problems) -> Vec<Entry> {
    let mut entries = voc.entries("train", masks, problems);
    let mut seen: HashSet<String> = voc
        .entries("val", false, problems)
        .into_iter()
        .chain(entries.iter().cloned())
        .map(|entry| entry.name)
        .collect();
    for split in ["train", "val"] {
        for entry in sbd.entries(split, Some(voc), problems) {
            if seen.insert(entry.name.clone()) {
                entries.push(entry);
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_splits_are_the_union_without_what_is_validated_on() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["ImageSets/Segmentation", "dataset/cls"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        // As many names as the real lists have: 2237 of SBD's are VOC's.
        let names = |numbers: std::ops::Range<usize>| numbers.map(|number| format!("p{number}\n")).collect::<String>();
        for (list, numbers) in [
            ("ImageSets/Segmentation/train.txt", 0..1464),
            ("ImageSets/Segmentation/val.txt", 1464..2913),
            ("dataset/train.txt", 676..9174),
            ("dataset/val.txt", 9174..12_031),
        ] {
            std::fs::write(root.join(list), names(numbers)).unwrap();
        }
        let layout = Layout::Merged(Voc::new(root), Sbd::find(root).unwrap());
        let mut problems = Problems::default();
        let train = layout.entries("train", true, &mut problems);
        let val = layout.entries("val", true, &mut problems);
        assert!(problems.is_empty());
        assert_eq!((train.len(), val.len()), (Layout::MERGED_PHOTOS, 1449));
        let distinct: HashSet<&str> = train.iter().chain(&val).map(|entry| entry.name.as_str()).collect();
        assert_eq!(distinct.len(), 12_031, "every photo once");
        let mask = |entry: &Entry| entry.mask.clone().unwrap().strip_prefix(root).unwrap().to_owned();
        assert_eq!(mask(&train[1463]), PathBuf::from("SegmentationClass/p1463.png"));
        assert_eq!(mask(&train[1464]), PathBuf::from("dataset/cls/p2913.mat"));
    }
}
