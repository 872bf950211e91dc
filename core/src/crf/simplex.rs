//! Where a feature vector lies in the permutohedral lattice: the corners of its simplex and its share of each.
//!
//! Adams, Baek & Davis, *Fast High-Dimensional Filtering Using the Permutohedral Lattice* (2010). A lattice point has
//! `N` integer coordinates that sum to 0 and leave one remainder modulo `N`; the last follows from the others.

use super::{CrfError, kernel::Features};
use crate::arena::part::at;

/// A lattice point as one number: its coordinates but the last, as digits in a mixed radix wide enough for the picture
/// at hand. Adding points is adding keys.
pub(super) type Key = u64;

/// The simplex around a feature vector: the key of its corner of each remainder, and the barycentric coordinates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Simplex<const N: usize> {
    pub(super) corners: [Key; N],
    pub(super) shares: [f32; N],
}

impl<const N: usize> Default for Simplex<N> {
    fn default() -> Self {
        Self { corners: [0; N], shares: [0.0; N] }
    }
}

/// How features become lattice coordinates, and lattice coordinates keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid<const N: usize> {
    /// What makes the blur of the lattice one of standard deviation 1, feature by feature.
    scale: [f32; N],
    /// The key of 1 in each coordinate.
    digit: [Key; N],
}

/// Coordinates up to here are rounded exactly, and an f32 knows them to a sixteenth.
const MOST: f64 = (1 << 20) as f64;

impl<const N: usize> Grid<N> {
    /// The grid for those features.
    ///
    /// # Errors
    /// [`CrfError::TooFine`] if keys would not be unique.
    pub(super) fn new(features: &impl Features<N>) -> Result<Self, CrfError> {
        let deviation = libm::sqrt(2.0 / 3.0) * N as f64;
        let (mut scale, mut digit) = ([0.0; N], [0; N]);
        let mut reach = [0.0; N];
        let most = features.most();
        for j in 1..N {
            let unit = deviation / libm::sqrt((j * (j + 1)) as f64);
            scale[j] = unit as f32;
            reach[j] = unit * most[j];
        }
        // The room of coordinate j: from -j times its own reach to the sum of the reaches after it. Corners and their
        // neighbours lie less than 3 N beyond.
        let margin = 6 * N as u64 + 2;
        let mut place: Key = 1;
        let mut after: f64 = reach.iter().sum();
        for j in 0..N - 1 {
            after -= reach[j];
            let width = after + j as f64 * reach[j];
            if width > MOST {
                return Err(CrfError::TooFine);
            }
            digit[j] = place;
            place = place.checked_mul(width as u64 + margin).ok_or(CrfError::TooFine)?;
        }
        if (N - 1) as f64 * reach[N - 1] > MOST {
            return Err(CrfError::TooFine);
        }
        Ok(Self { scale, digit })
    }

    /// The key of 1 in every coordinate but the last.
    #[inline(always)]
    fn ones(&self) -> Key {
        self.digit.iter().fold(0, |sum, &digit| sum.wrapping_add(digit))
    }

    /// From a point to its neighbour along `axis`; against it, to the one before.
    #[inline(always)]
    pub(super) fn step(&self, axis: usize) -> Key {
        self.ones().wrapping_sub((N as Key).wrapping_mul(at(&self.digit, axis)))
    }

    /// The simplex around `features`.
    #[inline(always)]
    pub(super) fn simplex(&self, features: [f32; N]) -> Simplex<N> {
        // y = E f, page 5 of the paper: onto the plane of coordinates that sum to 0.
        let mut y = [0.0_f32; N];
        let mut sum = 0.0;
        for j in (1..N).rev() {
            let scaled = features[j] * self.scale[j];
            y[j] = sum - j as f32 * scaled;
            sum += scaled;
        }
        y[0] = sum;

        // The nearest point of remainder 0 by rounding, and how far its coordinates are off the plane. Adding 1.5 * 2^23
        // rounds to an integer.
        const ROUND: f32 = 12_582_912.0;
        let mut nearest = [0.0_f32; N];
        let mut off = 0.0;
        for (nearest, &y) in nearest.iter_mut().zip(&y) {
            let multiple = (y * (1.0 / N as f32) + ROUND) - ROUND;
            *nearest = multiple * N as f32;
            off += multiple;
        }

        // The rank of each coordinate by how far it is above the point's: 0 is the farthest.
        let mut above = y;
        for (above, &nearest) in above.iter_mut().zip(&nearest) {
            *above -= nearest;
        }
        let mut rank = [off as i32; N];
        for i in 0..N {
            for j in i + 1..N {
                let lower = i32::from(above[i] < above[j]);
                rank[i] += lower;
                rank[j] += 1 - lower;
            }
        }
        // Back to the plane: the coordinates with the smallest or largest ranks go a step.
        let n = N as i32;
        let mut distance = [0.0_f32; N];
        let mut corner: Key = 0;
        let mut by_rank = [0_usize; N];
        for i in 0..N {
            let turn = i32::from(rank[i] < 0) - i32::from(rank[i] >= n);
            rank[i] += turn * n;
            nearest[i] += (turn * n) as f32;
            distance[i] = (y[i] - nearest[i]) * (1.0 / N as f32);
            corner = corner.wrapping_add((nearest[i] as i64).cast_unsigned().wrapping_mul(self.digit[i]));
            // Ranks are a permutation of 0..N: comparisons of numbers order them, ties by their index.
            if let Some(place) = by_rank.get_mut(rank[i].clamp(0, n - 1) as usize) {
                *place = i;
            }
        }

        // Barycentric coordinates, page 10: differences of neighbouring distances. From corner to corner, one more
        // coordinate leaves its column, the lowest first.
        let mut simplex = Simplex::default();
        let far = |rank: usize| at(&distance, at(&by_rank, rank));
        let (first, last) = (far(0), far(N - 1));
        for remainder in 0..N {
            let leaves = at(&by_rank, N - 1 - remainder);
            simplex.corners[remainder] = corner;
            simplex.shares[remainder] = match remainder {
                0 => 1.0 + last - first,
                _ => far(N - 1 - remainder) - far(N - remainder),
            };
            corner = corner.wrapping_add(self.step(leaves));
        }
        simplex
    }
}
