//! The command line of wseg, as a library.
//!
//! x

pub mod error;
pub mod files;
pub mod palette;
pub mod picture;
pub mod synth;

pub use error::{Error, Result};
