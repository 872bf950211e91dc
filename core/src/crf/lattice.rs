//! The permutohedral lattice: a Gaussian filter over features whose cost does not depend on the deviation.
//!
//! Every pixel lies in a simplex of the lattice. Its values are *splatted* onto the simplex's corners by barycentric
//! shares, the lattice is *blurred* along its axes with weights 1/2, 1, 1/2, and the pixel's result is *sliced* from the
//! same corners. Only points that some pixel lies next to exist; beyond them, values are 0.

use alloc::vec::Vec;

use super::{
    CrfError, Executor, Kernel, Rgb,
    executor::Phase,
    kernel::{Features, Positions, PositionsAndColours},
    memory::{filled, zeroed},
    phases::{Blur, Slice, Splat},
    rows::{self, Load, Unload},
    simplex::{Grid, Key, Simplex},
    table::Table,
};
use crate::arena::part::{self, at, part, rows_mut, split_mut};

/// Pixels whose simplices are found together, before their corners are numbered: some that stay in cache.
const BATCH: usize = 1 << 14;

/// Someone's share of a row of values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    /// The row: a pixel's, or a lattice point's.
    pub(super) row: u32,
    pub(super) weight: f32,
}

/// A kernel's filter for one picture: `n_i sum_j k(i, j) n_j v_j` with `n_i = (sum_j k(i, j))^(-1/2)`, the symmetric
/// normalisation. It is built once and filters any number of channels, any number of times.
#[derive(Debug)]
pub struct Lattice {
    /// Corners of a simplex, one more than there are features.
    pub(super) corners: usize,
    /// What each pixel is sliced from: `corners` shares a pixel. Row 0 of a lattice's values is always 0; point p is row p.
    pub(super) slices: Vec<Share>,
    /// What each point is splatted from: the shares of point p are `splats[starts[p - 1]..starts[p]]`, in pixel order.
    pub(super) splats: Vec<Share>,
    pub(super) starts: Vec<u32>,
    /// Rows before and after each point, axis by axis.
    pub(super) neighbours: Vec<[u32; 2]>,
}

impl Lattice {
    /// The lattice of a kernel over a picture.
    ///
    /// # Errors
    /// [`CrfError::Parameter`] for a deviation out of range, [`CrfError::TooFine`], or [`CrfError::Memory`].
    pub fn new(image: Rgb<'_>, kernel: Kernel, executor: &impl Executor) -> Result<Self, CrfError> {
        kernel.check()?;
        let count = image.count();
        match kernel {
            Kernel::Gaussian { sxy } => Self::build(&Positions { image, sxy }, count, executor),
            Kernel::Bilateral { sxy, srgb } => Self::build(&PositionsAndColours { image, sxy, srgb }, count, executor),
        }
    }

    fn build<const N: usize>(
        features: &impl Features<N>,
        pixels: usize,
        executor: &impl Executor,
    ) -> Result<Self, CrfError> {
        // Every share is counted in 32 bits.
        let shares = pixels.saturating_mul(N);
        if u32::try_from(shares).is_err() {
            return Err(CrfError::Memory { elements: shares });
        }
        let grid = Grid::new(features)?;
        let mut table = Table::new()?;
        let mut slices: Vec<Share> = zeroed(shares)?;
        let mut unfilled = rows_mut(&mut slices, N);
        // Neighbouring pixels share most corners: those of the pixel before are looked at first.
        let (mut keys, mut rows) = ([Key::MAX; N], [0; N]);
        let mut simplices = zeroed::<Simplex<N>>(BATCH.min(pixels))?;
        for start in (0..pixels).step_by(BATCH) {
            let simplices = split_mut(&mut simplices, BATCH.min(pixels - start)).0;
            executor.run(&Embed { grid, features, start }, simplices);
            for (simplex, shares) in simplices.iter().zip(&mut unfilled) {
                let corners = simplex.corners.iter().zip(&simplex.shares).zip(keys.iter_mut().zip(&mut rows));
                for (((&corner, &weight), (key, row)), share) in corners.zip(shares) {
                    if corner != *key || *row == 0 {
                        (*key, *row) = (corner, table.insert(corner)?);
                    }
                    *share = Share { row: *row, weight };
                }
            }
        }
        let points = table.keys().len();
        let mut neighbours: Vec<[u32; 2]> = zeroed(points.saturating_mul(N))?;
        executor.run(&Neighbours { grid, table: &table }, &mut neighbours);
        drop(table);
        let (starts, splats) = transposed(&slices, N, points)?;
        let mut lattice = Self { corners: N, slices, splats, starts, neighbours };
        lattice.normalise(executor)?;
        Ok(lattice)
    }

