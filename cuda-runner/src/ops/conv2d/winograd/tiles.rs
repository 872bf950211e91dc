//! How a map is cut into tiles, and how tiles are read and written.
//!
//! A dilation of `d` makes `d x d` maps of every `d`-th pixel that know nothing of each other; tiles belong to one of
//! them. A row of tiles is the tiles of all those maps that share their rows of pixels; along it, the tiles are the
//! lanes of vectors.

use pulp::Simd;

use super::{
    super::super::{element::Element, lanes::Lanes},
    transform::{Expand, OUTPUTS, POINTS},
};

/// What stands in a table for a pixel outside the map.
const OUTSIDE: u32 = u32::MAX;

/// The tiles of one image.
#[derive(Clone, Debug)]
pub(super) struct Tiles {
    /// Rows and columns of the input.
    pub from: (usize, usize),
    /// Rows and columns of the output.
    pub to: (usize, usize),
    padding: usize,
    dilation: usize,
    /// Rows of tiles in one of the maps of every `dilation`-th pixel.
    down: usize,
    /// Rows of tiles.
    pub rows: usize,
    /// Tiles in a row.
    pub columns: usize,
}

impl Tiles {
    pub(super) fn new(from: (usize, usize), to: (usize, usize), padding: usize, dilation: usize) -> Self {
        let along = |extent: usize| extent.div_ceil(dilation).div_ceil(OUTPUTS);
        let (down, across) = (along(to.0), along(to.1));
        Self {
            from,
            to,
            padding,
            dilation,
            down,
            rows: dilation.min(to.0) * down,
            columns: dilation.min(to.1) * across,
        }
    }

    /// First row of outputs of a row of tiles; the others follow `dilation` apart.
    const fn top(&self, row: usize) -> usize {
        row / self.down + self.dilation * OUTPUTS * (row % self.down)
    }

    /// Whether a row of tiles continues the one before, on the same map of every `dilation`-th pixel.
    const fn continues(&self, row: usize) -> bool {
        !row.is_multiple_of(self.down)
    }

    /// First column of outputs of each tile of a row.
    fn lefts(&self) -> impl Iterator<Item = usize> + '_ {
        let across = self.columns / self.dilation.min(self.to.1);
        (0..self.columns).map(move |tile| tile / across + self.dilation * OUTPUTS * (tile % across))
    }

    /// The row of outputs `i` of a row of tiles.
    pub(super) fn output_row(&self, row: usize, i: usize) -> Option<usize> {
        Some(self.top(row) + self.dilation * i).filter(|&y| y < self.to.0)
    }

    fn input_row(&self, row: usize, i: usize) -> Option<usize> {
        (self.top(row) + self.dilation * i).checked_sub(self.padding).filter(|&y| y < self.from.0)
    }

    /// For each column of outputs, where it stands in `OUTPUTS` rows of `width` lanes.
    pub(super) fn written(&self, width: usize) -> Vec<u32> {
        let mut table = vec![0; self.to.1];
        for (tile, left) in self.lefts().enumerate() {
            for j in 0..OUTPUTS {
                if let Some(entry) = table.get_mut(left + self.dilation * j) {
                    *entry = (j * width + tile) as u32;
                }
            }
        }
        table
    }
}

/// Reads tiles of a kind of map and evaluates them.
pub(super) struct Reader<'a> {
    tiles: &'a Tiles,
    /// Rows and columns of the map read.
    map: (usize, usize),
    /// For each of the tile's pixels along a row and each tile, the column of the map.
    table: Vec<u32>,
    /// Lanes of a row of tiles, with those beyond the last tile.
    pub width: usize,
    row: fn(&Tiles, usize, usize) -> Option<usize>,
}

impl<'a> Reader<'a> {
    /// Reads inputs.
    pub(super) fn of_input(tiles: &'a Tiles, lanes: usize) -> Self {
        let column = |x: usize| x.checked_sub(tiles.padding).filter(|&x| x < tiles.from.1);
        Self::new(tiles, lanes, tiles.from, POINTS, column, Tiles::input_row)
    }

    /// Reads gradients of outputs.
    pub(super) fn of_gradient(tiles: &'a Tiles, lanes: usize) -> Self {
        let column = |x: usize| Some(x).filter(|&x| x < tiles.to.1);
        Self::new(tiles, lanes, tiles.to, OUTPUTS, column, Tiles::output_row)
    }

