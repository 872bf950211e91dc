//! Data sets as people have them, and what becomes of their photos in training.
//!
//! | module | holds |
//! |---|---|
//! | [`dataset`] | a data set: classes, splits, photos, image labels |
//! | [`layout`] | how it lies on the disk: VOC, SBD, a label file, a folder for each class |
//! | [`classes`] | class names |
//! | [`labels`] | image labels: CSV, JSON lines, masks |
//! | [`folders`] | one folder of photos for each class |
//! | [`list`] | the photos of a split, one a line |
//! | [`mod@photos`] | photos to segment: files, folders, lists |
//! | [`mask`] | masks as files |
//! | [`given`] | masks to learn from |
//! | [`mat`] | MATLAB's files, in which SBD has its masks |
//! | [`share`] | photos held out to validate on |
//! | [`check`] | everything that is wrong with a data set |
//! | [`convert`] | any data set in VOC layout |
//! | [`augment`], [`loader`] | training photos, varied and in batches |

pub mod augment;
pub mod check;
pub mod classes;
pub mod convert;
pub mod dataset;
pub mod folders;
pub mod given;
pub mod labels;
pub mod layout;
pub mod list;
pub mod loader;
pub mod mask;
pub mod mat;
pub mod photos;
mod problems;
pub mod share;
mod text;

pub use classes::{Classes, VOC_OBJECTS};
pub use dataset::{Dataset, Options, Sample};
pub use given::{GivenMask, GivenMasks};
pub use labels::{ImageLabels, LabelSource};
pub use list::read_list;
pub use photos::{Photo, photos};
pub use problems::Problems;
pub use text::{nearest, read_text, reason, require_folder};
