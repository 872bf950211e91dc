//! x

pub mod backbone;
pub mod dense;
pub mod error;
pub mod infer;
pub mod model;
pub mod nn;
pub mod ops;
pub mod train;

pub use error::{Error, Result};
