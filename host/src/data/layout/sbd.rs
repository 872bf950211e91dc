//! The Semantic Boundaries Dataset (Hariharan et al., ICCV 2011), as it is downloaded.
//!
//! ```text
//! DIR/dataset/img/NAME.jpg     the photos; those that are missing are looked for in VOC's JPEGImages
//! DIR/dataset/cls/NAME.mat     the masks, see `mat`
//! DIR/dataset/train.txt        one NAME a line, and val.txt
//! ```
//! DIR may also be the folder `dataset` itself, or the one that holds `benchmark_RELEASE`.

use std::path::{Path, PathBuf};

use super::{Entry, Voc};
use crate::data::{Problems, list, photos};

/// The Semantic Boundaries Dataset.
#[derive(Debug, Clone)]
pub struct Sbd {
    /// The folder of `img` and `cls`.
    root: PathBuf,
}

impl Sbd {
    /// The data set in that folder, if it is there.
    #[must_use]
    pub fn find(folder: &Path) -> Option<Self> {
        ["dataset", "benchmark_RELEASE/dataset", ""]
            .map(|inner| folder.join(inner))
            .into_iter()
            .find(|root| root.join("cls").is_dir())
            .map(|root| Self { root })
    }

    /// The folder of the masks.
    #[must_use]
    pub fn masks(&self) -> PathBuf {
        self.root.join("cls")
    }

    /// The list of a split.
    #[must_use]
    pub fn list(&self, split: &str) -> PathBuf {
        self.root.join(format!("{split}.txt"))
    }

    /// The photos of a split; those that are not here are looked for in VOC's folder.
    pub(super) fn entries(&self, split: &str, voc: Option<&Voc>, problems: &mut Problems) -> Vec<Entry> {
        let (own, masks) = (self.root.join("img"), self.masks());
        let other = voc.map(Voc::photos);
        let entry = |line: list::Line| {
            let name = line.name().to_owned();
            let photo = photos::find(&own, &name).or_else(|| photos::find(other.as_deref()?, &name));
            let photo = photo.unwrap_or_else(|| own.join(format!("{name}.jpg")));
            Entry { photo, mask: Some(masks.join(format!("{name}.mat"))), name }
        };
        list::read_lines(&self.list(split), problems).into_iter().map(entry).collect()
    }
}
