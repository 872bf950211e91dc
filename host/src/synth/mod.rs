//! A synthetic data set in the layout of Pascal VOC, for trying everything without a download.
//!
//! Every picture shows one to three objects of up to [`Kind::ALL`] kinds, textured, shaded, partly hidden by each
//! other, with shadows, on a background chosen independently of them, among clutter that has no label. Every kind has
//! a boldly marked part (a striped head, a checked roof) and a plainer body, as real classes do: activation maps
//! fire on the part, the truth is the whole.
//!
//! A picture depends on the seed, its split and its number in the split, and on nothing else: not on the number of
//! threads, nor on how many pictures are made. The folder appears under its name once it is complete.

mod backdrop;
mod clutter;
mod colour;
mod figure;
mod kind;
mod noise;
mod object;
mod paint;
mod scene;
mod shape;

pub use kind::Kind;
pub use scene::{Picture, picture};

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;
use crate::picture::{encode_mask, encode_photo};

/// Name of the file that says how a set was made.
const DESCRIPTION: &str = "synth.json";
/// Raised whenever the same settings give other pictures than before.
const GENERATOR: u32 = 1;

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synth {
    /// Pictures of the training split.
    pub images: usize,
    /// Pictures of the validation split, in addition.
    pub val: usize,
    /// Kinds of objects, the first so many of [`Kind::ALL`].
    pub classes: usize,
    /// Side of the square pictures, in pixels.
    pub size: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Synth {
    fn default() -> Self {
        Self { images: 600, val: 120, classes: 6, size: 128, seed: 1 }
    }
}

/// What [`DESCRIPTION`] holds.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Description {
    generator: u32,
    settings: Synth,
}

/// The two parts of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For learning.
    Train,
    /// For measuring.
    Val,
}

impl Split {
    const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}

impl Synth {
    /// Names of the classes in order of their labels; the first is the background.
    #[must_use]
    pub fn class_names(&self) -> Vec<String> {
        let kinds = Kind::ALL.iter().take(self.classes).map(|kind| kind.name());
        std::iter::once("background").chain(kinds).map(str::to_owned).collect()
    }

    fn check(&self) -> Result<()> {
        let refuse = |problem: String| Err(Error::Input(problem));
        if self.classes == 0 || self.classes > Kind::ALL.len() {
            return refuse(format!("{} classes cannot be drawn; choose 1 to {}", self.classes, Kind::ALL.len()));
        }
        if !(32..=2048).contains(&self.size) {
            return refuse(format!("a picture size of {} pixels is out of range; choose 32 to 2048", self.size));
        }
        if self.images == 0 {
            return refuse("a data set without training pictures is of no use; choose at least 1".to_owned());
        }
        if self.images > 1_000_000 || self.val > 1_000_000 {
            return refuse("more than a million pictures in a split are not supported; choose fewer".to_owned());
        }
        Ok(())
    }
}

/// Writes the data set to the folder `out`, telling `progress` how many pictures of how many are done.
///
/// The set is made in a temporary folder beside `out` and renamed at the end, so a folder of this name is complete.
/// If `out` already holds a set of the same settings, it is kept and nothing is done.
///
/// # Errors
/// One sentence if the settings are out of range, if `out` holds anything else, or if it cannot be written.
pub fn generate(settings: &Synth, out: &Path, progress: impl FnMut(usize, usize) + Send) -> Result<()> {
    settings.check()?;
    let description = Description { generator: GENERATOR, settings: settings.clone() };
    let progress = Mutex::new((0, progress));
    let report = |step: usize| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.0 += step;
        let done = progress.0;
        (progress.1)(done, settings.images + settings.val);
    };
    if holds_set(out, &description)? {
        report(settings.images + settings.val);
        return Ok(());
    }
    let parent = files::folder_of(out);
    files::create_folder(parent)?;
    let unwritable = |error: std::io::Error| Error::failed(out, format!("the data set cannot be written ({error})"));
    let staging = tempfile::Builder::new().prefix(".wseg-synth-").tempdir_in(parent).map_err(unwritable)?;
    // The temporary folder itself is private; the set inside has the permissions any new folder gets.
    let set = staging.path().join("set");
    for folder in ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation"] {
        fs::create_dir_all(set.join(folder)).map_err(unwritable)?;
    }
    for (split, count) in [(Split::Train, settings.images), (Split::Val, settings.val)] {
        (0..count).into_par_iter().try_for_each(|number| -> Result<()> {
            write_picture(settings, split, number, &set)?;
            report(1);
            Ok(())
        })?;
        let names: String = (0..count).map(|number| picture_name(split, number) + "\n").collect();
        fs::write(set.join(format!("ImageSets/Segmentation/{}.txt", split.name())), names).map_err(unwritable)?;
    }
    fs::write(set.join("classes.txt"), settings.class_names().join("\n") + "\n").map_err(unwritable)?;
    let json = serde_json::to_string_pretty(&description)
        .map_err(|error| Error::failed(out, format!("the description cannot be written ({error})")))?;
    fs::write(set.join(DESCRIPTION), json + "\n").map_err(unwritable)?;
    if out.exists() {
        // Empty, as was checked; should it have been filled meanwhile, this fails rather than delete anything.
        fs::remove_dir(out).map_err(unwritable)?;
    }
    fs::rename(&set, out).map_err(unwritable)
}

/// Whether `out` already is this set; an error if it is anything else that must not be overwritten.
fn holds_set(out: &Path, wanted: &Description) -> Result<bool> {
    if !out.exists() {
        return Ok(false);
    }
    if !out.is_dir() {
        return Err(Error::input(out, "is a file; choose another folder for the data set"));
    }
    let mut entries = fs::read_dir(out).map_err(|error| Error::input(out, format!("cannot be read ({error})")))?;
    if entries.next().is_none() {
        return Ok(false);
    }
    let found = fs::read(out.join(DESCRIPTION)).ok().and_then(|json| serde_json::from_slice::<Description>(&json).ok());
    match found {
        Some(found) if found == *wanted => Ok(true),
        Some(_) => {
            Err(Error::input(out, "holds a synthetic data set of other settings; remove it or choose another folder"))
        }
        None => Err(Error::input(out, "is not empty; choose a new folder for the data set, nothing is overwritten")),
    }
}

fn picture_name(split: Split, number: usize) -> String {
    format!("{}_{number:06}", split.name())
}

fn write_picture(settings: &Synth, split: Split, number: usize, set: &Path) -> Result<()> {
    let name = picture_name(split, number);
    let Picture { photo, mask } = picture(settings, split, number);
    let write = |file: String, bytes: Vec<u8>| {
        let path = set.join(file);
        fs::write(&path, bytes).map_err(|error| Error::failed(&path, format!("writing failed ({error})")))
    };
    let failed = |error: &dyn std::fmt::Display| Error::failed(set, format!("{name} cannot be encoded ({error})"));
    let jpeg = encode_photo(&photo, image::ImageFormat::Jpeg).map_err(|error| failed(&error))?;
    let png = encode_mask(&mask).map_err(|error| failed(&error))?;
    write(format!("JPEGImages/{name}.jpg"), jpeg)?;
    write(format!("SegmentationClass/{name}.png"), png)
}
