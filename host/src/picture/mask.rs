//! Label masks: one label index a pixel, stored as palettised PNG like those of Pascal VOC.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use png::{BitDepth, ColorType, Compression, Transformations};

use super::{MAX_DECODER_BYTES, PNG_SIGNATURE, check_size, read_bytes};
use crate::data::mat;
use crate::error::{Error, Result};
use crate::{files, palette};

/// A label for every pixel, row by row from the top left. 0 is background, [`palette::VOID`] belongs to no class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` labels.
    pub labels: Vec<u8>,
}

impl LabelMap {
    /// Which labels occur.
    #[must_use]
    pub fn present(&self) -> [bool; 256] {
        let mut present = [false; 256];
        for &label in &self.labels {
            present[usize::from(label)] = true;
        }
        present
    }
}

/// Reads a mask: the indices of a palettised PNG (1, 2, 4 or 8 bits), the values of an eight-bit grey PNG, or an RGB
/// PNG whose every pixel has exactly a colour of the Pascal VOC map; or a mask of SBD, NAME.mat.
///
/// # Errors
/// One sentence naming the file if it is missing, no PNG, corrupt, too large, or a picture rather than a mask.
pub fn read_mask(path: &Path) -> Result<LabelMap> {
    if mat::is_mat(path) {
        return mat::read_gtcls(path);
    }
    decode_mask(path, &read_bytes(path)?)
}

/// The mask in the bytes of a PNG; `path` is the name that errors use.
///
/// # Errors
/// As [`read_mask`].
pub fn decode_mask(path: &Path, bytes: &[u8]) -> Result<LabelMap> {
    if !bytes.starts_with(PNG_SIGNATURE) {
        return Err(Error::input(path, "is not a PNG; masks are palettised PNG files, as lossy formats blur labels"));
    }
    let corrupt = |error: png::DecodingError| {
        let detail = error.to_string().replace(['\n', '\r'], " ");
        Error::input(path, format!("the PNG is corrupt ({detail}); copy or make the mask again"))
    };
    let limit = usize::try_from(MAX_DECODER_BYTES).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: limit });
    decoder.set_transformations(Transformations::IDENTITY);
    let info = decoder.read_header_info().map_err(corrupt)?;
    let (width, height, colour, depth) = (info.width, info.height, info.color_type, info.bit_depth);
    check_size(path, width, height)?;
    refuse_pictures(path, colour, depth)?;
    let mut reader = decoder.read_info().map_err(corrupt)?;
    let size = reader.output_buffer_size().ok_or_else(|| Error::input(path, "the mask is too large"))?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(corrupt)?;
    let (width, height) = (width as usize, height as usize);
    let rows = samples.chunks_exact(frame.line_size).take(height);
    let labels: Vec<u8> = match colour {
        ColorType::Rgb => labels_of_colours(path, width, rows.flat_map(|row| row.chunks_exact(3)))?,
        ColorType::Rgba => labels_of_colours(path, width, rows.flat_map(|row| row.chunks_exact(4)))?,
        _ if depth == BitDepth::Eight => rows.flat_map(|row| &row[..width]).copied().collect(),
        _ => rows.flat_map(|row| unpack(row, depth, width)).collect(),
    };
    Ok(LabelMap { width, height, labels })
}

/// Says why a PNG of this kind cannot hold labels, if so.
fn refuse_pictures(path: &Path, colour: ColorType, depth: BitDepth) -> Result<()> {
    let bits = depth as u8;
    match (colour, depth) {
        (ColorType::Indexed, _) | (ColorType::Grayscale | ColorType::Rgb | ColorType::Rgba, BitDepth::Eight) => Ok(()),
        (ColorType::Grayscale, _) => Err(Error::input(
            path,
            format!(
                "is a grey PNG of {bits} bits, whose values are not label indices; save it palettised or with 8 bits"
            ),
        )),
        (colour, _) => Err(Error::input(
            path,
            format!(
                "is a {colour:?} PNG of {bits} bits, not a mask; save it as a palettised or 8-bit grey PNG of label indices"
            ),
        )),
    }
}

/// Splits a row into its `width` samples of 1, 2, 4 or 8 bits; the first is in the high bits.
fn unpack(row: &[u8], depth: BitDepth, width: usize) -> impl Iterator<Item = u8> + '_ {
    let bits = (depth as usize).min(8);
    let per_byte = 8 / bits;
    let keep = (0xff_u16 >> (8 - bits)) as u8;
    (0..width).map(move |x| row[x / per_byte] >> (bits * (per_byte - 1 - x % per_byte)) & keep)
}

/// Labels of pixels in VOC colours; a fourth channel must be opaque.
fn labels_of_colours<'p>(path: &Path, width: usize, pixels: impl Iterator<Item = &'p [u8]>) -> Result<Vec<u8>> {
    let label = |(position, pixel): (usize, &[u8])| match *pixel {
        [red, green, blue] | [red, green, blue, 255] => palette::label_of([red, green, blue]).ok_or_else(|| {
            let (x, y) = (position % width, position / width);
            let colour = format!("({red}, {green}, {blue}) at column {x}, row {y}");
            Error::input(
                path,
                format!("the colour {colour} is none of Pascal VOC's; a mask holds label indices, not a photo"),
            )
        }),
        _ => Err(Error::input(path, "has transparent pixels, so it is not a mask; save it as a palettised PNG")),
    };
    pixels.enumerate().map(label).collect()
}

/// Bytes of a mask as palettised PNG, eight bits, with the Pascal VOC colours.
///
/// # Errors
/// [`png::EncodingError`] if the map is empty or its labels are not `width * height`.
pub fn encode_mask(mask: &LabelMap) -> Result<Vec<u8>, png::EncodingError> {
    let too_large = |_| png::EncodingError::LimitsExceeded;
    let width = u32::try_from(mask.width).map_err(too_large)?;
    let height = u32::try_from(mask.height).map_err(too_large)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(Cow::Borrowed(palette::VOC.as_flattened()));
    encoder.set_compression(Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&mask.labels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Writes a mask as palettised PNG, whatever the file name's ending.
///
/// # Errors
/// One sentence naming the file if the map is empty or the file cannot be written.
pub fn write_mask(path: &Path, mask: &LabelMap) -> Result<()> {
    let bytes =
        encode_mask(mask).map_err(|error| Error::failed(path, format!("the mask cannot be encoded ({error})")))?;
    files::write_atomic(path, &bytes)
}
