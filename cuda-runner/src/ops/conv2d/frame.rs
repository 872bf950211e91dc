//! Where a convolution reads: the map in a frame of zeros, so that every kernel tap is one constant offset.
//!
//! A map is copied once into rows of a common length, with zeros between the end of one row and the start of the
//! next; a stride splits it into one plane for each remainder of row and column. Then the value that tap `t` sees at
//! output `(y, x)` lies at `y * row + x + offset(t)`, for all outputs alike: convolutions and their gradients become
//! sums over shifted copies of one buffer that is never unrolled.

use rayon::prelude::*;

use super::super::{
    lanes::Lanes,
    scratch::{Pooled, Scratch},
};

/// A tap of one pass: input pixel `(y, x) * stride + (dy, dx)` times one weight of the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Index of the weight in the kernel, row-major.
    pub weight: usize,
    pub dy: isize,
    pub dx: isize,
}

/// Taps over a grid of outputs.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    /// Rows and columns of the grid.
    pub size: (usize, usize),
    /// The map's pixel that the grid's first output is.
    pub origin: (usize, usize),
    /// Distance of neighbouring outputs in the map.
    pub step: usize,
    pub taps: Vec<Tap>,
}

/// A tap that sees the map at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Index of the weight in the kernel, row-major.
    pub weight: usize,
    /// Where the tap of the first output reads, relative to the channel.
    pub offset: usize,
    /// Identifies the row of the frame that the tap reads: taps of the same row share cache lines.
    line: (usize, isize),
}

/// The layout of one framed channel.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    source: (usize, usize),
    stride: usize,
    /// Remainders of row and column whose planes are kept.
    phases: Vec<(usize, usize)>,
    /// Distance of neighbouring rows.
    pub row: usize,
    top: usize,
    left: usize,
    /// Distance of neighbouring planes.
    plane: usize,
}

/// Extent along one axis of the plane with remainder `phase`.
fn split(extent: usize, phase: usize, stride: usize) -> usize {
    extent.saturating_sub(phase).div_ceil(stride)
}

/// Whether some output of `0..outputs` sees a pixel of `0..extent`.
fn touches(offset: isize, stride: usize, outputs: usize, extent: usize) -> bool {
    let first = offset.min(0).unsigned_abs().div_ceil(stride);
    first < outputs && (first * stride) as isize + offset < extent as isize
}

/// A grid of outputs and the taps it wants: size, origin, step.
pub(super) type Wish = ((usize, usize), (usize, usize), usize, Vec<Reach>);

/// Splits grids of outputs into bands of rows that the same taps see, if that saves a good part of the products: a
/// dilation as wide as the map puts most taps outside it for most rows.
pub(super) fn banded(source: (usize, usize), stride: usize, wishes: Vec<Wish>) -> Vec<Wish> {
    wishes.into_iter().flat_map(|wish| bands(source.0, stride, wish)).collect()
}

fn bands(extent: usize, stride: usize, (size, origin, step, reaches): Wish) -> Vec<Wish> {
    // The rows for which a tap sees the map.
    let seen = |reach: &Reach| {
        let first = reach.dy.min(0).unsigned_abs().div_ceil(stride).min(size.0);
        let end = extent.saturating_add_signed(-reach.dy).div_ceil(stride).clamp(first, size.0);
        first..end
    };
    let rows: usize = reaches.iter().map(|reach| seen(reach).len()).sum();
    // Bands of few rows fill vectors badly: a fifth must be saved to be worth it.
    if 5 * rows > 4 * size.0 * reaches.len() {
        return vec![(size, origin, step, reaches)];
    }
    let mut cuts: Vec<usize> = reaches.iter().map(seen).flat_map(|rows| [rows.start, rows.end]).collect();
    cuts.extend([0, size.0]);
    cuts.sort_unstable();
    cuts.dedup();
    let band = |cut: &[usize]| {
        let (top, end) = (cut[0], cut[1]);
        let down = |reach: &Reach| Reach { dy: reach.dy + (top * stride) as isize, ..*reach };
        let reaches = reaches.iter().filter(|reach| seen(reach).contains(&top)).map(down).collect();
        ((end - top, size.1), (origin.0 + top * step, origin.1), step, reaches)
    };
    cuts.windows(2).map(band).collect()
}

