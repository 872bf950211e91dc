//! A data set: its classes, its splits, their photos and image labels, in any [layout].

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{
    Classes, LabelSource, Problems,
    labels::{ImageLabels, labels_of_mask},
    layout::{self, Entry, Layout, Opened},
    mask::mask_size,
    share::held_out,
};
use crate::{Error, Result, picture};

/// What can be said about a data set beside where it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// The Semantic Boundaries Dataset, to be merged with Pascal VOC.
    pub sbd: Option<PathBuf>,
    /// Share of the training photos that is held out as `val` where there is no such split: 0 to 1.
    pub val_share: f64,
}

/// A data set.
#[derive(Debug, Clone)]
pub struct Dataset {
    root: PathBuf,
    classes: Classes,
    labels: LabelSource,
    layout: Layout,
    options: Options,
}

/// A photo of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The name in the split's list.
    pub name: String,
    /// The photo.
    pub photo: PathBuf,
    /// The mask, if the data set has one.
    pub mask: Option<PathBuf>,
    /// Width and height in pixels, from the photo's header.
    pub size: (u32, u32),
}

impl Dataset {
    /// Opens a data set, a folder or a label file: tells its layout, reads the class names and the labels if there are any
    /// but in masks.
    ///
    /// # Errors
    /// Names the folder or file that is missing or cannot be used.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Options::default())
    }

    /// As [`Self::open`], with options.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, options: &Options) -> Result<Self> {
        let mut problems = Problems::default();
        let data = Self::open_leniently(path, options, &mut problems)?;
        let from = data.labels.path().display();
        problems.into_result(|count| format!("{from}: {count} of its entries cannot be used"))?;
        Ok(data)
    }

    /// As [`Self::open_with`]; what is wrong with single lines of a label file or class folders is added to `problems`
    /// instead.
    pub(super) fn open_leniently(path: &Path, options: &Options, problems: &mut Problems) -> Result<Self> {
        let Opened { layout, classes, labels } = layout::open(path, options.sbd.as_deref(), problems)?;
        Ok(Self { root: path.to_owned(), classes, labels, layout, options: options.clone() })
    }

    /// What was said about it when it was opened.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The folder or label file that was opened.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How it lies on the disk.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The class names.
    #[must_use]
    pub const fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Where the image labels come from.
    #[must_use]
    pub const fn label_source(&self) -> &LabelSource {
        &self.labels
    }

    /// Whether the data set has a split of that name, or a share of the training split in its place.
    #[must_use]
    pub fn has_split(&self, split: &str) -> bool {
        self.layout.has(split) || (split == "val" && self.shares())
    }

    /// The photos of a split, every file checked: photos and the masks that will be read exist, can be opened and are of
    /// the same size. Pixels are not decoded, so that a thousand photos take well under a second.
    ///
    /// # Errors
    /// Names the list if it is missing or empty, and the files that are missing or unfit (the first twenty and their
    /// number).
    pub fn split(&self, split: &str) -> Result<Vec<Sample>> {
        let mut problems = Problems::default();
        let (samples, unusable) = self.read_split(split, &mut problems);
        unusable.iter().for_each(|error| problems.push_error(error));
        self.refuse(split, problems)?;
        Ok(samples)
    }

    /// As [`Self::split`], without the photos that cannot be used; what is wrong with them comes beside.
    ///
    /// # Errors
    /// Names the list if it is missing, empty or malformed.
    pub fn usable_split(&self, split: &str) -> Result<(Vec<Sample>, Vec<Error>)> {
        let mut problems = Problems::default();
        let read = self.read_split(split, &mut problems);
        self.refuse(split, problems)?;
        Ok(read)
    }

    fn read_split(&self, split: &str, problems: &mut Problems) -> (Vec<Sample>, Vec<Error>) {
        let entries = self.entries(split, problems);
        let checked: Vec<_> = entries.into_par_iter().map(|entry| self.sample(entry)).collect();
        let (mut samples, mut unusable) = (Vec::with_capacity(checked.len()), Vec::new());
        for sample in checked {
            match sample {
                Ok(sample) => samples.push(sample),
                Err(error) => unusable.push(error),
            }
        }
        (samples, unusable)
    }

    fn refuse(&self, split: &str, problems: Problems) -> Result<()> {
        let origin = self.layout.origin(split);
        problems.into_result(|count| format!("{}: {count} of its files cannot be used", origin.display()))
    }

    /// The photos of a split, or `None` if the data set has no such split.
    ///
    /// # Errors
    /// As [`Self::split`].
    pub fn optional_split(&self, split: &str) -> Result<Option<Vec<Sample>>> {
        if self.has_split(split) { self.split(split).map(Some) } else { Ok(None) }
    }

    /// The image labels of some photos, in their order. Where there is no label file they are derived from the masks, each
    /// of which is read once.
    ///
    /// # Errors
    /// Names the photos without labels and the masks that cannot be used.
    pub fn image_labels(&self, samples: &[Sample]) -> Result<Vec<ImageLabels>> {
        let read: Vec<_> =
            samples.par_iter().map(|sample| self.labels_of(&sample.name, sample.mask.as_deref())).collect();
        let mut labels = Vec::with_capacity(samples.len());
        let mut problems = Problems::default();
        for result in read {
            match result {
                Ok(shown) => labels.push(shown),
                Err(error) => problems.push_error(&error),
            }
        }
        let source = self.labels.path().display();
        problems.into_result(|count| format!("{source}: image labels of {count} photos cannot be had"))?;
        Ok(labels)
    }

    /// The image labels of a photo with this mask.
    pub(super) fn labels_of(&self, name: &str, mask: Option<&Path>) -> Result<ImageLabels> {
        match (&self.labels, mask) {
            // The mask may lie elsewhere than where others do.
            (LabelSource::Masks(_), Some(mask)) => labels_of_mask(mask, &self.classes),
            (labels, _) => labels.labels(name, &self.classes),
        }
    }

    /// The photos of a split as the layout names them; what is wrong with its list is added to `problems`.
    pub(super) fn entries(&self, split: &str, problems: &mut Problems) -> Vec<Entry> {
        let masks = matches!(self.labels, LabelSource::Masks(_));
        let val = split == "val";
        if !self.shares() || !(val || split == "train") {
            return self.layout.entries(split, masks, problems);
        }
        let all = self.layout.entries("train", masks, problems);
        let names: Vec<&str> = all.iter().map(|entry| entry.name.as_str()).collect();
        let held = held_out(&names, self.options.val_share);
        all.into_iter().zip(held).filter(|(_, held)| *held == val).map(|(entry, _)| entry).collect()
    }

    /// Whether a share of the training split is held out to validate on.
    fn shares(&self) -> bool {
        self.options.val_share > 0.0 && !self.layout.has("val")
    }

    fn sample(&self, entry: Entry) -> Result<Sample> {
        let Entry { name, photo, mask } = entry;
        let size = picture::photo_size(&photo)?;
        if let Some(mask) = &mask {
            self.require_mask(mask)?;
            check_same_size(mask, mask_size(mask)?, size)?;
        }
        Ok(Sample { name, photo, mask, size })
    }

    /// Checks that a mask is there; it says what it is needed for.
    pub(super) fn require_mask(&self, mask: &Path) -> Result<()> {
        match (mask.is_file(), &self.labels) {
            (true, _) => Ok(()),
            (false, LabelSource::File(_)) => Err(Error::input(mask, "no such file")),
            (false, LabelSource::Masks(_)) => {
                let problem = "no such file; it is needed for the image labels, as there is no labels.csv";
                Err(Error::input(mask, problem))
            }
        }
    }
}

