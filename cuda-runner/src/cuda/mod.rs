//! The GPU: what the operations' CUDA implementations share.
//!
//! | module | holds |
//! |---|---|
//! | [`modules`] | the kernels of `ops/kernels/*.cu`, as PTX, one constant a file |
//! | [`memory`] | the elements of tensors in device memory, and memory for results |
//! | [`launch`] | running a kernel on them |
//! | [`machine`] | the GPU as what runs the launches of `ops::kernels` |
//! | [`cudnn`] | convolutions |
//! | [`libraries`] | whether there is a GPU to be used |
//! | [`upload`] | copies to the GPU while it computes |
//! | [`pool`] | memory that is kept, and its peak |
//! | [`math`] | whether TF32 may stand for `f32` |
//!
//! # How an operation gets to the GPU
//! Its kernels are `ops/kernels/NAME.cu`: `extern "C"` functions whose names end in the element type (`relu_f32`,
//! `relu_f64`, `relu_bf16`). Its launches are `ops/kernels/NAME.rs`, for any machine, a GPU or the tests' emulation of
//! one: `cuda_fwd` of the custom operation calls them with storage, `bwd` with tensors (through
//! [`on_device`](memory::on_device)), and [`Gpu`](machine::Gpu) as the machine. Convolutions are the exception: they
//! are cuDNN's.
//!
//! Everything runs on one stream, in the order in which it is asked for, so a tensor may be dropped as soon as the
//! kernels that read it are launched: its memory is given back behind them in the same order.

pub(crate) mod cudnn;
pub(crate) mod launch;
pub(crate) mod libraries;
pub(crate) mod machine;
pub(crate) mod math;
pub(crate) mod memory;
pub(crate) mod modules;
pub(crate) mod pool;
pub(crate) mod upload;

pub(crate) use launch::{Grid, arguments, launch, typed};
pub(crate) use machine::{Gpu, Memory};
pub(crate) use memory::{Elements, Output, on_device};
