//! What is left of each photo.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use image::{ImageFormat, Rgb, RgbImage};

use crate::{
    Error, Result,
    args::Artifact,
    data::Photo,
    files, npy, palette,
    picture::{self, LabelMap},
    predictor::Masks,
    report::overlay,
};

/// Where an artifact of the photo called `name` is.
pub(super) fn path(out: &Path, name: &str, artifact: Artifact) -> PathBuf {
    out.join(match artifact {
        Artifact::Masks => format!("{name}.png"),
        Artifact::Overlay => format!("{name}_overlay.jpg"),
        Artifact::Probs => format!("{name}_probs.npy"),
        Artifact::Scores => format!("{name}_scores.npy"),
        Artifact::Color => format!("{name}_color.png"),
    })
}

/// Checks that nothing would be written twice or over a photo.
///
/// # Errors
/// Naming the first file that would.
pub(super) fn check(photos: &[Photo], out: &Path, artifacts: &[Artifact]) -> Result<()> {
    let sources: HashSet<PathBuf> = photos.iter().filter_map(|photo| photo.path.canonicalize().ok()).collect();
    let mut written = HashMap::new();
    for photo in photos {
        for &artifact in artifacts {
            let file = path(out, &photo.name, artifact);
            if file.canonicalize().is_ok_and(|file| sources.contains(&file)) {
                return Err(Error::input(&file, "a photo to segment would be overwritten; choose another --out"));
            }
            if let Some(other) = written.insert(file.clone(), &photo.name).filter(|other| *other != &photo.name) {
                let problem = format!("results of the photos `{other}` and `{}` would be of this name", photo.name);
                return Err(Error::input(&file, problem + "; segment them into two folders"));
            }
        }
    }
    Ok(())
}

/// Writes one artifact, as a whole or not at all.
///
/// # Errors
/// One sentence naming the file.
pub(super) fn write(
    artifact: Artifact,
    path: &Path,
    photo: &RgbImage,
    mask: &LabelMap,
    masks: &mut Masks,
    class_names: &[String],
) -> Result<()> {
    match artifact {
        Artifact::Masks => picture::write_mask(path, mask),
        Artifact::Overlay => write_picture(path, &overlay::overlay(photo, mask, class_names), ImageFormat::Jpeg),
        Artifact::Color => write_picture(path, &coloured(mask), ImageFormat::Png),
        Artifact::Probs => write_probabilities(path, masks),
        Artifact::Scores => files::write_atomic_with(path, |writer| {
            // A network without scores was refused.
            let scores = masks.confidence().unwrap_or_default();
            npy::write_header(writer, "<f2", &[scores.len()])?;
            npy::write_halves(writer, scores.iter().copied())
        }),
    }
}

/// Unlike [`picture::write_photo`], of any size: a legend below a photo of the largest size is no reason to refuse it.
fn write_picture(path: &Path, picture: &RgbImage, format: ImageFormat) -> Result<()> {
    let bytes = picture::encode_photo(picture, format)
        .map_err(|error| Error::failed(path, format!("encoding failed ({error})")))?;
    files::write_atomic(path, &bytes)
}

/// The mask as a picture in Pascal VOC's colours.
fn coloured(mask: &LabelMap) -> RgbImage {
    RgbImage::from_fn(mask.width as u32, mask.height as u32, |x, y| {
        Rgb(palette::colour(mask.labels[y as usize * mask.width + x as usize]))
    })
}

/// `[classes + 1, height, width]` in half precision, background first. They sum to 1; where nothing is left of any class,
/// it is background.
fn write_probabilities(path: &Path, masks: &mut Masks) -> Result<()> {
    files::write_atomic_with(path, |writer| {
        let shape = masks.shape();
        npy::write_header(writer, "<f2", &shape)?;
        let total = masks.total()?;
        for channel in 0..shape[0] {
            npy::write_halves(writer, masks.share(channel, &total)?.into_iter())?;
        }
        Ok(())
    })
}
