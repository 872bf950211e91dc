//! *Single-Stage Semantic Segmentation from Image Labels* (Araslanov & Roth, CVPR 2020): every formula of the
//! method, written once, over abstract tensors.
//!
//! This page is the architecture document of the project.
//!
//! # The house
//!
//! | room | package | what lives there | knows |
//! |---|---|---|---|
//! | `core` | `wseg-core` | formulas, measures, the arena backend | nothing: no files, no threads, no allocator |
//! | `capi` | `wseg-capi` | the slices of core as a C library | core |
//! | `cuda-runner` | `wseg-cuda-runner` | the same traits on candle, with gradients; networks, training, inference | core |
//! | `host` | `wseg` | command line, data sets, pictures, reports | cuda-runner, core |
//! | `tests` | `wseg-tests` | golden cases, generic over backends, and the harness that runs them | all |
//!
//! Arrows point one way. Where would a new line live? A formula of the paper: here. A layer, an optimiser, a device
//! kernel: cuda-runner. A file format, a picture, a flag: host. A check that holds for every backend: tests.
//!
//! # Definitions, backends, kernels
//!
//! A **definition** is a free function over [`Tensor`], such as [`pooling::ngwp`]. It reads like the paper, says its
//! shapes and its equation, and runs on every backend; on one with automatic differentiation it has gradients.
//!
//! A **backend** implements [`Tensor`]: rank four, `[n, c, h, w]`, about two dozen operations. There is no
//! constructor from data, because a formula loads nothing. Two implementations exist, [`arena::ArenaTensor`] here and
//! `Dense` in cuda-runner; a third, which carries derivatives forward, checks slopes in this crate's tests.
//!
//! A **kernel** is a fast path: an override of a method of [`Kernels`], whose default is a one-line call of the
//! definition. *The definition stays callable beside its override, on the same backend.* So a test can hold one
//! against the other, and the whole question whether a fast path is right becomes: does it equal its definition, and
//! does the definition equal the golden data? Callers that want speed go through [`Kernels`]; a definition calls
//! definitions only, so that it never depends on what it defines.
//!
//! # Where each equation is
//!
//! Numbers are the supplement's. "Override" names the method of [`Kernels`].
//!
//! | equation or step | definition | override |
//! |---|---|---|
//! | softmax with background, section B.1 | [`activation::softmax`], [`activation::with_background`] | `softmax` |
//! | log-softmax of (21) | [`activation::log_softmax`] | `log_softmax` |
//! | (12) soft-margin loss | [`loss::soft_margin`] | `soft_margin` |
//! | (13) class score | [`pooling::class_scores`]; with masks [`pooling::classify`] | `classify` |
//! | (14) nGWP; its limits (17) to (20) are tests | [`pooling::ngwp`] | within `classify` |
//! | (15), (16) size-focal penalty | [`pooling::focal_penalty`] | within `classify` |
//! | (21), (23) segmentation loss | [`loss::segmentation_loss`] | `segmentation_loss` |
//! | gradients of (12), of (13) to (16), of (21) to (23), for backends without their own | [`gradient`] | on [`slices`] |
//! | (22) class weights | [`loss::class_weights`] | within `segmentation_loss` |
//! | the reference's gated loss | [`loss::gated_segmentation_loss`] | - |
//! | section E, the second stage's loss | [`loss::cross_entropy`] | - |
//! | PAMR: standard deviation, affinity, iteration | [`pamr::stdev`], [`pamr::Affinity`], [`pamr::refine`] | `pamr` |
//! | pseudo labels | [`pseudo::drop_absent`], [`pseudo::pseudo_labels`] | `pseudo_labels` |
//! | stochastic gate, training and evaluation | [`gate::stochastic_gate`], [`gate::deterministic_gate`] | - |
//! | global cue injection (GCI) | [`gate::gci`] | - |
//! | CAM normalisation | [`cam::cam_masks`] | `cam_masks` |
//! | merge of scales and flips | [`merge::restore_view`], [`merge::finish_merge`] | - |
//! | IoU, precision, recall, contours, average precision | [`metric`] | - |
//! | dense CRF, on slices rather than tensors | `crf::exact` | `crf::infer` |
//!
//! Two ways lead into other runtimes: [`slices`] is the arena's kernels on a caller's own memory, and the package
//! `wseg-capi` is a C library over it.
//!
//! [`math`] has an exponential and a logarithm that vectorise; backends and the CRF share them.
//!
//! Hyper-parameters live in small structs whose `Default` is the paper's: [`Pooling`], [`Pamr`], [`Cutoff`],
//! [`Gate`], [`Cam`].
//!
//! # Conventions
//!
//! - Reductions keep their extents as 1 and binary operations broadcast 1s, so a formula needs no reshaping.
//! - Pseudo labels are one-hot, or all zero where nothing is claimed: cross entropy needs no argmax and no ignored
//!   index, and a batch without a claim costs 0.
//! - PAMR's neighbours are streamed: a loop over offsets keeps one map, never one for each neighbour.
//! - Constants enter by [`Tensor::fill`], never as `0 * x`, which is NaN where x is infinite.
//! - Scores of +-1000, empty label sets and maps of one pixel give finite values and finite slopes.
//! - Errors carry data ([`ShapeError`], [`arena::ArenaError`]), never text; nothing panics on any input.
//!
//! # Features
//!
//! The crate is `no_std` and contains no unsafe code. Without features it allocates nothing.
//!
//! | feature | adds |
//! |---|---|
//! | `alloc` | `crf`: the dense CRF over a permutohedral lattice, which needs an allocator; its threads are the caller's |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod activation;
pub mod arena;
pub mod cam;
#[cfg(feature = "alloc")]
pub mod crf;
pub mod gate;
pub mod gradient;
pub mod loss;
pub mod math;
pub mod merge;
pub mod metric;
pub mod pamr;
pub mod pooling;
pub mod pseudo;
pub mod shape;
pub mod slices;
pub mod tensor;

pub use arena::{Arena, ArenaError, ArenaTensor};
pub use cam::Cam;
pub use gate::Gate;
pub use metric::Confusion;
pub use pamr::Pamr;
pub use pooling::{Classification, Pooling};
pub use pseudo::Cutoff;
pub use shape::{Axes, Corners, Shape, ShapeError};
pub use tensor::{Kernels, Tensor};
