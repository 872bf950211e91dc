//! A sheet of pictures: columns with titles, rows of pictures with captions.

use image::{Rgb, RgbImage, imageops};

use super::overlay::{INK, PAPER};
use super::text;

/// Width of a picture on the sheet, in pixels; it is scaled to this.
const CELL: u32 = 240;
/// A picture is at most so much taller than wide; beyond that it is scaled to the height.
const TALLEST: u32 = CELL * 3 / 2;
const MARGIN: u32 = 24;
const GAP: u32 = 14;
const TITLE_SCALE: u32 = 3;
const CAPTION_SCALE: u32 = 2;
const FRAME: Rgb<u8> = Rgb([205, 206, 208]);
const CAPTION_INK: Rgb<u8> = Rgb([96, 100, 108]);

/// Lays pictures out in a grid. Each is scaled to its cell with its proportions kept; captions stand below, titles above
/// the columns; texts that are too long are shortened. Rows may differ in length, and all lists may be empty.
#[must_use]
pub fn sheet(rows: &[Vec<(String, RgbImage)>], titles: &[impl AsRef<str>]) -> RgbImage {
    let columns = rows.iter().map(Vec::len).chain([titles.len()]).max().unwrap_or(0) as u32;
    let has_titles = titles.iter().any(|title| !title.as_ref().is_empty());
    let titles_height = if has_titles { text::height(TITLE_SCALE) + GAP } else { 0 };
    let scaled: Vec<Vec<(&str, RgbImage)>> = rows.iter().map(|row| row.iter().map(fitted).collect()).collect();
    let heights: Vec<(u32, u32)> = scaled.iter().map(|row| row_heights(row)).collect();
    let width = 2 * MARGIN + columns * CELL + columns.saturating_sub(1) * GAP;
    let rows_height: u32 = heights.iter().map(|(pictures, captions)| pictures + captions + GAP).sum();
    let height = 2 * MARGIN + titles_height + rows_height.saturating_sub(GAP);
    let mut page = RgbImage::from_pixel(width, height, PAPER);

    let left_of = |column: usize| MARGIN + column as u32 * (CELL + GAP);
    for (column, title) in titles.iter().enumerate() {
        centred(&mut page, title.as_ref(), left_of(column), MARGIN, TITLE_SCALE, INK);
    }
    let mut top = MARGIN + titles_height;
    for (row, (pictures, captions)) in scaled.iter().zip(heights) {
        for (column, (caption, picture)) in row.iter().enumerate() {
            let x = left_of(column) + (CELL - picture.width()) / 2;
            let y = top + (pictures - picture.height()) / 2;
            text::fill(&mut page, (x - 1, y - 1), (picture.width() + 2, picture.height() + 2), FRAME);
            imageops::replace(&mut page, picture, i64::from(x), i64::from(y));
            centred(&mut page, caption, left_of(column), top + pictures + GAP / 2, CAPTION_SCALE, CAPTION_INK);
        }
        top += pictures + captions + GAP;
    }
    page
}

/// The picture in its size on the sheet.
fn fitted((caption, picture): &(String, RgbImage)) -> (&str, RgbImage) {
    let (width, height) = (u64::from(picture.width()), u64::from(picture.height()));
    if width == 0 || height == 0 {
        return (caption, RgbImage::from_pixel(1, 1, PAPER));
    }
    let (cell, tallest) = (u64::from(CELL), u64::from(TALLEST));
    let (new_width, new_height) = match (height * cell / width).max(1) {
        scaled if scaled <= tallest => (cell, scaled),
        _ => ((width * tallest / height).max(1), tallest),
    };
    let filter = imageops::FilterType::CatmullRom;
    (caption, imageops::resize(picture, new_width as u32, new_height as u32, filter))
}

/// Height of a row's pictures, and of its captions with the space above them.
fn row_heights(row: &[(&str, RgbImage)]) -> (u32, u32) {
    let pictures = row.iter().map(|(_, picture)| picture.height()).max().unwrap_or(0);
    let captioned = row.iter().any(|(caption, _)| !caption.is_empty());
    (pictures, if captioned { GAP / 2 + text::height(CAPTION_SCALE) } else { 0 })
}

/// Draws a text in the middle of a cell, shortened to its width.
fn centred(page: &mut RgbImage, words: &str, left: u32, top: u32, scale: u32, ink: Rgb<u8>) {
    let words = text::fitted(words, scale, CELL);
    let indent = (CELL - text::width(&words, scale)) / 2;
    text::draw(page, &words, (left + indent, top), scale, ink);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(caption: &str, width: u32, height: u32) -> (String, RgbImage) {
        (caption.to_owned(), RgbImage::from_pixel(width, height, Rgb([10, 120, 10])))
    }

    #[test]
    fn pictures_of_any_shape_share_a_grid() {
        let rows = [
            vec![cell("one", 10, 10), cell("", 500, 100)],
            vec![cell("a caption much too long for a cell of this width", 3, 900)],
        ];
        let page = sheet(&rows, &["photo", "mask", "truth"]);
        assert_eq!(page.width(), 2 * MARGIN + 3 * CELL + 2 * GAP);
        let green = |x: u32, y: u32| page.get_pixel(x, y).0 == [10, 120, 10];
        let first_row = MARGIN + text::height(TITLE_SCALE) + GAP + CELL / 2;
        assert!(green(MARGIN + CELL / 2, first_row) && green(MARGIN + CELL + GAP + CELL / 2, first_row));
        assert!(!green(MARGIN + 2 * (CELL + GAP) + CELL / 2, first_row), "an empty cell stays empty");
        assert!(page.pixels().any(|pixel| *pixel == INK) && page.pixels().any(|pixel| *pixel == CAPTION_INK));
    }

    #[test]
    fn nothing_makes_an_empty_page() {
        let page = sheet(&[], &[] as &[&str]);
        assert_eq!(page.dimensions(), (2 * MARGIN, 2 * MARGIN));
        let odd = sheet(&[vec![cell("", 0, 5)], vec![]], &["only a title"]);
        assert!(odd.height() > page.height());
    }
}
