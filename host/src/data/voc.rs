//! Data sets in VOC layout.
//!
//! ```text
//! DIR/classes.txt                              one class a line, line 1 is `background`
//! DIR/JPEGImages/NAME.jpg                      the photos (.jpeg and .png are found as well)
//! DIR/ImageSets/Segmentation/{train,val}.txt   one NAME a line
//! DIR/labels.csv                               optional: image labels, see `labels`
//! DIR/SegmentationClass/NAME.png               masks; optional for training if there is a labels.csv
//! ```

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::{
    Error, Result,
    data::{
        Classes, LabelSource, Problems,
        labels::{ImageLabels, LabelFile},
        photos, read_list, require_folder,
    },
    picture,
};

/// A data set in VOC layout.
#[derive(Debug, Clone)]
pub struct Dataset {
    root: PathBuf,
    classes: Classes,
    labels: LabelSource,
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
    /// Opens a data set: checks its folders, reads the class names and the label file if there is one.
    ///
    /// # Errors
    /// Names the folder or file that is missing or cannot be used.
    pub fn open(root: &Path) -> Result<Self> {
        require_folder(root)?;
        let classes = root.join("classes.txt");
        if !classes.is_file() {
            let problem = "no such file; write the class names there, one a line, line 1 is `background`";
            return Err(Error::input(&classes, problem));
        }
        let classes = Classes::read(&classes)?;
        require_folder(&root.join("JPEGImages"))?;
        let (file, masks) = (root.join("labels.csv"), root.join("SegmentationClass"));
        let labels = if file.is_file() {
            LabelSource::File(LabelFile::read(&file, &classes)?)
        } else if masks.is_dir() {
            LabelSource::Masks(masks)
        } else {
            return Err(Error::input(
                root,
                "neither labels.csv nor SegmentationClass: there are no image labels to learn from",
            ));
        };
        Ok(Self { root: root.to_owned(), classes, labels })
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

    /// Whether the data set has a list of that name.
    #[must_use]
    pub fn has_split(&self, split: &str) -> bool {
        self.list(split).is_file()
    }

    /// The photos of a split, every file checked: photos and the masks that will be read exist, can be opened and are of
    /// the same size. Pixels are not decoded, so that a thousand photos take well under a second.
    ///
    /// # Errors
    /// Names the list if it is missing or empty, and the files that are missing or unfit (the first twenty and their
    /// number).
    pub fn split(&self, split: &str) -> Result<Vec<Sample>> {
        let (samples, unusable) = self.usable_split(split)?;
        let mut problems = Problems::default();
        unusable.iter().for_each(|error| problems.push_error(error));
        problems.into_result(|count| format!("{}: {count} of its files cannot be used", self.list(split).display()))?;
        Ok(samples)
    }

    /// As [`Self::split`], without the photos that cannot be used; what is wrong with them comes beside.
    ///
    /// # Errors
    /// Names the list if it is missing or empty.
    pub fn usable_split(&self, split: &str) -> Result<(Vec<Sample>, Vec<Error>)> {
        let names = read_list(&self.list(split))?;
        let (mut samples, mut unusable) = (Vec::with_capacity(names.len()), Vec::new());
        for checked in names.into_par_iter().map(|name| self.sample(name)).collect::<Vec<_>>() {
            match checked {
                Ok(sample) => samples.push(sample),
                Err(error) => unusable.push(error),
            }
        }
        Ok((samples, unusable))
    }

    /// The photos of a split, or `None` if the data set has no such list.
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
        let read: Vec<_> = samples.par_iter().map(|sample| self.labels.labels(&sample.name, &self.classes)).collect();
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

    fn list(&self, split: &str) -> PathBuf {
        self.root.join("ImageSets/Segmentation").join(format!("{split}.txt"))
    }

    fn sample(&self, name: String) -> Result<Sample> {
        let folder = self.root.join("JPEGImages");
        let photo = photos::find(&folder, &name)
            .ok_or_else(|| Error::input(&folder.join(format!("{name}.jpg")), "no such file"))?;
        let size = picture::photo_size(&photo)?;
        let mask = self.root.join("SegmentationClass").join(format!("{name}.png"));
        let mask = match (mask.is_file(), &self.labels) {
            (true, _) => {
                check_same_size(&mask, picture::photo_size(&mask)?, size)?;
                Some(mask)
            }
            (false, LabelSource::File(_)) => None,
            (false, LabelSource::Masks(_)) => {
                return Err(Error::input(
                    &mask,
                    "no such file; it is needed for the image labels, as there is no labels.csv",
                ));
            }
        };
        Ok(Sample { name, photo, mask, size })
    }
}

fn check_same_size(mask: &Path, (width, height): (u32, u32), photo: (u32, u32)) -> Result<()> {
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
