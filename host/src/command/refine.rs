//! `wseg refine`: masks from anywhere, drawn to the edges of their photos.

use std::path::{Path, PathBuf};

use candle_core::Device;
use serde_json::json;
use wseg_core::pamr::Pamr;

use super::failures::one_error;
use crate::{
    Error, Result,
    args::{MaskFormat, RefineArgs, RefineMethod},
    console::Console,
    data::photos,
    files, picture,
    refine::{ENDINGS, Masks, Reading, Refinement},
};

/// Refines a mask, or a folder of masks.
///
/// # Errors
/// If a photo or mask cannot be used or a result cannot be written. In a folder, those that fail are named at the end; the
/// others are done.
pub fn run(args: &RefineArgs, console: &Console) -> Result<()> {
    let crf = args.crf.parameters();
    crf.check().map_err(|error| Error::Input(error.to_string()))?;
    let pamr = Pamr { iterations: args.pamr_iterations, ..Pamr::default() };
    let refinement = match args.method {
        RefineMethod::Pamr => Refinement { pamr: Some(pamr), crf: None },
        RefineMethod::Crf => Refinement { pamr: None, crf: Some(crf) },
        RefineMethod::PamrCrf => Refinement { pamr: Some(pamr), crf: Some(crf) },
    };
    super::use_threads(args.threads)?;
    // Only PAMR can make use of one.
    let device = if refinement.pamr.is_some() { super::open(args.device, console)? } else { Device::Cpu };
    let task = Task { args, console, refinement, device };
    if args.image.is_dir() { task.folder() } else { task.file() }
}

struct Task<'a> {
    args: &'a RefineArgs,
    console: &'a Console,
    refinement: Refinement,
    device: Device,
}

impl Task<'_> {
    /// One photo: the result's name says its format.
    fn file(&self) -> Result<()> {
        let out = &self.args.out;
        let ending = out.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let format = match ending.as_deref() {
            Some("png") => MaskFormat::Png,
            Some("npy") => MaskFormat::Npy,
            _ => {
                return Err(Error::input(
                    out,
                    "a refined mask is written as .png or .npy; choose a name that says which",
                ));
            }
        };
        if self.args.mask.is_dir() {
            return Err(Error::input(&self.args.mask, "is a folder, but --image is a file; give the photo's mask"));
        }
        self.refine(&self.args.image, &self.args.mask, out, format)?;
        self.console.note(format_args!("the refined mask is {}", out.display()));
        Ok(())
    }

    /// Every photo of the folder.
    fn folder(&self) -> Result<()> {
        let RefineArgs { image, mask, out, format, .. } = self.args;
        if !mask.is_dir() {
            return Err(Error::input(mask, "is not a folder, but --image is one; give the folder of its masks"));
        }
        let photos = photos(std::slice::from_ref(image))?;
        let ending = match format {
            MaskFormat::Png => "png",
            MaskFormat::Npy => "npy",
        };
        files::create_folder(out)?;
        let progress = self.console.progress("refine", photos.len() as u64);
        let mut failures = Vec::new();
        for photo in &photos {
            let done = mask_of(mask, &photo.name, &photo.path).and_then(|mask| {
                self.refine(&photo.path, &mask, &out.join(format!("{}.{ending}", photo.name)), *format)
            });
            failures.extend(done.err());
            progress.advance(1);
        }
        drop(progress);
        let plural = if photos.len() == 1 { "" } else { "s" };
        if failures.is_empty() {
            self.console.note(format_args!("{} mask{plural} refined into {}", photos.len(), out.display()));
            return Ok(());
        }
        one_error(failures, photos.len(), "masks could not be refined")
    }

    fn refine(&self, photo: &Path, mask: &Path, out: &Path, format: MaskFormat) -> Result<()> {
        for input in [photo, mask] {
            if same_file(input, out) {
                return Err(Error::input(out, "is an input as well; choose another name for the result"));
            }
        }
        let RefineArgs { confidence, grey_labels, array, .. } = self.args;
        let reading = Reading { confidence: *confidence, grey_labels: *grey_labels, array: array.as_deref() };
        let pixels = picture::read_photo(photo)?;
        let masks = Masks::read(mask, reading)?;
        let labels = masks.labels.clone();
        let size = (pixels.width() as usize, pixels.height() as usize);
        if masks.from_labels && (masks.width, masks.height) != size {
            let problem = format!(
                "{} x {} pixels, but its photo {} has {} x {}; labels cannot be resized",
                masks.width,
                masks.height,
                photo.display(),
                size.0,
                size.1
            );
            return Err(Error::input(mask, problem));
        }
        let refined = self.refinement.apply_on(masks, &pixels, &self.device).map_err(|error| error.of_file(photo))?;
        match format {
            MaskFormat::Png => picture::write_mask(out, &refined.most_likely())?,
            MaskFormat::Npy => files::write_atomic(out, &refined.encode())?,
        }
        if self.args.json {
            self.console.print(json!({
                "photo": photo.to_string_lossy(), "mask": mask.to_string_lossy(), "out": out.to_string_lossy(),
                "width": refined.width, "height": refined.height, "labels": labels,
            }));
        }
        Ok(())
    }
}

/// The mask of a photo in a folder.
fn mask_of(folder: &Path, name: &str, photo: &Path) -> Result<PathBuf> {
    let spelled = ENDINGS.iter().flat_map(|ending| [(*ending).to_owned(), ending.to_ascii_uppercase()]);
    let found = spelled.map(|ending| folder.join(format!("{name}.{ending}"))).find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::input(photo, format!("has no mask in {}: {name}.png, .npy or .npz is needed", folder.display()))
    })
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