    /// Number of lattice points.
    #[must_use]
    pub fn points(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of pixels.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.slices.len() / self.corners.max(1)
    }

    /// Takes the normalisation and the lattice's gain into the shares.
    fn normalise(&mut self, executor: &impl Executor) -> Result<(), CrfError> {
        let ones: Vec<f32> = filled(self.pixels(), 1.0)?;
        // The blur's gain, with which a point's value comes back to itself: 2^d / (1 + 2^d), "alpha" in public code.
        let gain = 1.0 / (1.0 + libm::exp2f(-((self.corners - 1) as f32)));
        let mut sums = zeroed(self.pixels())?;
        let mut values = Values::new(self, 1)?;
        values.spread(self, AxisOrder::Forward, &ones, executor);
        executor.run(&Slice { lattice: self, values: values.now(), stride: 1 }, &mut sums);
        let norms = sums.iter_mut();
        norms.for_each(|sum| *sum = 1.0 / libm::sqrtf(*sum * gain + 1e-20));
        for (slices, &norm) in rows_mut(&mut self.slices, self.corners).zip(&sums) {
            slices.iter_mut().for_each(|share| share.weight *= norm * gain);
        }
        for share in &mut self.splats {
            share.weight *= at(&sums, share.row as usize);
        }
        Ok(())
    }

    /// Filters maps.
    ///
    /// # Shapes
    /// maps `[channels, pixels]` -> `[channels, pixels]`
    ///
    /// # Errors
    /// [`CrfError::Length`] if `maps` does not hold whole maps, [`CrfError::Memory`].
    pub fn filter(&self, maps: &[f32], executor: &impl Executor) -> Result<Vec<f32>, CrfError> {
        self.filter_along(AxisOrder::Forward, maps, executor)
    }

    /// Filters maps with the transposed filter, which blurs along the axes in reverse order: gradients flow through it.
    /// It is the same filter but for the lattice's border, where what the blur loses depends on the order.
    ///
    /// # Shapes
    /// maps `[channels, pixels]` -> `[channels, pixels]`
    ///
    /// # Errors
    /// As [`filter`](Self::filter).
    pub fn filter_transposed(&self, maps: &[f32], executor: &impl Executor) -> Result<Vec<f32>, CrfError> {
        self.filter_along(AxisOrder::Backward, maps, executor)
    }

    fn filter_along(&self, axes: AxisOrder, maps: &[f32], executor: &impl Executor) -> Result<Vec<f32>, CrfError> {
        let (pixels, given) = (self.pixels(), maps.len());
        let mut filtered = zeroed(given)?;
        if given == 0 {
            return Ok(filtered);
        }
        let channels = given / pixels.max(1);
        if channels * pixels != given {
            return Err(CrfError::Length { expected: (channels + 1) * pixels, given });
        }
        let stride = rows::stride(channels);
        let mut rows = zeroed(pixels.saturating_mul(stride))?;
        executor.run(&Load { maps, pixels, classes: channels, padding: 0.0, value: |value| value }, &mut rows);
        let mut values = Values::new(self, stride)?;
        values.spread(self, axes, &rows, executor);
        executor.run(&Slice { lattice: self, values: values.now(), stride }, &mut rows);
        executor.run(&Unload::new(&rows, channels), &mut rows::pieces(&mut filtered, pixels)?);
        Ok(filtered)
    }
}

