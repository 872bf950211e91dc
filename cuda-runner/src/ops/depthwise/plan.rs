//! Where a depthwise convolution reads: the taps of every output row, and the frame of zeros beside a map.
//!
//! A map is copied into rows with zeros between them, so that a tap is one constant offset for all columns. Rows are not
//! padded: outputs come in bands of rows that the same taps see. A stride keeps every so many sums of a row; in the
//! input gradient, where it goes the other way, the output gradients are spread with zeros between.

use std::ops::Range;

use super::super::Conv2d;

/// As many elements as the widest vector has: what is read whole is rounded up to it.
pub(super) const VECTOR: usize = 16;

/// Shapes of one channel's convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub p: Conv2d,
    pub kernel: (usize, usize),
    /// Rows and columns of the input.
    pub from: (usize, usize),
    /// Rows and columns of the output.
    pub to: (usize, usize),
}

impl Geometry {
    /// Input pixel that a tap of output 0 sees.
    fn offset(&self, tap: usize) -> isize {
        (tap * self.p.dilation) as isize - self.p.padding as isize
    }
}

/// A tap of a band.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Where the band's first output finds it in the frame.
    pub offset: usize,
    /// Index of its weight in the kernel, row-major.
    pub weight: usize,
}

/// Output rows that the same taps see.
#[derive(Clone, Debug)]
pub(super) struct Band {
    /// The first row.
    pub first: usize,
    /// Distance of neighbouring rows.
    pub step: usize,
    /// How many rows.
    pub rows: usize,
    /// Distance in the frame of what neighbouring rows read.
    pub pitch: usize,
    /// What the first row sees.
    pub taps: Vec<Tap>,
}

/// One map in its frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Rows and columns of the map.
    pub map: (usize, usize),
    /// Distance of neighbouring columns in the frame.
    pub spread: usize,
    /// Zeros before each row: a multiple of [`VECTOR`].
    pub left: usize,
    /// Distance of neighbouring rows: a multiple of [`VECTOR`].
    pub pitch: usize,
    /// Elements altogether.
    pub length: usize,
}

/// A sum over taps for every output of a map: the forward pass or the input gradient.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub frame: Frame,
    pub bands: Vec<Band>,
    /// Rows and columns of the outputs.
    pub size: (usize, usize),
    /// Distance of the sums of a row that are outputs.
    pub keep: usize,
    /// Sums of a row: up to the last that is an output.
    pub width: usize,
}

/// Output rows of one phase, and the rows of the source that they read: `stride * index + offset` with one row of the
/// kernel.
struct Phase {
    first: usize,
    step: usize,
    count: usize,
    stride: usize,
    reaches: Vec<(usize, isize)>,
}

impl Way {
    /// Outputs from inputs.
    pub(super) fn forward(g: &Geometry) -> Self {
        let reaches = |taps: usize| (0..taps).map(|tap| (tap, g.offset(tap))).collect();
        let rows = Phase { first: 0, step: 1, count: g.to.0, stride: g.p.stride, reaches: reaches(g.kernel.0) };
        Self::new((g.from, 1), (g.to, g.p.stride), &[rows], reaches(g.kernel.1), g.kernel.1)
    }

    /// Gradients of inputs from those of outputs: input row `stride * index + phase` took part in output row
    /// `index + (phase - offset) / stride` through every tap whose offset leaves that whole.
    pub(super) fn backward(g: &Geometry) -> Self {
        let stride = g.p.stride;
        let steps = |phase: usize, tap: usize| {
            let distance = phase as isize - g.offset(tap);
            (distance % stride as isize == 0).then_some((tap, distance / stride as isize))
        };
        let phases: Vec<Phase> = (0..stride.min(g.from.0))
            .map(|phase| Phase {
                first: phase,
                step: stride,
                count: (g.from.0 - phase).div_ceil(stride),
                stride: 1,
                reaches: (0..g.kernel.0).filter_map(|tap| steps(phase, tap)).collect(),
            })
            .collect();
        let columns = (0..g.kernel.1).map(|tap| (tap, -g.offset(tap))).collect();
        Self::new((g.to, stride), (g.from, 1), &phases, columns, g.kernel.1)
    }

    fn new(
        (map, spread): ((usize, usize), usize),
        (size, keep): ((usize, usize), usize),
        phases: &[Phase],
        mut columns: Vec<(usize, isize)>,
        across: usize,
    ) -> Self {
        let width = (size.1 - 1) * keep + 1;
        let framed = (map.1 - 1) * spread + 1;
        // Taps that see the map for some column.
        columns.retain(|&(_, offset)| offset < framed as isize && offset > -(width as isize));
        let reach = |side: fn(isize) -> isize| columns.iter().map(|&(_, offset)| side(offset)).max().unwrap_or(0);
        let (before, after) = (reach(|offset| -offset).max(0) as usize, reach(|offset| offset).max(0) as usize);
        let rounded = framed.next_multiple_of(VECTOR);
        // Zeros before a row are those after the row above it.
        let left = before.max((after + width).saturating_sub(rounded)).next_multiple_of(VECTOR);
        let pitch = left + rounded;
        let length = map.0 * pitch + (left + after + width.next_multiple_of(VECTOR)).saturating_sub(rounded);
        let frame = Frame { map, spread, left, pitch, length };
        let bands = phases.iter().flat_map(|phase| bands(phase, &frame, &columns, across)).collect();
        Self { frame, bands, size, keep, width }
    }
}

/// The rows of a phase, in bands.
fn bands(phase: &Phase, frame: &Frame, columns: &[(usize, isize)], across: usize) -> Vec<Band> {
    // The rows for which a row of the kernel sees the map.
    let seen = |offset: isize| -> Range<usize> {
        let first = offset.min(0).unsigned_abs().div_ceil(phase.stride).min(phase.count);
        let end = frame.map.0.saturating_add_signed(-offset).div_ceil(phase.stride).clamp(first, phase.count);
        first..end
    };
    let ranges = phase.reaches.iter().map(|&(_, offset)| seen(offset));
    let mut cuts: Vec<usize> = ranges.flat_map(|rows| [rows.start, rows.end]).chain([0, phase.count]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let band = |cut: &[usize]| {
        let (top, end) = (cut[0], cut[1]);
        let rows = phase.reaches.iter().filter(|(_, offset)| seen(*offset).contains(&top));
        let taps = rows.flat_map(|&(row, offset)| {
            let start = (top * phase.stride).saturating_add_signed(offset) * frame.pitch + frame.left;
            columns.iter().map(move |&(column, offset)| Tap {
                offset: start.saturating_add_signed(offset),
                weight: row * across + column,
            })
        });
        Band {
            first: phase.first + top * phase.step,
            step: phase.step,
            rows: end - top,
            pitch: phase.stride * frame.pitch,
            taps: taps.collect(),
        }
    };
    cuts.windows(2).map(band).collect()
}
