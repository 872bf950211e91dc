//! Text and pictures fit for HTML and SVG.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{ImageFormat, RgbImage};

use crate::{Error, Result, picture};

/// A picture as the address of itself: PNG keeps the edges of masks, JPEG is small.
///
/// # Errors
/// If it cannot be encoded.
pub(crate) fn data_uri(photo: &RgbImage, format: ImageFormat) -> Result<String> {
    let bytes = picture::encode_photo(photo, format)
        .map_err(|error| Error::Failed(format!("a picture cannot be encoded ({error})")))?;
    Ok(format!("data:{};base64,{}", format.to_mime_type(), STANDARD.encode(bytes)))
}

/// Text as HTML and XML hold it, within elements and attributes; what they cannot hold at all is left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_file() {
        assert_eq!(escaped("a<b> & \"c\"\u{1b}\u{ffff}"), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}
