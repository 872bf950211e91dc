//! Photos and label masks, read from and written to files.
//!
//! Readers take any bytes: sizes are bounded before memory is asked for, and what cannot be used is refused with one
//! sentence that names the file. Writers go through [`crate::files`], so a picture is whole or absent.

mod grey;
mod jpeg;
mod mask;
mod photo;
#[cfg(test)]
mod tests;

pub use grey::{GreyMap, PngMask, read_png_mask};
pub use mask::{LabelMap, decode_mask, encode_mask, read_mask, write_mask};
pub use photo::{decode_photo, encode_photo, photo_size, read_photo, write_photo};

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Largest file that is read as a picture.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// Longest side of a picture, in pixels.
const MAX_SIDE: u32 = 32_768;
/// Most pixels of a picture: 64 megapixels, which most cameras stay below.
const MAX_PIXELS: u64 = 64 << 20;
/// Memory a decoder may ask for: the pixels above at four bytes, and as much again for its own tables.
const MAX_DECODER_BYTES: u64 = 2 * 4 * MAX_PIXELS;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The file's bytes, if it is a file of a size worth decoding.
fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::input(path, "no such file"),
        _ => Error::input(path, format!("cannot be read ({error})")),
    })?;
    if !found.is_file() {
        return Err(Error::input(path, "is not a file; a JPEG or PNG picture is needed"));
    }
    if found.len() == 0 {
        return Err(Error::input(path, "the file is empty; copy the picture again"));
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(Error::input(path, format!("the file is larger than {} MiB; scale it down", MAX_FILE_BYTES >> 20)));
    }
    fs::read(path).map_err(|error| Error::input(path, format!("cannot be read ({error})")))
}

/// Refuses a size that no picture of ours has, before anything is allocated for it.
fn check_size(path: &Path, width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::input(path, format!("the picture is empty ({width} x {height} pixels)")));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::input(
            path,
            format!(
                "{width} x {height} pixels are too many (limit: sides of {MAX_SIDE}, {} megapixels); scale the picture down",
                MAX_PIXELS >> 20
            ),
        ));
    }
    Ok(())
}
