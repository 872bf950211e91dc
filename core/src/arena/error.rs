//! What can go wrong in an arena.

use core::fmt;

use crate::{Shape, ShapeError};

/// An error of the arena backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaError {
    /// No free run of the memory is long enough.
    Full {
        /// Elements asked for, result and scratch together.
        needed: usize,
        /// Elements in the longest free run.
        largest: usize,
    },
    /// The block table has no free place.
    Blocks {
        /// Places in the table.
        limit: usize,
    },
    /// A slice whose length is not the shape's.
    Length {
        /// The shape.
        shape: Shape,
        /// The slice's length.
        given: usize,
    },
    /// An operand lives in another arena.
    Foreign,
    /// Shapes that do not go together.
    Shape(ShapeError),
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { needed, largest } => {
                write!(f, "the arena is full: {needed} elements needed, the longest free run has {largest}")
            }
            Self::Blocks { limit } => write!(f, "the arena holds {limit} tensors already, its most"),
            Self::Length { shape, given } => {
                write!(f, "a slice of {given} elements does not go with shape {shape}, which has {}", shape.count())
            }
            Self::Foreign => write!(f, "an operand lives in another arena"),
            Self::Shape(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ArenaError {}

impl From<ShapeError> for ArenaError {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}
