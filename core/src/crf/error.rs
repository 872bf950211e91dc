//! What can go wrong in a dense CRF.

use core::fmt;

/// An error of the dense CRF.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CrfError {
    /// A slice whose length does not go with the picture's size and the number of classes.
    Length {
        /// The length needed.
        expected: usize,
        /// The length given.
        given: usize,
    },
    /// A probability or value that is NaN or infinite.
    NotFinite {
        /// Its place in the slice.
        index: usize,
    },
    /// A parameter out of its range.
    Parameter {
        /// Which one.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The smallest value allowed.
        least: f64,
        /// The largest value allowed.
        most: f64,
    },
    /// A picture so large, beside deviations so small, that lattice points cannot be told apart.
    TooFine,
    /// More pixels than can be counted in 32 bits, or memory that cannot be had.
    Memory {
        /// Elements asked for.
        elements: usize,
    },
}

impl fmt::Display for CrfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, given } => write!(f, "{given} elements where {expected} are needed"),
            Self::NotFinite { index } => write!(f, "element {index} is not a finite number"),
            Self::Parameter { name, value, least, most } => {
                write!(f, "{name} is {value}, but must be between {least} and {most}")
            }
            Self::TooFine => write!(f, "the deviations of the kernels are too small for a picture of this size"),
            Self::Memory { elements } => write!(f, "there is no memory for {elements} elements"),
        }
    }
}

impl core::error::Error for CrfError {}
