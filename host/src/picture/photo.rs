//! Photos: JPEG and PNG of any kind, as eight-bit RGB.

use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::error::ImageError;
use image::metadata::Orientation::{
    self, FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270, Rotate270FlipH,
};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits, RgbImage};

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
    let opened = open(path, &bytes)?;
    let (width, height) = opened.decoder.dimensions();
    Ok(match opened.orientation {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (height, width),
        NoTransforms | Rotate180 | FlipHorizontal | FlipVertical => (width, height),
    })
}

/// The photo in the bytes of a file; `path` is the name that errors use.
///
/// # Errors
/// As [`read_photo`].
pub fn decode_photo(path: &Path, bytes: &[u8]) -> Result<RgbImage> {
    let opened = open(path, bytes)?;
    let refuse = |error: ImageError| Error::input(path, complaint(opened.format, &error));
    let mut picture = DynamicImage::from_decoder(opened.decoder).map_err(refuse)?;
    picture.apply_orientation(opened.orientation);
    Ok(into_rgb(picture))
}

/// A photo whose header is read.
struct Opened<D> {
    format: ImageFormat,
    decoder: D,
    orientation: Orientation,
}

fn open<'b>(path: &Path, bytes: &'b [u8]) -> Result<Opened<impl ImageDecoder + use<'b>>> {
    let format = if bytes.starts_with(PNG_SIGNATURE) {
        ImageFormat::Png
    } else if bytes.starts_with(b"\xff\xd8") {
        ImageFormat::Jpeg
    } else {
        return Err(Error::input(path, "is neither a JPEG nor a PNG picture; convert it to one of them"));
    };
    if format == ImageFormat::Jpeg && jpeg::is_cut_off(bytes) {
        return Err(Error::input(path, "the JPEG is cut off before its end; copy the picture again"));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let refuse = |error: ImageError| Error::input(path, complaint(format, &error));
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    let (width, height) = decoder.dimensions();
    check_size(path, width, height)?;
    // A broken orientation entry is no reason to refuse a photo: it is shown as stored.
    let orientation = decoder.orientation().unwrap_or(NoTransforms);
    Ok(Opened { format, decoder, orientation })
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

/// The decoder's error as the end of a sentence.
fn complaint(format: ImageFormat, error: &ImageError) -> String {
    let name = if format == ImageFormat::Png { "PNG" } else { "JPEG" };
    let detail = error.to_string().replace(['\n', '\r'], " ");
    match error {
        ImageError::Limits(_) => format!("the {name} is too large to decode ({detail}); scale it down"),
        ImageError::Unsupported(_) => {
            format!("this kind of {name} is not supported ({detail}); save it again as a plain {name}")
        }
        _ => format!("the {name} is corrupt ({detail}); copy or save the picture again"),
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
