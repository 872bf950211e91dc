//! Shapes, axes and the error that a shape mismatch is.

use core::fmt;

/// Extents of a rank-four tensor, in memory order: batch, channels, rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Samples in the batch.
    pub n: usize,
    /// Channels: classes, features, or image planes.
    pub c: usize,
    /// Rows, in pixels.
    pub h: usize,
    /// Columns, in pixels.
    pub w: usize,
}

impl Shape {
    /// A shape from its four extents.
    #[must_use]
    pub const fn new(n: usize, c: usize, h: usize, w: usize) -> Self {
        Self { n, c, h, w }
    }

    /// The shape of a scalar, `[1, 1, 1, 1]`.
    pub const SCALAR: Self = Self::new(1, 1, 1, 1);

    /// Elements in a tensor of this shape, saturating at `usize::MAX`.
    #[must_use]
    pub const fn count(self) -> usize {
        self.n.saturating_mul(self.c).saturating_mul(self.h).saturating_mul(self.w)
    }

    /// The four extents in memory order.
    #[must_use]
    pub const fn extents(self) -> [usize; 4] {
        [self.n, self.c, self.h, self.w]
    }

    /// The same map with `c` channels.
    #[must_use]
    pub const fn with_channels(self, c: usize) -> Self {
        Self { c, ..self }
    }

    /// The same batch and channels at another map size.
    #[must_use]
    pub const fn with_size(self, h: usize, w: usize) -> Self {
        Self { h, w, ..self }
    }

    /// What remains after a reduction: the reduced extents become 1.
    #[must_use]
    pub const fn reduced(self, axes: Axes) -> Self {
        match axes {
            Axes::Batch => Self { n: 1, ..self },
            Axes::Channel => Self { c: 1, ..self },
            Axes::Spatial => Self { h: 1, w: 1, ..self },
        }
    }

    /// The common shape of two operands whose extents are equal or 1.
    ///
    /// # Errors
    /// [`ShapeError`] if an extent differs and neither side's is 1.
    pub const fn broadcast(self, rhs: Self) -> Result<Self, ShapeError> {
        const fn one(lhs: usize, rhs: usize) -> Option<usize> {
            match (lhs, rhs) {
                (l, r) if l == r => Some(l),
                (1, r) => Some(r),
                (l, 1) => Some(l),
                _ => None,
            }
        }
        match (one(self.n, rhs.n), one(self.c, rhs.c), one(self.h, rhs.h), one(self.w, rhs.w)) {
            (Some(n), Some(c), Some(h), Some(w)) => Ok(Self { n, c, h, w }),
            _ => Err(ShapeError { lhs: self, rhs }),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}, {}, {}]", self.n, self.c, self.h, self.w)
    }
}

/// The axes a reduction runs over. Reduced extents stay, as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axes {
    /// Over the samples of the batch.
    Batch,
    /// Over the channels.
    Channel,
    /// Over rows and columns together.
    Spatial,
}

/// Where the samples of a bilinear resize lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Corners {
    /// The corner pixels' centres coincide (PyTorch's `align_corners=True`).
    Aligned,
    /// The corner pixels' outer edges coincide (PyTorch's `align_corners=False`).
    HalfPixel,
}

/// Two shapes that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// The shape of the tensor the operation was called on.
    pub lhs: Shape,
    /// The other operand's shape, or the shape that was asked for.
    pub rhs: Shape,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shape {} does not go with {}", self.lhs, self.rhs)
    }
}

impl core::error::Error for ShapeError {}

/// `Ok` if `shape` is exactly `expected`.
pub(crate) fn expect(shape: Shape, expected: Shape) -> Result<(), ShapeError> {
    if shape == expected { Ok(()) } else { Err(ShapeError { lhs: shape, rhs: expected }) }
}
