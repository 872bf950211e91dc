//! Differentiable operations on candle tensors that candle lacks, gets wrong or does slowly.
//!
//! Every operation takes rank-four tensors `[n, c, h, w]` of `f32` or `f64` (the latter for gradient checks), makes
//! its inputs contiguous, and skips the gradients of inputs that are not tracked. Results do not depend on the
//! scheduling of threads: every output element is computed by one task, in one order.
//!
//! One file an operation: the CPU implementation is the `cpu_fwd` of a candle custom operation, the gradient its
//! `bwd`. On another device an operation answers with an error that names it.

mod batch_norm;
mod binary;
mod conv2d;
mod cross_entropy;
mod depthwise;
mod dropout;
mod element;
pub(crate) mod lanes;
mod pamr;
mod pixel_cross_entropy;
mod pool;
mod pseudo;
mod resize;
mod scale_shift;
mod scratch;
mod sgd;
mod shift;
mod softmax;
mod unary;

pub use batch_norm::{BatchNorm, batch_norm_train};
pub use binary::{Binary, binary};
pub use conv2d::{Conv2d, conv2d, conv2d_affine, conv2d_affine_onto};
pub use cross_entropy::balanced_cross_entropy;
pub use depthwise::{Rectify, depthwise_conv2d};
pub use dropout::dropout;
pub use pamr::pamr_stored;
pub use pixel_cross_entropy::{IGNORED, pixel_cross_entropy, pixel_weight};
pub use pool::{global_max_pool, max_pool2d, max_pool2d_ceil};
pub use pseudo::pseudo_labels;
pub use resize::resize;
pub use scale_shift::scale_shift;
pub use sgd::{SgdStep, sgd_step};
pub use shift::{mirror, shift};
pub use softmax::{log_softmax, softmax};
pub use unary::{abs, exp, ln, powf, relu, sqrt};