/// Checks that a mask is of its photo's size.
pub(super) fn check_same_size(mask: &Path, (width, height): (u32, u32), photo: (u32, u32)) -> Result<()> {
    if (width, height) == photo {
        return Ok(());
    }
    let problem = format!("the mask has {width} x {height} pixels, its photo {} x {}", photo.0, photo.1);
    Err(Error::input(mask, problem))
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::picture::{LabelMap, write_mask, write_photo};

    /// A data set of photos of 4 x 3 pixels, each with a mask of one value.
    fn data_set(masks: &[(&str, u8)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("classes.txt"), "background\ncat\ndog\n").unwrap();
        for (name, value) in masks {
            write_photo(&dir.path().join(format!("JPEGImages/{name}.jpg")), &RgbImage::new(4, 3)).unwrap();
            write_value(dir.path(), name, 4, 3, *value);
        }
        let names: Vec<&str> = masks.iter().map(|(name, _)| *name).collect();
        std::fs::write(dir.path().join("ImageSets/Segmentation/train.txt"), names.join("\n")).unwrap();
        dir
    }

    fn write_value(root: &Path, name: &str, width: usize, height: usize, value: u8) {
        let mask = LabelMap { width, height, labels: vec![value; width * height] };
        write_mask(&root.join(format!("SegmentationClass/{name}.png")), &mask).unwrap();
    }

    fn complaint<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn labels_are_derived_from_masks_when_no_file_gives_them() {
        let dir = data_set(&[("a", 2), ("b", 0), ("c", 255)]);
        let data = Dataset::open(dir.path()).unwrap();
        let train = data.split("train").unwrap();
        assert_eq!((train[0].name.as_str(), train[0].size), ("a", (4, 3)));
        assert_eq!(data.image_labels(&train).unwrap(), [[false, true], [false, false], [false, false]]);
        assert!(data.optional_split("val").unwrap().is_none());
        assert!(complaint(data.split("val")).ends_with("ImageSets/Segmentation/val.txt: no such file"));
    }

    #[test]
    fn with_a_label_file_masks_are_neither_needed_nor_believed() {
        let dir = data_set(&[("a", 2), ("b", 1)]);
        std::fs::write(dir.path().join("labels.csv"), "a,cat\nb,\n").unwrap();
        std::fs::remove_file(dir.path().join("SegmentationClass/b.png")).unwrap();
        let data = Dataset::open(dir.path()).unwrap();
        let train = data.split("train").unwrap();
        assert_eq!(train.iter().map(|sample| sample.mask.is_some()).collect::<Vec<_>>(), [true, false]);
        assert_eq!(data.image_labels(&train).unwrap(), [[true, false], [false, false]]);
    }

    #[test]
    fn everything_wrong_with_a_split_is_told_at_once() {
        let dir = data_set(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
        std::fs::remove_file(dir.path().join("JPEGImages/a.jpg")).unwrap();
        std::fs::remove_file(dir.path().join("SegmentationClass/b.png")).unwrap();
        write_value(dir.path(), "c", 5, 3, 1);
        std::fs::write(dir.path().join("JPEGImages/d.jpg"), "not a photo").unwrap();
        let message = complaint(Dataset::open(dir.path()).unwrap().split("train"));
        assert!(message.contains("train.txt: 4 of its files cannot be used"), "{message}");
        for expected in [
            "a.jpg: no such file",
            "b.png: no such file; it is needed",
            "c.png: the mask has 5 x 3 pixels, its photo 4 x 3",
            "d.jpg: is neither a JPEG nor a PNG",
        ] {
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_value_outside_the_classes_names_the_mask() {
        let dir = data_set(&[("a", 3), ("b", 1)]);
        let data = Dataset::open(dir.path()).unwrap();
        let message = complaint(data.image_labels(&data.split("train").unwrap()));
        assert!(message.contains("a.png: value 3 is not a class") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn what_a_data_set_lacks_is_named() {
        let dir = data_set(&[("a", 1)]);
        std::fs::write(dir.path().join("ImageSets/Segmentation/train.txt"), "\n").unwrap();
        assert!(complaint(Dataset::open(dir.path()).unwrap().split("train")).contains("train.txt: the list is empty"));
        std::fs::remove_dir_all(dir.path().join("SegmentationClass")).unwrap();
        assert!(complaint(Dataset::open(dir.path())).contains("neither labels.csv nor SegmentationClass"));
        std::fs::remove_file(dir.path().join("classes.txt")).unwrap();
        assert!(complaint(Dataset::open(dir.path())).contains("classes.txt: no such file"));
        assert!(complaint(Dataset::open(&dir.path().join("gone"))).ends_with("gone: no such folder"));
    }
}
