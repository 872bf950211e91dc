//! The archive that Pascal VOC's test server takes: `results/VOC2012/Segmentation/comp6_test_cls/NAME.png`, as tar and
//! gzip. The same masks make the same bytes.

use std::{io, path::Path};

use flate2::{Compression, GzBuilder};
use png::{BitDepth, ColorType};
use rayon::prelude::*;

use super::masks::Masks;
use crate::{
    Error, Result,
    data::{Classes, Problems},
    files, palette, picture,
};

/// Where the server looks for masks: competition 6, segmentation with any training data.
const FOLDER: &str = "results/VOC2012/Segmentation/comp6_test_cls";
/// Longest name of a file in a folder, in bytes.
const MAX_NAME: usize = 100;

/// Writes the archive with the masks of these names.
///
/// # Errors
/// Names every mask that is missing, unreadable, or not palettised with VOC's colours and classes; then nothing is
/// written.
pub(super) fn write(archive: &Path, masks: &Masks, names: &[String]) -> Result<()> {
    let mut names = names.to_vec();
    names.sort();
    let refused: Vec<Error> = names.par_iter().filter_map(|name| check(name, &masks.path(name)).err()).collect();
    let mut problems = Problems::default();
    refused.iter().for_each(|error| problems.push_error(error));
    problems.into_result_with_all(|count| format!("{count} masks cannot be submitted, so nothing was written"))?;
    files::write_atomic_with(archive, |file| {
        // No time and no system: nothing in the archive but the masks.
        let mut zipped = GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::default());
        let mut archive = tar::Builder::new(&mut zipped);
        for name in &names {
            let bytes = std::fs::read(masks.path(name))?;
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("{FOLDER}/{}", file_name(name)), bytes.as_slice())?;
        }
        archive.finish()?;
        drop(archive);
        zipped.finish().map(|_| ())
    })
}

/// Refuses what the server would not take, or would take for something else.
fn check(name: &str, path: &Path) -> Result<()> {
    if name.contains(['/', '\\']) || file_name(name).len() > MAX_NAME {
        return Err(Error::input(path, format!("`{name}` cannot be a file's name in the archive; rename the mask")));
    }
    let present = picture::read_mask(path)?.present();
    let classes = Classes::voc().len();
    if let Some(value) = (classes..256).find(|value| present[*value]) {
        let last = classes - 1;
        return Err(Error::input(path, format!("value {value} is no class of Pascal VOC, whose are 0 to {last}")));
    }
    let unreadable = |error: &dyn std::fmt::Display| Error::input(path, format!("cannot be read ({error})"));
    let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    let reader = png::Decoder::new(io::BufReader::new(file)).read_info().map_err(|error| unreadable(&error))?;
    let info = reader.info();
    let colours = &palette::VOC.as_flattened()[..3 * classes];
    let palettised = (info.color_type, info.bit_depth) == (ColorType::Indexed, BitDepth::Eight);
    if palettised && info.palette.as_deref().is_some_and(|palette| palette.starts_with(colours)) {
        return Ok(());
    }
    Err(Error::input(
        path,
        "is not palettised with Pascal VOC's colours in 8 bits, as the test server wants it; `wseg predict` writes such masks",
    ))
}

fn file_name(name: &str) -> String {
    format!("{name}.png")
}
