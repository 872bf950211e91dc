//! Grey pictures as probabilities: black is 0, white is 1.

use std::io::Cursor;
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};

use super::{LabelMap, MAX_DECODER_BYTES, PNG_SIGNATURE, check_size, mask, read_bytes};
use crate::error::{Error, Result};

/// A probability for every pixel, row by row from the top left.
#[derive(Debug, Clone, PartialEq)]
pub struct GreyMap {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` values in 0..=1.
    pub values: Vec<f32>,
}

/// A mask that is a PNG.
#[derive(Debug, Clone, PartialEq)]
pub enum PngMask {
    /// Class numbers: a palettised PNG, or one in the colours of Pascal VOC.
    Labels(LabelMap),
    /// Probabilities of one object: a grey PNG.
    Grey(GreyMap),
}

/// Reads a mask of either kind. `grey_labels` says that grey values are class numbers, too.
///
/// # Errors
/// As [`read_mask`](super::read_mask).
pub fn read_png_mask(path: &Path, grey_labels: bool) -> Result<PngMask> {
    let bytes = read_bytes(path)?;
    if grey_labels || !is_grey(&bytes) {
        return mask::decode_mask(path, &bytes).map(PngMask::Labels);
    }
    decode_grey(path, &bytes).map(PngMask::Grey)
}

/// Whether the header is that of a grey PNG without transparency.
fn is_grey(bytes: &[u8]) -> bool {
    // After the signature: length and name of the header, width, height, depth, then the kind of colours.
    const KIND: usize = 8 + 8 + 4 + 4 + 1;
    bytes.starts_with(PNG_SIGNATURE) && bytes.get(KIND) == Some(&(ColorType::Grayscale as u8))
}

fn decode_grey(path: &Path, bytes: &[u8]) -> Result<GreyMap> {
    let corrupt = |error: png::DecodingError| {
        let detail = error.to_string().replace(['\n', '\r'], " ");
        Error::input(path, format!("the PNG is corrupt ({detail}); copy or make the mask again"))
    };
    let limit = usize::try_from(MAX_DECODER_BYTES).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: limit });
    // Fewer than eight bits become eight. A transparent grey level would come as a second channel, which nothing needs.
    decoder.set_transformations(Transformations::EXPAND);
    let info = decoder.read_header_info().map_err(corrupt)?;
    let (width, height) = (info.width, info.height);
    check_size(path, width, height)?;
    let mut reader = decoder.read_info().map_err(corrupt)?;
    let (_, depth) = reader.output_color_type();
    let size = reader.output_buffer_size().ok_or_else(|| Error::input(path, "the mask is too large"))?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(corrupt)?;
    let (width, height) = (width as usize, height as usize);
    let pitch = frame.line_size / width;
    let grey = |pixel: &[u8]| match (depth, pixel) {
        (BitDepth::Sixteen, &[high, low, ..]) => f32::from(u16::from_be_bytes([high, low])) / 65535.0,
        (_, &[grey, ..]) => f32::from(grey) / 255.0,
        _ => 0.0,
    };
    let rows = samples.chunks_exact(frame.line_size).take(height);
    let values = rows.flat_map(|row| row.chunks_exact(pitch.max(1)).map(grey)).collect();
    Ok(GreyMap { width, height, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(depth: BitDepth, data: &[u8], width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    fn read(bytes: &[u8], grey_labels: bool) -> Result<PngMask> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        std::fs::write(&path, bytes).unwrap();
        read_png_mask(&path, grey_labels)
    }

    #[test]
    fn grey_levels_are_probabilities_at_every_depth() {
        let values = |bytes: &[u8]| match read(bytes, false).unwrap() {
            PngMask::Grey(map) => (map.width, map.height, map.values),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            values(&grey(BitDepth::Eight, &[0, 51, 255, 102, 0, 0], 3, 2)),
            (3, 2, vec![0.0, 0.2, 1.0, 0.4, 0.0, 0.0])
        );
        assert_eq!(values(&grey(BitDepth::Sixteen, &[0, 0, 255, 255, 0x33, 0x33], 3, 1)), (3, 1, vec![0.0, 1.0, 0.2]));
        assert_eq!(values(&grey(BitDepth::One, &[0b1010_0000], 3, 1)), (3, 1, vec![1.0, 0.0, 1.0]));
    }

    #[test]
    fn grey_levels_are_class_numbers_if_one_says_so() {
        let bytes = grey(BitDepth::Eight, &[0, 1, 2], 3, 1);
        assert_eq!(
            read(&bytes, true).unwrap(),
            PngMask::Labels(LabelMap { width: 3, height: 1, labels: vec![0, 1, 2] })
        );
    }

    #[test]
    fn a_palette_holds_class_numbers() {
        let mask = LabelMap { width: 2, height: 1, labels: vec![0, 7] };
        assert_eq!(read(&super::super::encode_mask(&mask).unwrap(), false).unwrap(), PngMask::Labels(mask));
    }

    #[test]
    fn damage_is_an_error() {
        let bytes = grey(BitDepth::Eight, &[9; 64 * 64], 64, 64);
        for length in [0, 20, 26, 40, bytes.len() - 20] {
            assert!(read(&bytes[..length], false).unwrap_err().to_string().contains("mask.png"), "{length} bytes");
        }
    }
}
