//! Photos at another size, to the bit as Pillow makes them: what networks were trained on, and so what they have to be
//! shown.

use crate::{Error, Result, ops::lanes::vectorised};

/// A part of a photo, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Columns to its left.
    pub left: usize,
    /// Rows above it.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Window {
    /// All of a photo of `size` (width, height).
    #[must_use]
    pub const fn all((width, height): (usize, usize)) -> Self {
        Self { left: 0, top: 0, width, height }
    }

    fn is_within(self, (width, height): (usize, usize)) -> bool {
        self.left.saturating_add(self.width) <= width && self.top.saturating_add(self.height) <= height
    }
}

/// Pixels of red, green and blue.
type Pixel = [u8; 3];

/// Bits behind the point in weights: with eight of a value and two for overshooting, 32.
const FRACTION: u32 = 22;

/// Longest side, in pixels: weights and sums stay in range.
const MAX_SIDE: usize = 1 << 16;

/// A window of a photo at the size `to`, resized with Pillow's bicubic filter: antialiased, a = -1/2, and nothing outside
/// the window is looked at. Sizes are (width, height).
///
/// As in Pillow, rows are resized first, the result is rounded to eight bits, and then columns are: what overshoots 0 or
/// 255 is cut off in between, so that the order is seen beside hard edges.
///
/// # Shapes
/// pixels `[h, w, 3]` -> `[h', w', 3]`, one after the other
///
/// # Errors
/// [`Error::Config`] if a side is 0 or above 65536, or the window leaves the photo.
pub fn bicubic(pixels: &[u8], size: (usize, usize), window: Window, to: (usize, usize)) -> Result<Vec<u8>> {
    let refuse = |problem: &str| Err(Error::Config(format!("a photo cannot be resized: {problem}")));
    let (pixels, rest) = pixels.as_chunks::<3>();
    if size.0.checked_mul(size.1) != Some(pixels.len()) || !rest.is_empty() {
        return refuse("it has not as many pixels as its size says");
    }
    if !window.is_within(size) {
        return refuse("the window leaves it");
    }
    if [window.width, window.height, to.0, to.1].iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
        return refuse("sides must have 1 to 65536 pixels");
    }
    let rows = pixels.chunks_exact(size.0).skip(window.top).take(window.height);
    let rows = rows.map(|row| &row[window.left..window.left + window.width]);
    let mut wide = Vec::with_capacity(to.0 * window.height);
    match window.width == to.0 {
        true => rows.for_each(|row| wide.extend_from_slice(row)),
        false => {
            wide.resize(to.0 * window.height, [0; 3]);
            let taps = taps(window.width, to.0);
            rows.zip(wide.chunks_exact_mut(to.0)).for_each(|(row, resized)| across(row, &taps, resized));
        }
    }
    if window.height == to.1 {
        return Ok(wide.into_flattened());
    }
    let mut resized = vec![0; 3 * to.0 * to.1];
    let mut sums = vec![0; 3 * to.0];
    for (taps, row) in taps(window.height, to.1).iter().zip(resized.chunks_exact_mut(3 * to.0)) {
        down(&wide.as_flattened()[3 * to.0 * taps.first..], &taps.weights, &mut sums, row);
    }
    Ok(resized)
}

/// What one pixel is made of: weights of the pixels from `first` on, which sum up to 1 but for their rounding.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The pixels of a row of `to`, made of the pixels of a row of `from`.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    // Made smaller, a photo is blurred so far that nothing is skipped.
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    let pixel = |index: usize| {
        let centre = (index as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        // Multiplied by the inverse, and summed from left to right, as Pillow does: the last bit of a weight hangs on it.
        let weight = |at: usize| cubic((at as f64 - centre + 0.5) * (1.0 / stretch));
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (weight / sum * f64::from(1 << FRACTION)).round() as i32;
        Taps { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(pixel).collect()
}

/// The cubic convolution kernel with a = -1/2 (Keys, 1981).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A sum of weighted values, to which half a unit was added, as a value.
#[inline(always)]
fn value_of(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

/// Half a unit, so that cutting off the fraction rounds.
const HALF: i32 = 1 << (FRACTION - 1);

vectorised! {
    /// Resizes a row.
    ['a] ['a]
    fn across(row: &'a [Pixel], taps: &'a [Taps], resized: &'a mut [Pixel]) -> () {
        for (taps, resized) in taps.iter().zip(resized) {
            let mut sums = [HALF; 3];
            for (weight, pixel) in taps.weights.iter().zip(&row[taps.first..]) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * i32::from(*value);
                }
            }
            *resized = sums.map(value_of);
        }
    }

    /// One row of the result from the rows that `wide` starts with. `sums` is scratch of a row's length.
    ['a] ['a]
    fn down(wide: &'a [u8], weights: &'a [i32], sums: &'a mut [i32], row: &'a mut [u8]) -> () {
        sums.fill(HALF);
        for (weight, values) in weights.iter().zip(wide.chunks_exact(row.len())) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += weight * i32::from(*value);
            }
        }
        for (value, sum) in row.iter_mut().zip(sums) {
            *value = value_of(*sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_resized_as_if_it_were_a_photo_of_its_own() {
        let photo: Vec<u8> = (0..3 * 20 * 16).map(|at| (at * at / 7) as u8).collect();
        let window = Window { left: 3, top: 2, width: 11, height: 9 };
        let part: Vec<u8> = (2..11).flat_map(|row| photo[3 * (20 * row + 3)..3 * (20 * row + 14)].to_vec()).collect();
        for to in [(7, 5), (11, 9), (11, 4), (30, 9), (33, 40)] {
            let cut = bicubic(&photo, (20, 16), window, to).unwrap();
            assert_eq!(cut, bicubic(&part, (11, 9), Window::all((11, 9)), to).unwrap(), "{to:?}");
        }
        assert_eq!(bicubic(&photo, (20, 16), window, (11, 9)).unwrap(), part, "nothing to resize");
    }

    #[test]
    fn a_uniform_photo_stays_uniform() {
        for value in [0, 1, 127, 254, 255] {
            let photo = vec![value; 3 * 31 * 17];
            for to in [(1, 1), (5, 40), (62, 34), (13, 17)] {
                assert!(bicubic(&photo, (31, 17), Window::all((31, 17)), to).unwrap().iter().all(|&v| v == value));
            }
        }
    }

    #[test]
    fn windows_and_sizes_that_cannot_be_are_refused() {
        let photo = [0; 3 * 4 * 4];
        let all = Window::all((4, 4));
        for (size, window, to) in [
            ((4, 4), all, (0, 3)),
            ((4, 4), all, (3, 0)),
            ((4, 4), Window { width: 0, ..all }, (3, 3)),
            ((4, 4), Window { left: 1, ..all }, (3, 3)),
            ((4, 4), Window { top: 4, ..all }, (3, 3)),
            ((5, 4), all, (3, 3)),
            ((usize::MAX, usize::MAX), all, (3, 3)),
            ((4, 4), Window { left: usize::MAX, ..all }, (3, 3)),
            ((4, 4), all, (3, MAX_SIDE + 1)),
        ] {
            assert!(bicubic(&photo, size, window, to).unwrap_err().is_input(), "{size:?} {window:?} {to:?}");
        }
    }
}
