//! The letters of the program's own pictures: Roboto, a part of which is in the program.

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, OutlineBuilder};

use super::drawing::Weight;

static REGULAR: &[u8] = include_bytes!("../../fonts/Roboto-Regular.ttf");
static MEDIUM: &[u8] = include_bytes!("../../fonts/Roboto-Medium.ttf");

/// A font at a size.
pub(super) struct Font {
    face: Face<'static>,
    /// Pixels of a unit of the font.
    scale: f32,
}

impl Font {
    /// `None` only if the font in the program were broken, which a test denies.
    pub(super) fn new(weight: Weight, size: f32) -> Option<Self> {
        let bytes = match weight {
            Weight::Regular => REGULAR,
            Weight::Medium => MEDIUM,
        };
        let face = Face::parse(bytes, 0).ok()?;
        let scale = size / f32::from(face.units_per_em());
        Some(Self { face, scale })
    }

    /// Width of a text in pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        text.chars().map(|letter| self.advance(letter)).sum()
    }

    /// The outlines of a text that starts at a point of its base line; `None` if there is nothing to see.
    pub(super) fn outline(&self, text: &str, (mut x, y): (f32, f32)) -> Option<Path> {
        let mut pen = Pen { path: PathBuilder::new(), x, y, scale: self.scale };
        for letter in text.chars() {
            pen.x = x;
            // A blank has no outline.
            let _ = self.face.outline_glyph(self.glyph(letter), &mut pen);
            x += self.advance(letter);
        }
        pen.path.finish()
    }

    /// The letter's glyph; that of a missing letter is a box.
    fn glyph(&self, letter: char) -> ttf_parser::GlyphId {
        self.face.glyph_index(letter).unwrap_or_default()
    }

    fn advance(&self, letter: char) -> f32 {
        f32::from(self.face.glyph_hor_advance(self.glyph(letter)).unwrap_or_default()) * self.scale
    }
}

/// Width of a text in pixels.
pub(super) fn width(text: &str, weight: Weight, size: f32) -> f32 {
    Font::new(weight, size).map_or(0.0, |font| font.width(text))
}

/// The text, shortened with an ellipsis if it is wider than `room` pixels.
pub(super) fn fitted(text: &str, weight: Weight, size: f32, room: f32) -> String {
    let Some(font) = Font::new(weight, size) else { return text.to_owned() };
    if font.width(text) <= room {
        return text.to_owned();
    }
    let mut left = room - font.width("…");
    let fits = |letter: &char| {
        left -= font.advance(*letter);
        left >= 0.0
    };
    text.chars().take_while(fits).collect::<String>().trim_end().to_owned() + "…"
}

/// Draws a glyph's outline, whose y axis points up, onto the picture, whose y axis points down.
struct Pen {
    path: PathBuilder,
    x: f32,
    y: f32,
    scale: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + self.scale * x, self.y - self.scale * y)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fonts_have_the_letters_that_are_needed() {
        for weight in [Weight::Regular, Weight::Medium] {
            let font = Font::new(weight, 12.0).unwrap();
            for letter in (' '..='~').chain("…–−×±ÄÖÜäöüßéèçñøåŁş".chars()) {
                assert!(font.face.glyph_index(letter).is_some(), "{letter}");
                assert!(letter == ' ' || font.outline(&letter.to_string(), (0.0, 0.0)).is_some(), "{letter}");
            }
            assert!(font.outline("漢", (0.0, 0.0)).is_some(), "a missing letter is a box");
        }
    }

    #[test]
    fn letters_stand_on_the_base_line_one_after_the_other() {
        let font = Font::new(Weight::Regular, 20.0).unwrap();
        let bounds = font.outline("HH", (100.0, 50.0)).unwrap().bounds();
        assert!((bounds.bottom() - 50.0).abs() < 0.1 && (bounds.height() - 14.2).abs() < 0.5, "{bounds:?}");
        assert!(bounds.left() > 100.0 && bounds.right() < 100.0 + font.width("HH"), "{bounds:?}");
        assert_eq!(font.width("HH"), 2.0 * font.width("H"));
        assert!(font.outline("  ", (0.0, 0.0)).is_none());
    }

    #[test]
    fn a_long_text_is_shortened_to_its_room() {
        let short = fitted("a name that is much too long", Weight::Regular, 12.0, 60.0);
        assert!(short.ends_with('…') && short.starts_with("a na"), "{short}");
        assert!(width(&short, Weight::Regular, 12.0) <= 60.0);
        assert_eq!(fitted("short", Weight::Regular, 12.0, 60.0), "short");
    }
}
