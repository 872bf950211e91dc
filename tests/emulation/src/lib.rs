//! A GPU that is none: the kernels of `wseg-cuda-runner`, compiled as C++, run on the CPU over their whole grid of
//! threads, one after the other.
//!
//! Every access is checked: that it is inside its memory, that what is read has been written, and that no two threads get
//! in each other's way, whatever the order in which they run. Blocks, and threads between barriers, run in an order that
//! a seed shuffles: where a result depends on it, a kernel is wrong.

#![cfg_attr(not(emulated), allow(unused))]

#[cfg(emulated)]
mod machine;

#[cfg(emulated)]
pub use machine::{Emulated, Memory};

/// Whether there is an emulation: a C++17 compiler was found when this was built.
pub const COMPILED: bool = cfg!(emulated);
