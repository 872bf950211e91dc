//! Masks that are given to learn from: a folder of them, one a photo, called as the photo is.

use std::{path::Path, path::PathBuf, sync::Arc};

use rayon::prelude::*;

use super::{Classes, ImageLabels, Problems, Sample, dataset::check_same_size, labels::check_values, mask};
use crate::{
    Error, Result,
    picture::{self, LabelMap},
};

/// A folder of masks of certain classes.
#[derive(Debug, Clone)]
pub struct GivenMasks {
    folder: PathBuf,
    classes: Arc<Classes>,
}

/// A mask to learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenMask {
    /// Where it is.
    pub path: PathBuf,
    classes: Arc<Classes>,
}

impl GivenMasks {
    /// The masks in a folder.
    ///
    /// # Errors
    /// It is no folder.
    pub fn open(folder: &Path, classes: &Classes) -> Result<Self> {
        super::require_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), classes: Arc::new(classes.clone()) })
    }

    /// Where they lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The mask of the photo called `name`, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<GivenMask> {
        mask::find(&self.folder, name).map(|path| self.at(path))
    }

    /// A mask that lies elsewhere.
    #[must_use]
    pub fn at(&self, path: PathBuf) -> GivenMask {
        GivenMask { path, classes: Arc::clone(&self.classes) }
    }

    /// The masks of some photos, each read and checked, with the object classes in it; and what is wrong with the others.
    #[must_use]
    pub fn check(&self, samples: Vec<Sample>) -> (Vec<(Sample, GivenMask, ImageLabels)>, Vec<Error>) {
        let look = |sample: Sample| {
            let mask = self.find(&sample.name).ok_or_else(|| {
                let path = self.folder.join(format!("{}.png", sample.name));
                Error::input(&path, "no such file; every training photo needs a mask to learn from")
            })?;
            let present = mask.read(sample.size)?.present();
            Ok((sample, mask, present[1..self.classes.len()].to_vec()))
        };
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for looked in samples.into_par_iter().map(look).collect::<Vec<Result<_>>>() {
            match looked {
                Ok(checked) => good.push(checked),
                Err(error) => bad.push(error),
            }
        }
        (good, bad)
    }

    /// As [`Self::check`], for photos that all need their masks.
    ///
    /// # Errors
    /// Names the masks that are missing, of another size, or hold what is no class.
    pub fn require(&self, samples: Vec<Sample>) -> Result<Vec<(Sample, GivenMask, ImageLabels)>> {
        let (good, bad) = self.check(samples);
        let mut problems = Problems::default();
        bad.iter().for_each(|error| problems.push_error(error));
        problems.into_result(|count| {
            let folder = self.folder.display();
            format!("{folder}: {count} masks cannot be used (--skip-bad trains without their photos)")
        })?;
        Ok(good)
    }
}

impl GivenMask {
    /// Reads the mask of a photo of `size` (width, height).
    ///
    /// # Errors
    /// It cannot be read, is of another size, or has a value that is no class; the error names the file.
    pub fn read(&self, size: (u32, u32)) -> Result<LabelMap> {
        let mask = picture::read_mask(&self.path)?;
        // The reader's limits are far below what u32 holds.
        check_same_size(&self.path, (mask.width as u32, mask.height as u32), size)?;
        check_values(&mask.present(), &self.classes).map_err(|problem| Error::input(&self.path, problem))?;
        Ok(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::write_mask;

    fn sample(name: &str) -> Sample {
        Sample { name: name.to_owned(), photo: PathBuf::from("photo.jpg"), mask: None, size: (3, 2) }
    }

    #[test]
    fn what_is_wrong_with_masks_is_told_at_once_and_the_others_say_what_they_show() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, width: usize, labels: &[u8]| {
            let mask = LabelMap { width, height: labels.len() / width, labels: labels.to_vec() };
            write_mask(&dir.path().join(format!("{name}.png")), &mask).unwrap();
        };
        write("good", 3, &[0, 0, 2, 255, 2, 0]);
        write("turned", 2, &[0; 6]);
        write("foreign", 3, &[0, 0, 3, 0, 0, 0]);
        let classes = Classes::new(["background", "cat", "dog"].map(str::to_owned).to_vec()).unwrap();
        let masks = GivenMasks::open(dir.path(), &classes).unwrap();
        let names = ["good", "turned", "foreign", "gone"];
        let (good, bad) = masks.check(names.map(sample).to_vec());
        assert_eq!((good.len(), good[0].2.as_slice()), (1, &[false, true][..]));
        assert_eq!(bad.len(), 3);
        let message = masks.require(names.map(sample).to_vec()).unwrap_err().to_string();
        for part in [
            "3 masks cannot be used",
            "turned.png: the mask has 2 x 3 pixels, its photo 3 x 2",
            "foreign.png: value 3 is not a class",
            "gone.png: no such file",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(GivenMasks::open(&dir.path().join("nowhere"), &classes).is_err());
    }
}
