//! Photos: JPEG and PNG of any kind, as eight-bit RGB.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{jpeg::JpegEncoder, png::PngDecoder};
use image::error::ImageError;
use image::metadata::Orientation::{
    self, FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270, Rotate270FlipH,
};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, Limits, RgbImage};

use super::{MAX_DECODER_BYTES, MAX_SIDE, PNG_SIGNATURE, check_size, jpeg, read_bytes};
use crate::error::{Error, Result};
use crate::files;

/// Quality of the JPEG files we write: no visible loss.
const JPEG_QUALITY: u8 = 95;

/// Reads a photo as RGB, upright.
///
/// The format is told from the content, not from the name. Grey, palette, sixteen-bit and CMYK pictures are converted;
/// transparency is laid over white; the camera's orientation (EXIF) is applied, so that the pixels are as a viewer
/// shows them.
///
/// # Errors
/// One sentence naming the file if it is missing, not a JPEG or PNG, cut off, corrupt, or larger than the limits.
pub fn read_photo(path: &Path) -> Result<RgbImage> {
    decode_photo(path, &read_bytes(path)?)
}

/// Width and height of a photo as [`read_photo`] gives it, without decoding its pixels: what can be wrong with the file
/// is found, but for damage inside the pixels.
///
/// # Errors
/// As [`read_photo`].
pub fn photo_size(path: &Path) -> Result<(u32, u32)> {
    let bytes = read_bytes(path)?;
    let ((width, height), orientation) = match format_of(path, &bytes)? {
        Format::Jpeg => jpeg::open(path, &bytes)?.header(),
        Format::Png => {
            let mut decoder = open_png(path, &bytes)?;
            (decoder.dimensions(), upright(&mut decoder))
        }
    };
    Ok(match orientation {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (height, width),
        NoTransforms | Rotate180 | FlipHorizontal | FlipVertical => (width, height),
    })
}

/// The photo in the bytes of a file; `path` is the name that errors use.
///
/// # Errors
/// As [`read_photo`].
pub fn decode_photo(path: &Path, bytes: &[u8]) -> Result<RgbImage> {
    let (mut picture, orientation) = match format_of(path, bytes)? {
        Format::Jpeg => {
            let opened = jpeg::open(path, bytes)?;
            let (_, orientation) = opened.header();
            (opened.decode(path)?.into(), orientation)
        }
        Format::Png => {
            let mut decoder = open_png(path, bytes)?;
            let orientation = upright(&mut decoder);
            let picture = DynamicImage::from_decoder(decoder);
            (picture.map_err(|error| Error::input(path, complaint(&error)))?, orientation)
        }
    };
    picture.apply_orientation(orientation);
    Ok(into_rgb(picture))
}

enum Format {
    Jpeg,
    Png,
}

fn format_of(path: &Path, bytes: &[u8]) -> Result<Format> {
    if bytes.starts_with(PNG_SIGNATURE) {
        Ok(Format::Png)
    } else if bytes.starts_with(b"\xff\xd8") {
        Ok(Format::Jpeg)
    } else {
        Err(Error::input(path, "is neither a JPEG nor a PNG picture; convert it to one of them"))
    }
}

fn open_png<'b>(path: &Path, bytes: &'b [u8]) -> Result<PngDecoder<Cursor<&'b [u8]>>> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits);
    let decoder = decoder.map_err(|error| Error::input(path, complaint(&error)))?;
    let (width, height) = decoder.dimensions();
    check_size(path, width, height)?;
    Ok(decoder)
}

/// How a picture is to be turned. A broken entry is no reason to refuse it: it is shown as stored.
fn upright(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(NoTransforms)
}

/// Eight bits, three channels; what is transparent shows white.
fn into_rgb(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [colour @ .., alpha] = picture.get_pixel(x, y).0;
        let alpha = u32::from(alpha);
        image::Rgb(colour.map(|channel| ((u32::from(channel) * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

/// The PNG decoder's error as the end of a sentence.
fn complaint(error: &ImageError) -> String {
    let detail = error.to_string().replace(['\n', '\r'], " ");
    match error {
        ImageError::Limits(_) => format!("the PNG is too large to decode ({detail}); scale it down"),
        ImageError::Unsupported(_) => {
            format!("this kind of PNG is not supported ({detail}); save it again as a plain PNG")
        }
        _ => format!("the PNG is corrupt ({detail}); copy or save the picture again"),
    }
}

/// Bytes of a photo as JPEG or PNG.
///
/// # Errors
/// [`image::ImageError`] for a size that the format cannot hold or another format.
pub fn encode_photo(photo: &RgbImage, format: ImageFormat) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let (width, height) = photo.dimensions();
    match format {
        ImageFormat::Jpeg => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).write_image(
            photo,
            width,
            height,
            ExtendedColorType::Rgb8,
        )?,
        _ => photo.write_to(&mut Cursor::new(&mut bytes), format)?,
    }
    Ok(bytes)
}

/// Writes a photo as JPEG or PNG, as the file name's ending says.
///
/// # Errors
/// One sentence naming the file for another ending, an empty picture, or a file that cannot be written.
pub fn write_photo(path: &Path, photo: &RgbImage) -> Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let format = match ending.as_str() {
        "png" => ImageFormat::Png,
        "jpg" | "jpeg" => ImageFormat::Jpeg,
        _ => {
            return Err(Error::input(
                path,
                "a picture is written as .png or .jpg; choose a name with one of these endings",
            ));
        }
    };
    check_size(path, photo.width(), photo.height())?;
    let bytes =
        encode_photo(photo, format).map_err(|error| Error::failed(path, format!("encoding failed ({error})")))?;
    files::write_atomic(path, &bytes)
}
