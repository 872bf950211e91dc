//! What a call on slices may refuse.

use core::fmt;

use crate::{Shape, ShapeError};

/// Why a call on slices did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceError {
    /// A slice whose length is not its shape's.
    Length {
        /// The shape.
        shape: Shape,
        /// The slice's length.
        given: usize,
    },
    /// A shape with an extent of 0.
    Empty(Shape),
    /// Shapes that do not go together.
    Shape(ShapeError),
    /// Too little scratch memory.
    Scratch {
        /// Elements that the call needs.
        needed: usize,
        /// Elements that it was given.
        given: usize,
    },
    /// A refinement without a dilation.
    NoDilation,
}

impl fmt::Display for SliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { shape, given } => {
                write!(f, "a slice of {given} elements does not go with shape {shape}, which has {}", shape.count())
            }
            Self::Empty(shape) => write!(f, "shape {shape} has no element"),
            Self::Shape(error) => error.fmt(f),
            Self::Scratch { needed, given } => write!(f, "{needed} elements of scratch memory needed, {given} given"),
            Self::NoDilation => write!(f, "the refinement has no dilation"),
        }
    }
}

impl core::error::Error for SliceError {}

impl From<ShapeError> for SliceError {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

/// `Ok` if a slice of `given` elements has that shape, which has no empty extent.
pub(super) fn length(shape: Shape, given: usize) -> Result<(), SliceError> {
    match shape.count() {
        0 => Err(SliceError::Empty(shape)),
        // The product may have saturated.
        count if count != given || count == usize::MAX => Err(SliceError::Length { shape, given }),
        _ => Ok(()),
    }
}

/// The first `needed` elements of the scratch memory.
pub(super) fn enough<F>(memory: &mut [F], needed: usize) -> Result<&mut [F], SliceError> {
    let given = memory.len();
    memory.get_mut(..needed).ok_or(SliceError::Scratch { needed, given })
}
