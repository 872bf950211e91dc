//! The flags of `wseg report`.

use std::path::PathBuf;

use clap::{Args, ValueHint, builder::RangedU64ValueParser};

use super::value::thread_count;

/// `wseg report`.
#[derive(Debug, Clone, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArgs {
    /// Folder of a training run.
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub run: PathBuf,
    /// The page to write [default: report.html in RUN].
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Folder of predicted masks, NAME.png, to report on instead of the checkpoint's own.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "gt")]
    pub pred: Option<PathBuf>,
    /// Folder of true masks, NAME.png or NAME.mat.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "pred")]
    pub gt: Option<PathBuf>,
    /// The names to compare, one a line [default: every mask in --gt].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "pred")]
    pub list: Option<PathBuf>,
    /// Class names, one a line, line 1 is `background` [default: classes.txt in --gt or beside it].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "pred")]
    pub classes: Option<PathBuf>,
    /// Folder of the photos that --pred was made of [default: JPEGImages beside --gt].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "pred")]
    pub images: Option<PathBuf>,
    /// Data set to predict the validation split of [default: the run's].
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath, conflicts_with = "pred")]
    pub data: Option<PathBuf>,
    /// Predict nothing: report what the log says.
    #[arg(long, conflicts_with_all = ["pred", "data"])]
    pub log_only: bool,
    /// How many photos are shown.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(0..=200))]
    pub photos: usize,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print a summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `wseg report` does.
pub(super) const REPORT: &str = "\
Write a training run as one HTML page: curves, numbers by class, confusion matrix, some photos with prediction and truth, \
settings and the data's fingerprint. The page needs no other file and no network.

Without --pred, the run's best checkpoint predicts the validation split as the training's own looks did, in one view and \
without ground truth. The page says so if the data or the checkpoint are not there any more.";

const REPORT_EXAMPLES: &str = "\
Examples:
  wseg report runs/shapes
  wseg report runs/shapes --log-only --out shapes.html
  wseg report runs/shapes --pred masks --gt shapes/SegmentationClass --list shapes/ImageSets/Segmentation/val.txt";
