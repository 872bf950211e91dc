//! Pascal VOC's layout.
//!
//! ```text
//! DIR/classes.txt                              one class a line, line 1 is `background`
//! DIR/JPEGImages/NAME.jpg                      the photos (.jpeg and .png are found as well)
//! DIR/ImageSets/Segmentation/{train,val}.txt   one NAME a line, or photo and mask: see `list`
//! DIR/labels.csv                               optional: image labels, see `labels`; or labels.jsonl
//! DIR/SegmentationClass/NAME.png               masks (or NAME.mat); optional if there is a label file
//! ```
//! Without `classes.txt` the classes are those of the label file, or Pascal VOC's own in its own folder.

use std::path::{Path, PathBuf};

use super::Entry;
use crate::data::{Problems, list, mask, photos};

/// A folder in Pascal VOC's layout.
#[derive(Debug, Clone)]
pub struct Voc {
    root: PathBuf,
}

impl Voc {
    /// The layout of that folder.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether this is Pascal VOC itself, as it is downloaded: its other lists give it away.
    #[must_use]
    pub fn is_pascal(&self) -> bool {
        self.root.join("ImageSets/Main/aeroplane_train.txt").is_file()
    }

    /// The folder of the photos.
    #[must_use]
    pub fn photos(&self) -> PathBuf {
        self.root.join("JPEGImages")
    }

    /// The folder of the masks.
    #[must_use]
    pub fn masks(&self) -> PathBuf {
        self.root.join("SegmentationClass")
    }

    /// The list of a split.
    #[must_use]
    pub fn list(&self, split: &str) -> PathBuf {
        self.root.join("ImageSets/Segmentation").join(format!("{split}.txt"))
    }

    /// Whether a split's list names masks itself.
    #[must_use]
    pub fn lists_masks(&self, split: &str) -> bool {
        list::read_lines(&self.list(split), &mut Problems::default()).iter().any(|line| line.mask.is_some())
    }

    /// The photos of a split.
    pub(super) fn entries(&self, split: &str, masks: bool, problems: &mut Problems) -> Vec<Entry> {
        let (photo_folder, mask_folder) = (self.photos(), self.masks());
        let entry = |line: list::Line| {
            let name = line.name().to_owned();
            let photo = match line.is_path() {
                true => line.photo_in(&self.root),
                false => photos::find(&photo_folder, &name).unwrap_or_else(|| photo_folder.join(format!("{name}.jpg"))),
            };
            let named = line.mask_in(&self.root).or_else(|| mask::find(&mask_folder, &name));
            let mask = named.or_else(|| masks.then(|| mask_folder.join(format!("{name}.png"))));
            Entry { name, photo, mask }
        };
        list::read_lines(&self.list(split), problems).into_iter().map(entry).collect()
    }
}
