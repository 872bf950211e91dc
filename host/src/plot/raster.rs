//! A drawing as PNG.

use image::{ImageFormat, RgbImage};
use tiny_skia::{
    Color, FillRule, FilterQuality, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, PixmapPaint, Stroke,
    StrokeDash, Transform,
};

use super::{
    drawing::{Anchor, Colour, Drawing, Mark, Point},
    font::Font,
};
use crate::{Error, Result, picture};

pub(super) fn write(drawing: &Drawing, scale: f32) -> Result<Vec<u8>> {
    let side = |pixels: u32| (pixels as f32 * scale).round() as u32;
    let (width, height) = (side(drawing.width), side(drawing.height));
    let mut page = Pixmap::new(width, height)
        .ok_or_else(|| Error::Failed(format!("a picture of {width} x {height} pixels cannot be drawn")))?;
    page.fill(Color::WHITE);
    let scale = Transform::from_scale(scale, scale);
    for mark in &drawing.marks {
        draw(&mut page, mark, scale);
    }
    // On white paper nothing is left transparent.
    let pixels = page.data().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect();
    RgbImage::from_raw(width, height, pixels)
        .and_then(|picture| picture::encode_photo(&picture, ImageFormat::Png).ok())
        .ok_or_else(|| Error::Failed("the picture cannot be encoded".to_owned()))
}

fn draw(page: &mut Pixmap, mark: &Mark, scale: Transform) {
    let fill = |page: &mut Pixmap, path: Option<Path>, colour: Colour| {
        if let Some(path) = path {
            page.fill_path(&path, &paint(colour), FillRule::Winding, scale, None);
        }
    };
    match mark {
        Mark::Line { points, width, dashed, colour } => {
            let dash = if *dashed { StrokeDash::new(vec![6.0, 4.0], 0.0) } else { None };
            let join = LineJoin::Round;
            let stroke = Stroke { width: *width, line_join: join, line_cap: LineCap::Butt, dash, ..Stroke::default() };
            if let Some(path) = along(points, false) {
                page.stroke_path(&path, &paint(*colour), &stroke, scale, None);
            }
        }
        Mark::Dot { at, dot, colour } => {
            let path = match dot.corners(*at) {
                Ok(corners) => along(&corners, true),
                Err(radius) => PathBuilder::from_circle(at.0, at.1, radius),
            };
            fill(page, path, *colour);
        }
        Mark::Text { at: (x, y), text, size, weight, anchor, colour } => {
            let Some(font) = Font::new(*weight, *size) else { return };
            let indent = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => font.width(text) / 2.0,
                Anchor::End => font.width(text),
            };
            fill(page, font.outline(text, (x - indent, *y)), *colour);
        }
        Mark::Picture { at: (x, y), size: (width, height), picture } => {
            let Some(pixels) = pixmap(picture) else { return };
            let across = width / picture.width() as f32;
            let down = height / picture.height() as f32;
            let place = scale.pre_translate(*x, *y).pre_scale(across, down);
            let paint = PixmapPaint { quality: FilterQuality::Bicubic, ..PixmapPaint::default() };
            page.draw_pixmap(0, 0, pixels.as_ref(), &paint, place, None);
        }
    }
}

/// A photo as the drawing library holds it; `None` if it has no pixels.
fn pixmap(photo: &RgbImage) -> Option<Pixmap> {
    let mut pixels = Pixmap::new(photo.width(), photo.height())?;
    for (to, from) in pixels.data_mut().chunks_exact_mut(4).zip(photo.pixels()) {
        let [red, green, blue] = from.0;
        to.copy_from_slice(&[red, green, blue, 255]);
    }
    Some(pixels)
}

fn paint(Colour([red, green, blue]): Colour) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}

/// A path through points; `None` if there is no way to go.
fn along(points: &[Point], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, (x, y)) in points.iter().enumerate() {
        if index == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
    }
    if closed {
        path.close();
    }
    path.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::drawing::{Dot, INK, Weight};

    fn picture(marks: Vec<Mark>) -> RgbImage {
        let png = write(&Drawing { width: 40, height: 20, marks }, 2.0).unwrap();
        image::load_from_memory(&png).unwrap().into_rgb8()
    }

    #[test]
    fn lines_dots_and_words_are_where_they_belong() {
        let blank = picture(vec![]);
        assert_eq!(blank.dimensions(), (80, 40));
        assert!(blank.pixels().all(|pixel| pixel.0 == [255; 3]));
        let line = vec![(0.0, 10.0), (40.0, 10.0)];
        let solid = picture(vec![Mark::Line { points: line.clone(), width: 2.0, dashed: false, colour: INK }]);
        assert!((0..80).all(|x| solid.get_pixel(x, 20).0 == INK.0) && solid.get_pixel(40, 10).0 == [255; 3]);
        let dashed = picture(vec![Mark::Line { points: line, width: 2.0, dashed: true, colour: INK }]);
        assert!(dashed.get_pixel(4, 20).0 == INK.0 && dashed.get_pixel(16, 20).0 == [255; 3]);
        for dot in [Dot::Circle, Dot::Square, Dot::Triangle] {
            let dotted = picture(vec![Mark::Dot { at: (20.0, 10.0), dot, colour: INK }]);
            assert!(dotted.get_pixel(40, 20).0 == INK.0 && dotted.get_pixel(40, 4).0 == [255; 3], "{dot:?}");
        }
        let word = |anchor| {
            let (text, weight) = ("lil".to_owned(), Weight::Medium);
            picture(vec![Mark::Text { at: (20.0, 15.0), text, size: 12.0, weight, anchor, colour: INK }])
        };
        let dark = |picture: &RgbImage, right: bool| {
            picture.enumerate_pixels().any(|(x, _, pixel)| pixel[0] < 80 && (x >= 40) == right)
        };
        let sides = |anchor| (dark(&word(anchor), false), dark(&word(anchor), true));
        assert_eq!(sides(Anchor::Start), (false, true));
        assert_eq!(sides(Anchor::Middle), (true, true));
        assert_eq!(sides(Anchor::End), (true, false));
        let photo = RgbImage::from_pixel(5, 5, image::Rgb([200, 10, 10]));
        let pasted = picture(vec![Mark::Picture { at: (10.0, 0.0), size: (20.0, 20.0), picture: photo }]);
        assert!(pasted.get_pixel(40, 20).0 == [200, 10, 10] && pasted.get_pixel(10, 20).0 == [255; 3]);
    }

    #[test]
    fn a_picture_beyond_all_bounds_is_refused() {
        assert!(write(&Drawing { width: u32::MAX, height: u32::MAX, marks: vec![] }, 2.0).is_err());
    }
}
