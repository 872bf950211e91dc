//! Value noise: random numbers at the points of a grid, smoothly interpolated.

/// A random number of 0 to 1 for a grid point.
pub(super) fn at(x: i32, y: i32, seed: u32) -> f32 {
    let mut bits =
        (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77) ^ seed.wrapping_mul(0xc2b2_ae3d);
    bits = (bits ^ bits >> 15).wrapping_mul(0x2c1b_3c6d);
    bits = (bits ^ bits >> 12).wrapping_mul(0x297a_2d39);
    (bits ^ bits >> 15) as f32 / u32::MAX as f32
}

/// Smooth noise of 0 to 1 with features of size 1.
pub(super) fn smooth(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (along, down) = (ease(x - column), ease(y - row));
    let (column, row) = (column as i32, row as i32);
    let line = |row: i32| {
        let (left, right) = (at(column, row, seed), at(column + 1, row, seed));
        left + (right - left) * along
    };
    let (top, bottom) = (line(row), line(row + 1));
    top + (bottom - top) * down
}

/// Sum of `octaves` of smooth noise, each twice as fine and half as strong; 0 to 1 with mean 0.5.
pub(super) fn fractal(x: f32, y: f32, seed: u32, octaves: u32) -> f32 {
    let (mut sum, mut total, mut weight, mut frequency) = (0.0, 0.0, 1.0, 1.0);
    for octave in 0..octaves {
        sum += weight * smooth(x * frequency, y * frequency, seed.wrapping_add(octave * 7919));
        total += weight;
        weight *= 0.5;
        frequency *= 2.0;
    }
    sum / total
}
