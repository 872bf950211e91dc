//! What can go wrong in the runner.

use std::path::PathBuf;

use wseg_core::ShapeError;

/// An error of the runner.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Candle refused an operation or a device failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// Shapes that do not go together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A weights or checkpoint file that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A value that makes no sense: an unknown preset, a batch of zero.
    #[error("{0}")]
    Config(String),
    /// A loss is NaN or infinite.
    #[error(
        "the loss is no longer finite at step {step} (classification {}, segmentation {}){}; \
         a lower learning rate or a warm-up usually helps",
        loss_of(*classification),
        loss_of(*segmentation),
        photos_of(files)
    )]
    NotFinite {
        /// Step since the start, from 1.
        step: usize,
        /// Classification loss, if there is one.
        classification: Option<f64>,
        /// Segmentation loss, if it was on.
        segmentation: Option<f64>,
        /// The step's photos, where they are known.
        files: Vec<String>,
    },
    /// Training cannot go on, for instance because a weight is no longer finite.
    #[error("{0}")]
    Training(String),
}

/// Result with the runner's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A loss, or a dash if it was off.
fn loss_of(loss: Option<f64>) -> String {
    loss.map_or_else(|| "-".to_owned(), |loss| loss.to_string())
}

/// ", with the photos ...", if there are any.
fn photos_of(files: &[String]) -> String {
    if files.is_empty() { String::new() } else { format!(", with the photos {}", files.join(", ")) }
}

impl Error {
    /// Whether the cause is what the user gave, and not the work itself.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Config(_))
    }
}
