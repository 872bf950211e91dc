//! A mask laid over its photo, in the colours of Pascal VOC, with outlines and a legend.

use image::{Rgb, RgbImage, imageops};

use super::text;
use crate::palette;
use crate::picture::LabelMap;

/// How much of the class colour shows.
const OPACITY: f32 = 0.55;
/// How far an outline is lightened.
const OUTLINE_LIGHT: f32 = 0.55;
/// Thickest outline, in pixels.
const MAX_OUTLINE: u32 = 12;
/// Paper and ink of everything that is added to pictures.
pub(super) const PAPER: Rgb<u8> = Rgb([250, 250, 248]);
pub(super) const INK: Rgb<u8> = Rgb([38, 40, 46]);

/// The photo with its mask and, in a strip below, a legend of the classes that occur. The picture keeps its size; only
/// where a class name needs more room is the paper wider.
#[must_use]
pub fn overlay(photo: &RgbImage, mask: &LabelMap, class_names: &[impl AsRef<str>]) -> RgbImage {
    let present = mask.present();
    let labels: Vec<u8> = (1..=u8::MAX).filter(|&label| present[usize::from(label)]).collect();
    add_legend(&blend(photo, mask), &labels, class_names)
}

/// The photo with its mask, of the photo's size and without a legend. Background shows the photo as it is, classes
/// their colour with a light outline, void white hatching. A mask of another size is scaled to the photo.
#[must_use]
pub fn blend(photo: &RgbImage, mask: &LabelMap) -> RgbImage {
    let (width, height) = photo.dimensions();
    if mask.width == 0 || mask.height == 0 || mask.labels.len() < mask.width * mask.height {
        return photo.clone();
    }
    let label_at = |x: u32, y: u32| {
        let column = x as usize * mask.width / width as usize;
        let row = y as usize * mask.height / height as usize;
        mask.labels[row * mask.width + column]
    };
    // No thicker than is seen on a screen: each pixel of it is looked for.
    let thickness = (width.min(height) / 256).clamp(1, MAX_OUTLINE);
    let on_outline = |x: u32, y: u32, label: u8| {
        let differs = |x: u32, y: u32| x < width && y < height && label_at(x, y) != label;
        (1..=thickness).any(|step| {
            differs(x + step, y)
                || differs(x, y + step)
                || differs(x.wrapping_sub(step), y)
                || differs(x, y.wrapping_sub(step))
        })
    };
    RgbImage::from_fn(width, height, |x, y| {
        let pixel = *photo.get_pixel(x, y);
        match label_at(x, y) {
            0 => pixel,
            palette::VOID => {
                let stroke = (x + y) / (2 * thickness) % 2 == 0;
                mix(pixel, [255; 3], if stroke { 0.85 } else { 0.45 })
            }
            label if on_outline(x, y, label) => mix(Rgb(palette::colour(label)), [255; 3], OUTLINE_LIGHT),
            label => mix(pixel, palette::colour(label), OPACITY),
        }
    })
}

/// The picture with a legend below: a swatch and a name for each label, in as many lines as its width needs.
#[must_use]
pub fn add_legend(picture: &RgbImage, labels: &[u8], class_names: &[impl AsRef<str>]) -> RgbImage {
    if labels.is_empty() {
        return picture.clone();
    }
    let scale = ((picture.width() + 160) / 320).clamp(1, 4);
    let (gap, swatch) = (4 * scale, text::height(scale));
    let entries: Vec<(u8, String)> = labels.iter().map(|&label| (label, name_of(label, class_names))).collect();
    let entry_width = |name: &str| swatch + gap + text::width(name, scale);
    let widest = entries.iter().map(|(_, name)| entry_width(name)).max().unwrap_or(0);
    let width = picture.width().max(widest + 2 * gap);
    // First the places, line by line, then the drawing, as the number of lines decides the height.
    let (mut x, mut line) = (gap, 0);
    let mut places = Vec::with_capacity(entries.len());
    for (_, name) in &entries {
        if x > gap && x + entry_width(name) + gap > width {
            (x, line) = (gap, line + 1);
        }
        places.push((x, picture.height() + gap + line * (swatch + gap)));
        x += entry_width(name) + 2 * gap;
    }
    let height = picture.height() + gap + (line + 1) * (swatch + gap);
    let mut page = RgbImage::from_pixel(width, height, PAPER);
    imageops::replace(&mut page, picture, i64::from((width - picture.width()) / 2), 0);
    for ((label, name), (x, y)) in entries.iter().zip(places) {
        draw_swatch(&mut page, *label, (x, y), swatch, scale);
        let drop = (swatch - text::ascent(scale)) / 2;
        text::draw(&mut page, name, (x + swatch + gap, y + drop), scale, INK);
    }
    page
}

