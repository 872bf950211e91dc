//! The archive that Pascal VOC's test server takes: `results/VOC2012/Segmentation/comp6_test_cls/NAME.png`, as tar and
//! gzip. The same masks make the same bytes.

use std::{
    io::{self, Write},
    path::Path,
};

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
/// Bytes of a block of a tar archive.
const BLOCK: usize = 512;
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
        for name in &names {
            let bytes = std::fs::read(masks.path(name))?;
            zipped.write_all(&header(name, bytes.len())?)?;
            zipped.write_all(&bytes)?;
            zipped.write_all(&vec![0; bytes.len().next_multiple_of(BLOCK) - bytes.len()])?;
        }
        zipped.write_all(&[0; 2 * BLOCK])?;
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

/// A file's header in the form of POSIX.1-1988 (ustar).
fn header(name: &str, size: usize) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    // The size has eleven octal digits: 8 GiB, more than any mask that was read.
    let size = Some(format!("{size:011o}")).filter(|digits| digits.len() == 11);
    put(0, &file_name(name));
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &size.ok_or_else(|| io::Error::other("a mask is too large for the archive"))?);
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    put(345, FOLDER);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    Ok(block)
}
