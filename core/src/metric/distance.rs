//! The exact Euclidean distance transform: how far every pixel is from the nearest marked one.

use super::MetricError;

/// The distance of a pixel that has no marked one within reach.
pub const FAR: u32 = u32::MAX;

/// Scratch memory of [`squared_distances`]: `(x - site)^2 + height^2`, which is the smallest from x = `from` on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parabola {
    site: u32,
    height: u32,
    from: u32,
}

impl Parabola {
    fn at(&self, x: u32) -> i64 {
        let (along, height) = (i64::from(x) - i64::from(self.site), i64::from(self.height));
        along * along + height * height
    }

    /// The first x, counted from 0, where `other`, which lies to the right, is below this one; may be anywhere.
    fn meets(&self, other: &Self) -> i64 {
        let lift = |parabola: &Self| {
            let (site, height) = (i64::from(parabola.site), i64::from(parabola.height));
            site * site + height * height
        };
        (lift(other) - lift(self)).div_euclid(2 * (i64::from(other.site) - i64::from(self.site))) + 1
    }
}

/// Squared distance in pixels of every pixel to the nearest one that `marked` says yes to, up to `limit`; beyond it,
/// [`FAR`]. `out` holds whole rows of `width` pixels, which is also the length of `envelope`. Time is linear in the
/// pixels, whatever is marked.
///
/// # Errors
/// [`MetricError::Length`] if `out` is not of whole rows, or `envelope` not as long as one.
///
/// # Reference
/// Meijster, Roerdink & Hesselink, *A general algorithm for computing distance transforms in linear time*, 2000.
pub fn squared_distances(
    marked: impl Fn(usize) -> bool,
    width: usize,
    limit: u32,
    out: &mut [u32],
    envelope: &mut [Parabola],
) -> Result<(), MetricError> {
    super::check_rows(out.len(), width)?;
    if envelope.len() != width {
        return Err(MetricError::Length { expected: width, given: envelope.len() });
    }
    if out.is_empty() {
        return Ok(());
    }
    // Along columns: distance to the nearest mark above, then below; what is out of reach stays at `beyond`.
    let beyond = limit.isqrt() + 1;
    for (index, place) in out.iter_mut().enumerate() {
        *place = if marked(index) { 0 } else { beyond };
    }
    let closer = |row: &mut [u32], beside: &[u32]| {
        row.iter_mut().zip(beside).for_each(|(place, beside)| *place = (*place).min(beside + 1));
    };
    let height = out.len() / width;
    for y in 1..height {
        let (above, rest) = out.split_at_mut(y * width);
        closer(&mut rest[..width], &above[(y - 1) * width..]);
    }
    for y in (1..height).rev() {
        let (above, rest) = out.split_at_mut(y * width);
        closer(&mut above[(y - 1) * width..], &rest[..width]);
    }
    // Along rows: the lowest of the parabolas that stand on the columns.
    for row in out.chunks_exact_mut(width) {
        let count = lower_envelope(row, beyond, envelope);
        row[..envelope[..count].first().map_or(width, |first| first.from as usize)].fill(FAR);
        for index in 0..count {
            let parabola = envelope[index];
            let end = envelope[..count].get(index + 1).map_or(width as u32, |next| next.from);
            for x in parabola.from..end {
                let distance = parabola.at(x);
                row[x as usize] = if distance <= i64::from(limit) { distance as u32 } else { FAR };
            }
        }
    }
    Ok(())
}

/// Fills `envelope` with the parabolas that are lowest somewhere in the row, from the left; returns their number.
fn lower_envelope(row: &[u32], beyond: u32, envelope: &mut [Parabola]) -> usize {
    let width = row.len() as i64;
    let mut count = 0;
    for (x, &height) in row.iter().enumerate() {
        if height >= beyond {
            continue;
        }
        let mut new = Parabola { site: x as u32, height, from: 0 };
        while count > 0 && envelope[count - 1].at(envelope[count - 1].from) > new.at(envelope[count - 1].from) {
            count -= 1;
        }
        if count > 0 {
            let from = envelope[count - 1].meets(&new);
            if from >= width {
                continue;
            }
            // Not negative: at its own start the older one is not above.
            new.from = from as u32;
        }
        envelope[count] = new;
        count += 1;
    }
    count
}
