//! wseg-core on candle: the networks, the training engine and the prediction engine.
//!
//! # Rooms
//! | module | holds |
//! |---|---|
//! | [`crf`] | the dense CRF on threads |
//! | [`dense`] | [`Dense`](dense::Dense): core's `Tensor` and `Kernels` on a candle tensor, with autograd |
//! | [`device`] | the CPU or a GPU, as asked for |
//! | [`ops`] | differentiable operations candle lacks or does slowly, one file an operation |
//! | [`nn`] | layers, one file a block; parameters and their names |
//! | [`backbone`] | what looks at the photo first; a new one is one file and one line |
//! | [`model`] | the single-stage network, the CAM baseline and DeepLabv3+ behind one trait; self-supervision |
//! | [`train`] | the loop, the recipe, the optimiser, checkpoints |
//! | [`weights`] | weights from elsewhere: safetensors and what PyTorch writes |
//! | [`infer`] | views of one photo, resized as Pillow does, merged into one prediction |
//!
//! Formulas of the paper are not here: they are in `wseg-core`, and networks call them through [`Dense`](dense::Dense).
//! Files, picture formats and flags are not here either: they are in `wseg`, the command line.
//!
//! # Determinism
//! A parameter's initial value depends on the run's seed and its name; the random numbers of a step on the seed and
//! the step. No operation's result depends on how threads are scheduled. So the same seed and thread count give the
//! same checkpoint, bit for bit.

#![warn(clippy::unwrap_used)]

pub mod backbone;
pub mod crf;
pub mod dense;
pub mod device;
pub mod error;
pub mod infer;
pub mod model;
pub mod nn;
pub mod ops;
pub mod train;
pub mod weights;

pub use device::DeviceChoice;
pub use error::{Error, Result};
