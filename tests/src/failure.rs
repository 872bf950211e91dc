//! Why a case could not be run to its end.

use std::fmt;

/// One sentence on why a case stopped: an input is missing, shapes do not match, a backend ran out of memory.
///
/// Cases are generic over backends, whose errors have nothing in common but being errors; any of them turns into
/// this one with `?`. (Which is why it is not an error itself: the conversion would overlap with the reflexive one.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure with that sentence.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The sentence.
    #[must_use]
    pub fn into_reason(self) -> String {
        self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
