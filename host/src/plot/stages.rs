//! Figure 10 of the supplement: one photo and its mask at several stages, side by side.

use image::RgbImage;

use super::{
    drawing::{Anchor, Colour, Drawing, FAINT, INK, Mark, Weight},
    font,
};

/// A colour and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legend {
    /// Red, green, blue.
    pub colour: [u8; 3],
    /// A name.
    pub name: String,
}

/// Width of a picture; a very tall one is narrower.
const CELL: f32 = 220.0;
/// Most of its height.
const TALLEST: f32 = 330.0;
const MARGIN: f32 = 16.0;
const GAP: f32 = 10.0;
const CAPTION: f32 = 13.0;
/// Room for a picture's caption.
const BELOW: f32 = 26.0;
/// Pictures in a row.
const IN_A_ROW: usize = 6;
const SWATCH: f32 = 12.0;

/// Pictures of one size with captions below, and a legend; `None` if there is none or they have no pixels.
#[must_use]
pub fn stages(pictures: Vec<(String, RgbImage)>, legend: &[Legend]) -> Option<Drawing> {
    let (width, height) = pictures.first().map(|(_, picture)| picture.dimensions())?;
    if width == 0 || height == 0 {
        return None;
    }
    let scale = (CELL / width as f32).min(TALLEST / height as f32);
    let size = ((width as f32 * scale).max(1.0), (height as f32 * scale).max(1.0));
    let cell = size.0.max(90.0);
    let rows = pictures.len().div_ceil(IN_A_ROW);
    let columns = pictures.len().div_ceil(rows);
    let mut marks = Vec::new();
    for (index, (caption, picture)) in pictures.into_iter().enumerate() {
        let x = MARGIN + (index % columns) as f32 * (cell + GAP);
        let y = MARGIN + (index / columns) as f32 * (size.1 + BELOW);
        marks.push(Mark::Picture { at: (x + (cell - size.0) / 2.0, y), size, picture });
        let text = font::fitted(&caption, Weight::Regular, CAPTION, cell);
        let (at, weight, anchor) = ((x + cell / 2.0, y + size.1 + 17.0), Weight::Regular, Anchor::Middle);
        marks.push(Mark::Text { at, text, size: CAPTION, weight, anchor, colour: INK });
    }
    let width = 2.0 * MARGIN + columns as f32 * (cell + GAP) - GAP;
    let (mut x, mut y) = (MARGIN, MARGIN + rows as f32 * (size.1 + BELOW) + 18.0);
    for Legend { colour, name } in legend {
        let text = font::fitted(name, Weight::Regular, CAPTION, width - 2.0 * MARGIN - SWATCH - 6.0);
        let wide = SWATCH + 6.0 + font::width(&text, Weight::Regular, CAPTION);
        if x > MARGIN && x + wide > width - MARGIN {
            (x, y) = (MARGIN, y + 20.0);
        }
        let middle = y - 4.5;
        for (side, colour) in [(SWATCH, FAINT), (SWATCH - 2.0, Colour(*colour))] {
            let inset = (SWATCH - side) / 2.0;
            let points = vec![(x + inset, middle), (x + inset + side, middle)];
            marks.push(Mark::Line { points, width: side, dashed: false, colour });
        }
        let (at, weight, anchor) = ((x + SWATCH + 6.0, y), Weight::Regular, Anchor::Start);
        marks.push(Mark::Text { at, text, size: CAPTION, weight, anchor, colour: INK });
        x += wide + 18.0;
    }
    let height = if legend.is_empty() { y - 18.0 } else { y + MARGIN - 4.0 };
    Some(Drawing { width: width.ceil() as u32, height: height.ceil() as u32, marks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_side_by_side_above_their_captions() {
        let picture = |shade: u8| (format!("{shade} iterations"), RgbImage::from_pixel(44, 30, image::Rgb([shade; 3])));
        let legend = [Legend { colour: [128, 0, 0], name: "aeroplane".to_owned() }];
        let drawing = stages((0..4).map(picture).collect(), &legend).unwrap();
        let places: Vec<(f32, f32)> = drawing
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Picture { at, size, .. } => {
                    assert!((size.0 / size.1 - 44.0 / 30.0).abs() < 1e-3, "proportions are kept");
                    Some(*at)
                }
                _ => None,
            })
            .collect();
        assert!(places.len() == 4 && places.windows(2).all(|pair| pair[1].0 >= pair[0].0 + CELL));
        let svg = drawing.svg().unwrap();
        assert_eq!(svg.matches("data:image/png;base64,").count(), 4);
        assert!(svg.contains(">2 iterations<") && svg.contains(">aeroplane<"));
        assert!(drawing.png(1.0).unwrap().len() > 1000);
        let many = stages((0..9).map(picture).collect(), &[]).unwrap();
        assert!(many.height > 2 * 150 && many.width < 6 * 240, "two rows of five");
        assert!(stages(vec![], &legend).is_none());
        assert!(stages(vec![(String::new(), RgbImage::new(1, 20_000))], &legend).is_some());
    }
}
