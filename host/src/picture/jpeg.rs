//! JPEG files, decoded by zune-jpeg without a detour: headers are read once, and its inner loops are optimised like ours.

use std::path::Path;

use image::{RgbImage, metadata::Orientation};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::{JpegDecoder, errors::DecodeErrors};

use super::check_size;
use crate::{Error, Result};

/// A JPEG whose headers are read.
pub(super) struct Jpeg<'b> {
    decoder: JpegDecoder<ZCursor<&'b [u8]>>,
    size: (u32, u32),
}

/// Reads the headers; nothing is allocated for pixels.
pub(super) fn open<'b>(path: &Path, bytes: &'b [u8]) -> Result<Jpeg<'b>> {
    // Decoders fill the missing part of a cut-off file with grey and say nothing: we look first.
    if is_cut_off(bytes) {
        return Err(Error::input(path, "the JPEG is cut off before its end; copy the picture again"));
    }
    // Sizes are checked below, in words of our own. Cameras bend the standard, so that strictness helps nobody.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| Error::input(path, complaint(&error)))?;
    let (Some((width, height)), Some(info)) = (decoder.dimensions(), decoder.info()) else {
        return Err(Error::input(path, "the JPEG has no picture; copy or save the picture again"));
    };
    // Both sides are of sixteen bits in the file.
    let size = (width as u32, height as u32);
    check_size(path, size.0, size.1)?;
    // The decoder would leave such a picture black, and say nothing: it takes three channels for four, for instance.
    let kind = decoder.input_colorspace();
    if kind.is_none_or(|kind| kind.num_components() != usize::from(info.components)) {
        let problem = format!("this kind of JPEG is not supported ({} channels)", info.components);
        return Err(Error::input(path, problem + "; save it again as a plain JPEG"));
    }
    Ok(Jpeg { decoder, size })
}

impl Jpeg<'_> {
    /// Width and height as stored, and how the picture is to be turned. A broken entry is no reason to refuse a photo: it is
    /// shown as stored.
    pub(super) fn header(&self) -> ((u32, u32), Orientation) {
        let orientation = self.decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
        (self.size, orientation.unwrap_or(Orientation::NoTransforms))
    }

    /// The pixels as stored. Grey and CMYK are converted, the latter as Adobe's programs write it: inverted.
    pub(super) fn decode(mut self, path: &Path) -> Result<RgbImage> {
        let (width, height) = self.size;
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        self.decoder.decode_into(&mut pixels).map_err(|error| Error::input(path, complaint(&error)))?;
        let picture = RgbImage::from_raw(width, height, pixels);
        picture.ok_or_else(|| Error::failed(path, "the JPEG's pixels do not fill its size"))
    }
}

/// The decoder's error as the end of a sentence.
fn complaint(error: &DecodeErrors) -> String {
    let detail = error.to_string().replace(['\n', '\r'], " ");
    match error {
        DecodeErrors::Unsupported(_) => {
            format!("this kind of JPEG is not supported ({detail}); save it again as a plain JPEG")
        }
        _ => format!("the JPEG is corrupt ({detail}); copy or save the picture again"),
    }
}

/// Whether `bytes` are cut off: no end-of-image marker follows the scan data.
///
/// Only markers are walked, so an end marker inside an embedded thumbnail does not count, and bytes after the end,
/// which some cameras add, do no harm. Anything malformed before that is left to the decoder's own complaint.
fn is_cut_off(bytes: &[u8]) -> bool {
    let mut at = 2; // after the start-of-image marker
    loop {
        // Find the next marker: 0xff, any number of fill bytes 0xff, then a code that is neither stuffing nor restart.
        let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) else {
            return true;
        };
        at += found;
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        let Some(&code) = bytes.get(at) else { return true };
        at += 1;
        match code {
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            0xd9 => return false,
            _ => {
                let Some(&[high, low]) = bytes.get(at..at + 2) else { return true };
                at += usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_cut_off;

    // Start, one comment segment, a scan header, scan data with a stuffed 0xff and a restart marker, end.
    const WHOLE: &[u8] = b"\xff\xd8\xff\xfe\x00\x04\xff\xd9\xff\xda\x00\x02ab\xff\x00c\xff\xd3d\xff\xd9";

    #[test]
    fn the_end_marker_decides() {
        assert!(!is_cut_off(WHOLE));
        assert!(!is_cut_off(&[WHOLE, b"trailing bytes of a camera"].concat()));
        for end in 0..WHOLE.len() {
            assert!(is_cut_off(&WHOLE[..end]), "cut at {end}");
        }
    }
}
