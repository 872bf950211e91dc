//! Tiles: the parts of a large photo that a network sees one after the other, and how their masks are blended.

use super::Window;

/// Longest side of a view in pixels, whatever its area: what resizing allows.
const MAX_SIDE: usize = 1 << 15;

/// A part of a photo, and what its masks weigh in the whole. The weights of all tiles that cover a pixel sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// The part.
    pub window: Window,
    /// Height and width of the view of it.
    pub view: (usize, usize),
    rows: Vec<f32>,
    columns: Vec<f32>,
}

impl Tile {
    /// Multiplies a plane of the window's size with the weights.
    ///
    /// # Shapes
    /// plane `[window.height, window.width]`
    pub fn weigh(&self, plane: &mut [f32]) {
        for (row, down) in plane.chunks_exact_mut(self.window.width.max(1)).zip(&self.rows) {
            for (value, across) in row.iter_mut().zip(&self.columns) {
                *value *= down * across;
            }
        }
    }
}

/// The tiles of a photo whose view would have the height and width `view`: one of all of it where the view has no more
/// pixels than `tile * tile`; otherwise its views have sides of about `tile` and overlap by at least a quarter.
#[must_use]
pub fn tiles((height, width): (usize, usize), view: (usize, usize), tile: usize) -> Vec<Tile> {
    let whole = view.0.saturating_mul(view.1) <= tile.saturating_mul(tile) && view.0.max(view.1) <= MAX_SIDE;
    let length = |pixels: usize, seen: usize| match whole || seen <= tile {
        true => pixels,
        false => (pixels as f64 * tile as f64 / seen as f64) as usize,
    };
    let seen = |part: usize, pixels: usize, seen: usize| match part == pixels {
        true => seen,
        false => ((part as f64 * seen as f64 / pixels as f64).round() as usize).max(1),
    };
    let columns = stretches(width, length(width, view.1));
    let mut found = Vec::new();
    for (top, rows) in stretches(height, length(height, view.0)) {
        for (left, columns) in &columns {
            found.push(Tile {
                window: Window { left: *left, top, width: columns.len(), height: rows.len() },
                view: (seen(rows.len(), height, view.0), seen(columns.len(), width, view.1)),
                rows: rows.clone(),
                columns: columns.clone(),
            });
        }
    }
    found
}

/// Parts a side into stretches of `length` pixels that overlap by a quarter or more: where each starts, and the weights of
/// its pixels, which fall towards the middle of the photo and not towards its border.
fn stretches(side: usize, length: usize) -> Vec<(usize, Vec<f32>)> {
    let length = length.clamp(1, side.max(1));
    let step = length - (length / 4).max(1).min(length - 1);
    let count = 1 + (side - length).div_ceil(step);
    let start = |index: usize| if count == 1 { 0 } else { index * (side - length) / (count - 1) };
    // How far a pixel is from where its stretch ends within the photo.
    let depth = |index: usize, at: usize| {
        let left = if index == 0 { side } else { at - start(index) + 1 };
        let right = if index + 1 == count { side } else { start(index) + length - at };
        left.min(right) as f64
    };
    let mut total = vec![0.0; side];
    for index in 0..count {
        (start(index)..start(index) + length).for_each(|at| total[at] += depth(index, at));
    }
    let weights = |index| {
        let pixels = start(index)..start(index) + length;
        pixels.map(|at| (depth(index, at) / total[at]) as f32).collect()
    };
    (0..count).map(|index| (start(index), weights(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all tiles weigh together, pixel by pixel.
    fn coverage((height, width): (usize, usize), tiles: &[Tile]) -> Vec<f32> {
        let mut sum = vec![0.0; height * width];
        for tile in tiles {
            let Window { left, top, width: w, height: h } = tile.window;
            let mut plane = vec![1.0; w * h];
            tile.weigh(&mut plane);
            for (index, value) in plane.into_iter().enumerate() {
                assert!(value > 0.0);
                sum[(top + index / w) * width + left + index % w] += value;
            }
        }
        sum
    }

    #[test]
    fn tiles_cover_a_photo_with_weights_that_sum_to_one() {
        for size in [(1, 1), (1, 900), (97, 64), (200, 301), (640, 65), (500, 3)] {
            for scale in [0.5, 1.0, 1.7, 4.0] {
                let view = ((size.0 as f64 * scale).ceil() as usize, (size.1 as f64 * scale).ceil() as usize);
                let tiles = tiles(size, view, 64);
                let worst = coverage(size, &tiles).into_iter().map(|sum| (sum - 1.0).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{size:?} x {scale}: {worst}");
                for Tile { view, .. } in &tiles {
                    assert!(tiles.len() == 1 || view.0.max(view.1) <= 66, "{size:?} x {scale}: {view:?}");
                }
            }
        }
    }

    #[test]
    fn neighbours_overlap_by_a_quarter_and_the_blend_is_a_slope() {
        let tiles = tiles((64, 160), (64, 160), 64);
        let lefts: Vec<usize> = tiles.iter().map(|tile| tile.window.left).collect();
        assert_eq!(lefts, [0, 48, 96]);
        assert!(tiles.iter().all(|tile| (tile.window.height, tile.window.width, tile.window.top) == (64, 64, 0)));
        let end = &tiles[0].columns[46..];
        assert_eq!(end[..2], [1.0, 1.0], "seen by one tile only");
        assert!(end[2..].windows(2).all(|pair| (pair[0] - pair[1] - 1.0 / 17.0).abs() < 1e-6), "{end:?}");
    }

    #[test]
    fn a_view_that_is_small_enough_is_not_cut() {
        let whole = tiles((10, 6000), (10, 6000), 256);
        assert_eq!((whole.len(), whole[0].view), (1, (10, 6000)), "long, but of few pixels");
        assert_eq!(whole[0].window, Window::all((6000, 10)));
        assert!(tiles((10, 6000), (20, 12000), 256).len() > 1);
        assert!(
            tiles((1, 32768), (2, 65536), 1024).iter().all(|tile| tile.view.1 <= 1024),
            "longer than a view may be"
        );
    }
}