fn name_of(label: u8, class_names: &[impl AsRef<str>]) -> String {
    match class_names.get(usize::from(label)) {
        Some(name) => name.as_ref().to_owned(),
        None if label == palette::VOID => "void".to_owned(),
        None => format!("class {label}"),
    }
}

/// A framed square in the label's colour; void is hatched, as in the picture.
fn draw_swatch(page: &mut RgbImage, label: u8, (x, y): (u32, u32), side: u32, scale: u32) {
    text::fill(page, (x, y), (side, side), INK);
    for row in scale..side - scale {
        for column in scale..side - scale {
            let colour = match label {
                palette::VOID if ((row + column) / (2 * scale)).is_multiple_of(2) => [255; 3],
                palette::VOID => [190; 3],
                label => palette::colour(label),
            };
            text::fill(page, (x + column, y + row), (1, 1), Rgb(colour));
        }
    }
}

fn mix(pixel: Rgb<u8>, colour: [u8; 3], amount: f32) -> Rgb<u8> {
    Rgb(std::array::from_fn(|c| (f32::from(pixel[c]) * (1.0 - amount) + f32::from(colour[c]) * amount).round() as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb([100; 3]))
    }

    /// The left half background, the right half `label`.
    fn halves(width: usize, height: usize, label: u8) -> LabelMap {
        let labels = (0..width * height).map(|at| if at % width < width / 2 { 0 } else { label }).collect();
        LabelMap { width, height, labels }
    }

    #[test]
    fn background_stays_and_classes_take_their_colour() {
        let blended = blend(&grey(20, 10), &halves(20, 10, 1));
        assert_eq!(blended.dimensions(), (20, 10));
        assert_eq!(blended.get_pixel(3, 5).0, [100; 3]);
        assert_eq!(blended.get_pixel(15, 5).0, [115, 45, 45]);
        assert!(blended.get_pixel(10, 5)[0] > 180, "no outline: {:?}", blended.get_pixel(10, 5));
        let void = blend(&grey(20, 10), &halves(20, 10, palette::VOID));
        assert!(void.get_pixel(15, 5)[2] > 160);
    }

    #[test]
    fn a_mask_of_another_size_is_scaled() {
        assert_eq!(
            blend(&grey(40, 20), &halves(20, 10, 1)).get_pixel(30, 10),
            blend(&grey(20, 10), &halves(20, 10, 1)).get_pixel(15, 5)
        );
    }

    #[test]
    fn the_legend_lies_below_and_names_what_occurs() {
        let photo = grey(200, 50);
        let marked = overlay(&photo, &halves(200, 50, 2), &["background", "cat", "dog"]);
        assert!(marked.width() == 200 && marked.height() > 60);
        let strip = imageops::crop_imm(&marked, 0, 50, 200, marked.height() - 50).to_image();
        let has = |colour| strip.pixels().any(|pixel| *pixel == colour);
        assert!(has(Rgb(palette::colour(2))) && has(INK) && !has(Rgb(palette::colour(1))));
        let plain = overlay(&photo, &halves(200, 50, 0), &["background"]);
        assert_eq!(plain, photo, "nothing to explain, no legend");
        // A label without a name and a picture narrower than its name are drawn as well.
        assert!(overlay(&grey(8, 8), &halves(8, 8, 9), &["background"]).width() > 40);
    }
}
