//! The operations on a GPU, one file an operation: what to launch for a forward pass and for a gradient.
//!
//! A file has functions from [`Elements`](crate::cuda::Elements) to [`Output`](crate::cuda::Output), called by the
//! `cuda_fwd` of the operation beside it and, through [`on_device`](crate::cuda::on_device), by its `bwd`. The arithmetic
//! is that of the CPU's implementation; the tests of package `wseg-tests` hold one against the other.

pub(crate) mod random;
pub(super) mod unary;
