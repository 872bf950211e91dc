//! The command line of wseg, as a library: data sets, pictures, metrics, reports.
//!
//! # Rooms
//! | module | holds |
//! |---|---|
//! | [`adopt`] | networks with weights from elsewhere |
//! | [`args`] | the command line, as clap reads it |
//! | [`command`] | the commands, one file each |
//! | [`console`] | the one place that prints |
//! | [`data`] | data sets as people have them, augmentation, the loader |
//! | [`picture`] | photos and masks as files |
//! | [`palette`] | the Pascal VOC colours |
//! | [`files`] | atomic writes |
//! | [`synth`] | the synthetic data set |
//! | [`settings`] | presets and `--set` |
//! | [`training`] | a training run in a folder |
//! | [`validation`] | a look at the validation split |
//! | [`log`] | what a run writes about itself, for people, programs and TensorBoard |
//! | [`plot`] | the curves of runs as pictures |
//! | [`predictor`] | a trained network applied to photos |
//! | [`metrics`] | masks and image scores compared with the truth |
//! | [`refine`] | masks from anywhere, drawn to the edges of their photos |
//! | [`report`] | tables, overlays, picture sheets, pages |
//! | `markup`, `npy` | what HTML and SVG, and NumPy's files, have in common wherever they are written |
//! | [`workload`] | what is measured when speed is |
//! | [`error`] | what a person is told when something goes wrong |
//!
//! Formulas are in `wseg-core`, layers and loops in `wseg-cuda-runner`.

#![warn(clippy::unwrap_used)]

pub mod adopt;
pub mod args;
pub mod command;
pub mod console;
pub mod data;
pub mod error;
pub mod files;
pub mod log;
mod markup;
pub mod metrics;
mod npy;
pub mod palette;
pub mod picture;
pub mod plot;
pub mod predictor;
pub mod refine;
pub mod report;
pub mod settings;
pub mod synth;
pub mod training;
pub mod validation;
pub mod workload;

pub use error::{Error, Result};