impl Frame {
    /// The frame in which all of `wishes` can be read, and the passes. Outputs are `stride` source pixels apart.
    pub(super) fn new(source: (usize, usize), stride: usize, wishes: Vec<Wish>) -> (Self, Vec<Pass>) {
        let step = stride as isize;
        let (mut phases, mut top, mut left) = (Vec::new(), 0, 0);
        let (mut rows, mut row) = (split(source.0, 0, stride), 0);
        let mut kept = Vec::new();
        for (size, origin, distance, reaches) in wishes {
            let reaches: Vec<Reach> = reaches
                .into_iter()
                .filter(|r| touches(r.dy, stride, size.0, source.0) && touches(r.dx, stride, size.1, source.1))
                .collect();
            for r in &reaches {
                let phase = (r.dy.rem_euclid(step) as usize, r.dx.rem_euclid(step) as usize);
                if !phases.contains(&phase) {
                    phases.push(phase);
                }
                let (qy, qx) = (r.dy.div_euclid(step), r.dx.div_euclid(step));
                top = top.max(qy.min(0).unsigned_abs());
                left = left.max(qx.min(0).unsigned_abs());
                rows = rows.max(size.0.saturating_add_signed(qy));
                row = row.max(size.1.saturating_add_signed(qx)).max(size.1);
            }
            kept.push((size, origin, distance, reaches));
        }
        row = row.max(split(source.1, 0, stride) + left);
        let mut frame = Self { source, stride, phases, row, top, left, plane: 0 };
        let used = left + (top + rows) * row;
        frame.plane = if frame.is_plain(rows) { used } else { spread(used) };
        let passes = kept
            .into_iter()
            .map(|(size, origin, step, reaches)| Pass {
                size,
                origin,
                step,
                taps: reaches.into_iter().map(|r| frame.tap(r)).collect(),
            })
            .collect();
        (frame, passes)
    }

    fn tap(&self, reach: Reach) -> Tap {
        let step = self.stride as isize;
        let phase = (reach.dy.rem_euclid(step) as usize, reach.dx.rem_euclid(step) as usize);
        let plane = self.phases.iter().position(|&p| p == phase).unwrap_or_default();
        let (qy, qx) = (reach.dy.div_euclid(step), reach.dx.div_euclid(step));
        let row = self.top.saturating_add_signed(qy);
        let offset = plane * self.plane + row * self.row + self.left.saturating_add_signed(qx);
        Tap { weight: reach.weight, offset, line: (plane, qy) }
    }

    fn is_plain(&self, rows: usize) -> bool {
        (self.stride, self.top, self.left, self.row, rows) == (1, 0, 0, self.source.1, self.source.0)
    }

    /// Whether the frame is the map as it is, so that nothing needs copying. Reading a whole vector may then leave
    /// the map.
    pub(super) fn is_direct(&self) -> bool {
        self.is_plain(self.source.0) && self.plane == self.source.0 * self.source.1
    }

    /// Distance of neighbouring channels.
    pub(super) fn channel(&self) -> usize {
        self.plane * self.phases.len()
    }

    /// Copies `channels` maps into frames. Every element of the frames is written.
    pub(super) fn fill<T: Lanes + Pooled>(&self, maps: &[T], channels: usize) -> Scratch<T> {
        let (h, w) = self.source;
        let mut framed = Scratch::new(channels * self.channel());
        if framed.is_empty() {
            return framed;
        }
        framed.par_chunks_mut(self.plane).enumerate().for_each(|(index, plane)| {
            let map = &maps[index / self.phases.len() * h * w..][..h * w];
            let phase = self.phases[index % self.phases.len()];
            let columns = split(w, phase.1, self.stride);
            let mut end = 0;
            for (row, y) in (phase.0..h).step_by(self.stride).enumerate() {
                let start = self.left + (self.top + row) * self.row;
                plane[end..start].fill(T::zero());
                end = start + columns;
                let source = &map[y * w..][..w];
                if self.stride == 1 {
                    plane[start..end].copy_from_slice(source);
                } else {
                    let pixels = source[phase.1.min(w)..].iter().step_by(self.stride);
                    plane[start..end].iter_mut().zip(pixels).for_each(|(framed, &pixel)| *framed = pixel);
                }
            }
            plane[end..].fill(T::zero());
        });
        framed
    }
}

/// Room for a vector that starts at the last pixel, and a length that does not send the same row of every channel to
/// the same few sets of a cache.
fn spread(length: usize) -> usize {
    const SLACK: usize = 64;
    let length = (length + SLACK).next_multiple_of(16);
    if length % 512 < 32 || length % 512 > 480 { length.next_multiple_of(512) + 48 } else { length }
}

impl Pass {
    /// Distinct rows of a frame that the taps of one output row touch.
    pub(super) fn lines(&self) -> usize {
        let mut lines: Vec<_> = self.taps.iter().map(|tap| tap.line).collect();
        lines.sort_unstable();
        lines.dedup();
        lines.len()
    }

    /// Stretches of the frame that hold outputs `rows`: one that runs through the zeros between rows, or one for each
    /// row, whichever takes fewer vectors of `lanes` elements. Start of each, its length, and the distance of
    /// neighbouring output rows among the vectors laid side by side.
    pub(super) fn runs(&self, rows: std::ops::Range<usize>, row: usize, lanes: usize) -> Runs {
        let columns = self.size.1;
        let through = (rows.len().saturating_sub(1)) * row + columns;
        let single = rows.len() * columns.div_ceil(lanes);
        if row == columns || through.div_ceil(lanes) <= single {
            Runs { starts: vec![rows.start * row], length: through, pitch: row }
        } else {
            let pitch = columns.next_multiple_of(lanes);
            Runs { starts: rows.map(|y| y * row).collect(), length: columns, pitch }
        }
    }
}

/// See [`Pass::runs`].
#[derive(Clone, Debug)]
pub(super) struct Runs {
    pub starts: Vec<usize>,
    pub length: usize,
    pub pitch: usize,
}
