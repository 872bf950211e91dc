//! Text and pictures, fit for markup.

use image::{ImageFormat, RgbImage};

pub(super) use crate::markup::escaped;
use crate::{Result, markup::data_uri, palette};

/// A picture as an `img` element.
///
/// # Errors
/// If it cannot be encoded.
pub(super) fn img(picture: &RgbImage, alt: &str) -> Result<String> {
    let (width, height) = picture.dimensions();
    Ok(format!(
        "<img src=\"{}\" width=\"{width}\" height=\"{height}\" alt=\"{}\"/>",
        data_uri(picture, ImageFormat::Jpeg)?,
        escaped(alt)
    ))
}

/// A square in a class's colour.
pub(super) fn swatch(label: u8) -> String {
    let [red, green, blue] = palette::colour(label);
    format!("<span class=\"swatch\" style=\"background:rgb({red},{green},{blue})\"></span>")
}

/// A percentage with one digit, or a dash.
pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "\u{2013}".to_owned(), |value| format!("{value:.1}"))
}

/// A whole number with its thousands parted.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
