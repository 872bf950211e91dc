//! What a figure consists of: lines, dots, words and pictures on white paper.

use image::RgbImage;

use super::{raster, svg};
use crate::Result;

/// A point in pixels, from the top left corner.
pub(super) type Point = (f32, f32);

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(pub(super) [u8; 3]);

/// Letters and frames.
pub(super) const INK: Colour = Colour([38, 40, 46]);
/// Letters of less weight.
pub(super) const FAINT: Colour = Colour([96, 100, 108]);
/// The lines that lead the eye.
pub(super) const GRID: Colour = Colour([228, 229, 232]);

/// How heavy letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Medium,
}

/// Which part of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The shape of a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dot {
    Circle,
    Square,
    Triangle,
}

impl Dot {
    /// The corners of a dot at a place, or its radius if it is round.
    pub(super) fn corners(self, (x, y): Point) -> Result<Vec<Point>, f32> {
        const RADIUS: f32 = 3.0;
        match self {
            Self::Circle => Err(RADIUS),
            // Of about the circle's area.
            Self::Square => Ok(vec![(x - 2.7, y - 2.7), (x + 2.7, y - 2.7), (x + 2.7, y + 2.7), (x - 2.7, y + 2.7)]),
            Self::Triangle => Ok(vec![(x, y - 4.2), (x + 3.8, y + 2.8), (x - 3.8, y + 2.8)]),
        }
    }
}

/// One thing that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    Line {
        points: Vec<Point>,
        width: f32,
        dashed: bool,
        colour: Colour,
    },
    Dot {
        at: Point,
        dot: Dot,
        colour: Colour,
    },
    /// `at` is on the base line.
    Text {
        at: Point,
        text: String,
        size: f32,
        weight: Weight,
        anchor: Anchor,
        colour: Colour,
    },
    /// A photo, scaled to `size` with its top left corner at `at`.
    Picture {
        at: Point,
        size: (f32, f32),
        picture: RgbImage,
    },
}

/// A picture, ready to be written. Later marks cover earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) marks: Vec<Mark>,
}

impl Drawing {
    /// The picture as an SVG file.
    ///
    /// # Errors
    /// If a photo in it cannot be encoded.
    pub fn svg(&self) -> Result<String> {
        svg::write(self)
    }

    /// The picture as an `svg` element within a page, as wide as the page lets it be, on the page's paper and in the
    /// colours of [`theme`](super::theme()). `label` says in a sentence what it shows, for those who do not see it.
    ///
    /// # Errors
    /// If a photo in it cannot be encoded.
    pub fn inline_svg(&self, label: &str) -> Result<String> {
        svg::element(self, label)
    }

    /// The picture as a PNG file, each pixel of the drawing `scale` pixels wide.
    ///
    /// # Errors
    /// If the picture is too large to be held in memory.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>> {
        raster::write(self, scale)
    }
}