/// In which order the axes are blurred.
#[derive(Clone, Copy, Debug)]
pub(super) enum AxisOrder {
    Forward,
    Backward,
}

/// Values of a lattice's points while they are blurred.
#[derive(Debug)]
pub(super) struct Values {
    stride: usize,
    now: Vec<f32>,
    next: Vec<f32>,
}

impl Values {
    /// Room for rows of `stride` channels.
    pub(super) fn new(lattice: &Lattice, stride: usize) -> Result<Self, CrfError> {
        let elements = (lattice.points() + 1).saturating_mul(stride);
        Ok(Self { stride, now: zeroed(elements)?, next: zeroed(elements)? })
    }

    /// The rows, those of points from 1 on.
    pub(super) fn now(&self) -> &[f32] {
        &self.now
    }

    /// Splats the pixels' rows onto the lattice and blurs it.
    pub(super) fn spread(&mut self, lattice: &Lattice, axes: AxisOrder, pixels: &[f32], executor: &impl Executor) {
        let stride = self.stride;
        executor.run(&Splat { lattice, pixels, stride }, split_mut(&mut self.now, stride).1);
        let points = lattice.points();
        for step in 0..lattice.corners {
            let axis = match axes {
                AxisOrder::Forward => step,
                AxisOrder::Backward => lattice.corners - 1 - step,
            };
            let neighbours = part(&lattice.neighbours, axis * points..(axis + 1) * points);
            executor.run(&Blur { neighbours, values: &self.now, stride }, split_mut(&mut self.next, stride).1);
            core::mem::swap(&mut self.now, &mut self.next);
        }
    }
}

/// The shares of pixels sorted by point: where each point's begin, and the shares.
fn transposed(slices: &[Share], corners: usize, points: usize) -> Result<(Vec<u32>, Vec<Share>), CrfError> {
    let mut starts: Vec<u32> = zeroed(points + 1)?;
    for share in slices {
        if let Some(count) = starts.get_mut(share.row as usize) {
            *count += 1;
        }
    }
    // starts[p] is now the number of shares of point p, and becomes where those of point p begin ...
    let mut total = 0;
    for start in starts.iter_mut().skip(1) {
        (*start, total) = (total, total + *start);
    }
    let mut splats: Vec<Share> = zeroed(slices.len())?;
    for (pixel, slices) in (0..).zip(part::rows(slices, corners)) {
        for share in slices {
            let Some(place) = starts.get_mut(share.row as usize) else { continue };
            if let Some(splat) = splats.get_mut(*place as usize) {
                *splat = Share { row: pixel, weight: share.weight };
            }
            *place += 1;
        }
    }
    // ... and, after they are filled in, where they end: where those of point p + 1 begin.
    Ok((starts, splats))
}

/// Pixels to simplices.
struct Embed<'a, const N: usize, F> {
    grid: Grid<N>,
    features: &'a F,
    /// The first pixel of the batch.
    start: usize,
}

impl<const N: usize, F: Features<N>> Phase for Embed<'_, N, F> {
    type Item = Simplex<N>;

    fn unit(&self) -> usize {
        1
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [Simplex<N>]) {
        for (pixel, simplex) in (self.start + first..).zip(out) {
            *simplex = self.grid.simplex(self.features.at(pixel));
        }
    }
}

/// The rows before and after each point, axis by axis; 0 where there is no point.
struct Neighbours<'a, const N: usize> {
    grid: Grid<N>,
    table: &'a Table,
}

impl<const N: usize> Phase for Neighbours<'_, N> {
    type Item = [u32; 2];

    fn unit(&self) -> usize {
        1
    }

    #[inline(always)]
    fn run(&self, first: usize, out: &mut [[u32; 2]]) {
        let keys = self.table.keys();
        for (index, neighbours) in (first..).zip(out) {
            let points = keys.len().max(1);
            let (axis, key) = (index / points, at(keys, index % points));
            let step = self.grid.step(axis);
            *neighbours = [self.table.find(key.wrapping_sub(step)), self.table.find(key.wrapping_add(step))];
        }
    }
}
