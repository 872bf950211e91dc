//! Measures of a result: confusion counts with what follows from them, contours, and average precision.
//!
//! All fractions lie in 0..=1. What is not defined, such as the IoU of a class that occurs nowhere, is `None` and
//! left out of means.

mod confusion;
mod contour;
mod distance;
mod ranking;

pub use confusion::Confusion;
pub use contour::{ContourMatch, ContourPair, contours};
pub use distance::{FAR, Parabola, squared_distances};
pub use ranking::average_precision;

use core::fmt;

/// What can go wrong while measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// Slices that have to be of one length, or counts that have to be `classes * classes`.
    Length {
        /// The length needed.
        expected: usize,
        /// The length given.
        given: usize,
    },
    /// A truth that is neither a class nor the ignored value.
    Truth {
        /// The value.
        value: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A prediction that is not a class.
    Prediction {
        /// The value.
        value: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A score that is not a number.
    Score {
        /// Its place.
        index: usize,
    },
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, given } => write!(f, "{given} elements where {expected} are needed"),
            Self::Truth { value, classes } => {
                write!(f, "the ground truth holds {value}, but there are {classes} classes")
            }
            Self::Prediction { value, classes } => {
                write!(f, "the prediction holds {value}, but there are {classes} classes")
            }
            Self::Score { index } => write!(f, "score {index} is not a number"),
        }
    }
}

impl core::error::Error for MetricError {}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean of the values that are defined; `None` if none is.
pub fn mean(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (total, count) = values.into_iter().flatten().fold((0.0, 0_u32), |(total, count), v| (total + v, count + 1));
    (count > 0).then(|| total / f64::from(count))
}

/// Refuses a number of pixels that makes no whole rows.
fn check_rows(pixels: usize, width: usize) -> Result<(), MetricError> {
    let whole = pixels.checked_div(width).map_or(0, |rows| rows * width);
    if whole == pixels { Ok(()) } else { Err(MetricError::Length { expected: whole, given: pixels }) }
}
