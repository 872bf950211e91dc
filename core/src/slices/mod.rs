//! The method on plain slices: the arena's kernels without the arena, and the gradients with them.
//!
//! For a runtime that keeps its own memory: inputs and results are the caller's slices, in the memory order of
//! [`Shape`]; scratch memory is a slice that may be longer than needed and whose contents do not matter. Nothing is
//! copied, nothing panics, and a refused call has written nothing. The C library is a layer of pointers over this
//! module.
//!
//! # Scratch memory
//!
//! Elements, in the names of the arguments; everything else needs none:
//!
//! | call | scratch |
//! |---|---|
//! | [`class_scores_gradient`] | [`class_scores_gradient_scratch`]: `2c` |
//! | [`segmentation_loss`], [`gated_segmentation_loss`] and their gradients | [`segmentation_loss_scratch`]: `c + c w` |
//! | [`pseudo_labels`] | [`pseudo_labels_scratch`]: `c` |
//! | [`pamr`] | at least [`pamr_streamed_scratch`]: `(c + k + 2) h w + w`; faster with [`pamr_stored_scratch`] |
//!
//! # Budgets
//!
//! Scratch memory in bytes of f32 for one sample with so many rows, columns and channels, images with 3; and KiB of
//! machine code and constants that the call of the C library brings into a program at most, alone, on x86-64 and on a
//! Cortex-M4F. Tests hold the numbers.
//!
//! | call | 64 x 64 x 4 | 128 x 128 x 6 | 321 x 321 x 21 | code, KiB |
//! |---|---|---|---|---|
//! | [`classify`] | 0 | 0 | 0 | 12 |
//! | [`class_scores_gradient`] | 32 | 48 | 168 | 14 |
//! | [`soft_margin`] and its gradient | 0 | 0 | 0 | 6 |
//! | [`segmentation_loss`] and its gradient | 1040 | 3096 | 27048 | 18 |
//! | [`gated_segmentation_loss`] and its gradient | 1040 | 3096 | 27048 | 18 |
//! | [`pamr`] | 147712 | 721408 | 10717548 | 24 |
//! | [`pamr`] with stored weights | 934144 | 3867136 | 30501420 | 24 |
//! | [`pseudo_labels`] | 16 | 24 | 84 | 6 |
//! | [`drop_absent`] | 0 | 0 | 0 | 4 |
//! | [`cam_masks`] | 0 | 0 | 0 | 6 |
//! | [`stochastic_gate`] | 0 | 0 | 0 | 5 |
//! | [`deterministic_gate`] | 0 | 0 | 0 | 5 |
//! | dense_crf of a photo, allocated | 1000000 | 4000000 | 39000000 | 52 |
//! | dense_crf of noise, allocated | 2700000 | 8400000 | 81500000 | 52 |
//! | the whole C library | | | | 112 |
//!
//! The dense CRF (feature `alloc`, `crf::infer`) is the one call that allocates: how much depends on how many lattice
//! points lie near a pixel's place and colour. A photo has patches of similar colour; noise, in which no two pixels are
//! alike, is the worst that can come. It gives everything back.
//!
//! # Example
//!
//! ```
//! use wseg_core::{Pooling, Shape, slices};
//!
//! // One class over two pixels, labelled as present: a step against the gradient lowers the loss.
//! let (shape, pooling) = (Shape::new(1, 1, 1, 2), Pooling::default());
//! let loss_of = |logits: &[f32; 2]| {
//!     let (mut masks, mut scores) = ([0.0; 4], [0.0]);
//!     slices::classify(shape, logits, &pooling, &mut masks, &mut scores)?;
//!     Ok::<_, slices::SliceError>((slices::soft_margin(&scores, &[1.0])?, scores))
//! };
//! let mut logits = [0.5, -0.5];
//! let (before, scores) = loss_of(&logits)?;
//! let (mut cotangent, mut gradient, mut scratch) = ([0.0], [0.0; 2], [0.0; 2]);
//! slices::soft_margin_gradient(&scores, &[1.0], &mut cotangent)?;
//! slices::class_scores_gradient(shape, &logits, &cotangent, &pooling, &mut gradient, &mut scratch)?;
//! logits.iter_mut().zip(gradient).for_each(|(logit, slope)| *logit -= 0.1 * slope);
//! assert!(loss_of(&logits)?.0 < before);
//! # Ok::<(), slices::SliceError>(())
//! ```

mod error;
mod gate;
mod loss;
mod masks;

pub use error::SliceError;
pub use gate::{deterministic_gate, stochastic_gate};
pub use loss::{
    gated_segmentation_loss, gated_segmentation_loss_gradient, segmentation_loss, segmentation_loss_gradient,
    soft_margin, soft_margin_gradient,
};
pub use masks::{cam_masks, class_scores_gradient, classify, drop_absent, pamr, pseudo_labels};

#[allow(unused_imports)] // The documentation above speaks of it.
use crate::Shape;
pub use crate::arena::{
    Real, class_scores_gradient_scratch, pamr_stored_scratch, pamr_streamed_scratch, pseudo_labels_scratch,
    segmentation_loss_scratch,
};
