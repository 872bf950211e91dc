//! x
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod activation;
pub mod arena;
pub mod cam;
pub mod gate;
pub mod loss;
pub mod merge;
pub mod metric;
pub mod pamr;
pub mod pooling;
pub mod pseudo;
pub mod shape;
pub mod tensor;

pub use shape::{Axes, Corners, Shape, ShapeError};
pub use tensor::{Kernels, Tensor};
