//! What a person is told when something goes wrong: one sentence, and the exit code that goes with it.

use std::path::Path;

/// An error as the command line reports it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was given cannot be used: a file, a flag, a value. Exit code 2.
    #[error("{0}")]
    Input(String),
    /// The input was fine, the work failed: a full disk, a check that does not hold. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// A signal asked for the end; the work can go on from what was saved. The exit code is the signal's.
    #[error("{0}")]
    Stopped(String, u8),
    /// The runner failed. Exit code 1.
    #[error(transparent)]
    Runner(#[from] wseg_cuda_runner::Error),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Runner(error.into())
    }
}

/// Result with the command line's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// "PATH: PROBLEM", as an input error. The problem says what is wrong and what to do.
    pub fn input(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Input(format!("{}: {problem}", path.display()))
    }

    /// "PATH: PROBLEM", as failed work.
    pub fn failed(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{}: {problem}", path.display()))
    }

    /// Names the file that an input error is about, where whoever found it did not know the file.
    #[must_use]
    pub fn of_file(self, path: &Path) -> Self {
        match self {
            Self::Input(problem) => Self::input(path, problem),
            other => other,
        }
    }

    /// The process's exit code: 2 for bad input, 1 for failed work, a signal's where one asked for the end.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Stopped(_, code) => *code,
            Self::Runner(error) if error.is_input() => 2,
            Self::Failed(_) | Self::Runner(_) => 1,
        }
    }
}
