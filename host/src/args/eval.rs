//! The flags of `wseg eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{
    help,
    value::{fraction, thread_count},
};

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables with aligned columns.
    #[default]
    Text,
    /// Tables in Markdown.
    Markdown,
    /// Tables as CSV, all digits; of several, an empty line parts them.
    Csv,
    /// One JSON object with everything.
    Json,
}

/// Published results to print beside one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Published {
    /// Tables 5 and 6 of the paper's supplement: Pascal VOC, validation and test.
    Paper,
}

/// `wseg eval`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::EVAL_EXAMPLES)]
pub struct EvalArgs {
    /// Folder of predicted masks, NAME.png.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub pred: PathBuf,
    /// Folder of true masks, NAME.png or NAME.mat.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present = "submission")]
    pub gt: Option<PathBuf>,
    /// The names to compare, one a line [default: every mask in --gt].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub list: Option<PathBuf>,
    /// Class names, one a line, line 1 is `background`, or `voc` for Pascal VOC's [default: classes.txt in --gt or beside it].
    #[arg(long, value_name = "FILE|voc", value_hint = ValueHint::FilePath)]
    pub classes: Option<PathBuf>,
    /// How far a contour may be off for the boundary F-score, as a share of the image's diagonal.
    #[arg(long, value_name = "SHARE", value_parser = fraction, default_value_t = 0.0075)]
    pub tolerance: f64,
    /// Measure also in bands around true borders, this many pixels wide on each side; separated by commas.
    #[arg(
        long, value_name = "PIXELS", value_delimiter = ',', requires = "gt",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub trimap: Vec<u32>,
    /// Predictions may have pixels of 255, undecided ones, as `wseg pseudo --confidence` writes them: they are ignored, too.
    #[arg(long, requires = "gt")]
    pub undecided: bool,
    /// Print which class was taken for which: pixels by true and predicted class (JSON always has them).
    #[arg(long, requires = "gt")]
    pub confusion: bool,
    /// List the N images with the lowest mean IoU.
    #[arg(long, value_name = "N", requires = "gt")]
    pub worst: Option<usize>,
    /// Print published results beside these; the classes have to be Pascal VOC's.
    #[arg(long, value_name = "WITH", value_enum, requires = "gt")]
    pub compare: Option<Published>,
    /// Write the predictions as an archive for Pascal VOC's test server (comp6); works without --gt.
    #[arg(long, value_name = "FILE.tgz", value_hint = ValueHint::FilePath)]
    pub submission: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
}

impl EvalArgs {
    /// How results are printed, by either flag.
    #[must_use]
    pub const fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}
