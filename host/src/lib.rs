//! The command line of wseg, as a library.
//!
//! x

pub mod error;

pub use error::{Error, Result};