    fn new(
        tiles: &'a Tiles,
        lanes: usize,
        map: (usize, usize),
        pixels: usize,
        column: impl Fn(usize) -> Option<usize>,
        row: fn(&Tiles, usize, usize) -> Option<usize>,
    ) -> Self {
        let width = tiles.columns.next_multiple_of(lanes);
        let mut table = vec![OUTSIDE; pixels * width];
        for (j, table) in table.chunks_exact_mut(width).enumerate() {
            for (entry, left) in table.iter_mut().zip(tiles.lefts()) {
                *entry = column(left + tiles.dilation * j).map_or(OUTSIDE, |x| x as u32);
            }
        }
        Self { tiles, map, table, width, row }
    }

    /// Room for what [`Self::evaluate`] keeps from row to row.
    pub(super) fn kept<T: Element>(&self) -> Kept<T> {
        let pixels = self.table.len() / self.width;
        Kept { rows: vec![T::zero(); (POINTS * POINTS + pixels) * self.width], last: None }
    }

    /// Evaluates the row `row` of tiles of `map`: frequency `f` of tile `t` goes to `out[f * apart + t]`, and what stands
    /// up to a vector beyond the last tile is overwritten.
    ///
    /// `kept` is used for one map, whose rows come in ascending order.
    #[inline(always)]
    pub(super) fn evaluate<T: Lanes, S: Simd, E: Expand<N>, const N: usize>(
        &self,
        simd: S,
        map: &[T],
        row: usize,
        kept: &mut Kept<T>,
        out: &mut [T],
        apart: usize,
    ) {
        let (lanes, width) = (T::lanes::<S>(), self.width);
        assert!(out.len() >= (POINTS * POINTS - 1) * apart + width && self.table.len() == N * width);
        let (evaluated, spread) = kept.rows.split_at_mut(POINTS * POINTS * width);
        assert!(spread.len() >= N * width);
        // The last rows of pixels of a row of tiles may be the first of the next.
        let shared = N - OUTPUTS;
        let known = match kept.last {
            Some(last) if last + 1 == row && self.tiles.continues(row) => shared,
            _ => 0,
        };
        for i in 0..known {
            let (to, from) = evaluated.split_at_mut((i + OUTPUTS) * POINTS * width);
            to[i * POINTS * width..][..POINTS * width].copy_from_slice(&from[..POINTS * width]);
        }
        for i in known..N {
            let evaluated = &mut evaluated[i * POINTS * width..][..POINTS * width];
            let Some(y) = (self.row)(self.tiles, row, i) else {
                evaluated.fill(T::zero());
                continue;
            };
            let pixels = &map[y * self.map.1..][..self.map.1];
            for (spread, &x) in spread.iter_mut().zip(&self.table) {
                *spread = pixels.get(x as usize).copied().unwrap_or(T::zero());
            }
            for at in (0..width).step_by(lanes) {
                // SAFETY: both buffers hold rows of `width` elements, a multiple of `lanes`, and `N` or `POINTS` rows.
                unsafe {
                    let mut x = [T::splat(simd, T::zero()); N];
                    for (j, x) in x.iter_mut().enumerate() {
                        *x = T::load::<S>(spread.as_ptr().add(j * width + at));
                    }
                    for (f, value) in E::expand::<T, S>(simd, x).into_iter().enumerate() {
                        T::store::<S>(evaluated.as_mut_ptr().add(f * width + at), value);
                    }
                }
            }
        }
        kept.last = Some(row);
        for f in 0..POINTS {
            for at in (0..width).step_by(lanes) {
                // SAFETY: as above; the assertion above covers `out`.
                unsafe {
                    let mut x = [T::splat(simd, T::zero()); N];
                    for (i, x) in x.iter_mut().enumerate() {
                        *x = T::load::<S>(evaluated.as_ptr().add((i * POINTS + f) * width + at));
                    }
                    for (g, value) in E::expand::<T, S>(simd, x).into_iter().enumerate() {
                        T::store::<S>(out.as_mut_ptr().add((g * POINTS + f) * apart + at), value);
                    }
                }
            }
        }
    }
}

/// Rows of pixels evaluated along the row, and room for one row of pixels spread out. It is small, and there are many:
/// the pool is for large buffers.
pub(super) struct Kept<T> {
    rows: Vec<T>,
    last: Option<usize>,
}

impl<T> Kept<T> {
    /// Forgets the rows: another map follows.
    pub(super) const fn restart(&mut self) {
        self.last = None;
    }
}
