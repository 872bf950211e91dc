//! The flags of `wseg data`, and those that say where a data set is.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::data::Options;

/// What can be said about a data set beside where it is.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// The Semantic Boundaries Dataset as downloaded (dataset/cls, dataset/img), merged with Pascal VOC in --data.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub sbd: Option<PathBuf>,
    /// Share of the photos to validate on, chosen by their names, where the data set has no validation split.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub val_share: f64,
}

impl SourceArgs {
    /// The same as options of [`crate::data::Dataset::open_with`].
    #[must_use]
    pub fn options(&self) -> Options {
        Options { sbd: self.sbd.clone(), val_share: self.val_share }
    }
}

/// `wseg data`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DataArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DataCommand,
}

/// What `wseg data` does.
#[derive(Debug, Clone, Subcommand)]
pub enum DataCommand {
    /// List everything that is missing, unreadable or inconsistent, and count photos by class and split.
    #[command(long_about = CHECK, after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Write a data set in VOC layout.
    #[command(long_about = CONVERT, after_help = CONVERT_EXAMPLES)]
    Convert(ConvertArgs),
}

/// `wseg data check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Data set: a folder or a label file.
    #[arg(value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub data: PathBuf,
    /// What else there is to say about it.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `wseg data convert`.
#[derive(Debug, Clone, Args)]
pub struct ConvertArgs {
    /// Data set: a folder or a label file.
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub data: PathBuf,
    /// What else there is to say about it.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Folder to make; it must not hold anything yet.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Print what was written as JSON.
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = super::value::fraction(text)?;
    if share < 1.0 { Ok(share) } else { Err("must be less than 1: something is to be learnt from".into()) }
}

/// What `wseg data` does.
pub(super) const DATA: &str = "\
Look through a data set, or write it in VOC layout.

A data set is one of
  a folder in VOC layout (see `wseg train --help`), with --sbd merged with the Semantic Boundaries Dataset
  the Semantic Boundaries Dataset by itself
  a label file: CSV (IMAGE,LABEL;LABEL a line) or JSON lines ({\"image\": \"...\", \"labels\": [\"...\"]}),
    or a folder with labels.csv or labels.jsonl in it; photos are found from there
  a folder with a folder of photos for each class; or with such folders in train and val
Classes are those of classes.txt beside them; without it, those that occur, sorted by name.";

const EXAMPLES: &str = "\
Examples:
  wseg data check mine
  wseg data convert --data photos/labels.csv --val-share 0.1 --out mine";

const CHECK: &str = "\
List everything that is missing, unreadable or inconsistent, and count photos by class and split.

Every list, label, photo and mask is read, pixels included. The exit code is 2 if there is a problem.";

const CHECK_EXAMPLES: &str = "\
Examples:
  wseg data check mine
  wseg data check VOCdevkit/VOC2012 --sbd benchmark_RELEASE
  wseg data check photos/labels.csv --json";

const CONVERT: &str = "\
Write a data set in VOC layout: photos copied as they are, masks as palettised PNG, image labels, class names and splits \
as text. The folder is made whole or not at all; if a file cannot be used, nothing is written.";

const CONVERT_EXAMPLES: &str = "\
Examples:
  wseg data convert --data photos --out mine
  wseg data convert --data VOCdevkit/VOC2012 --sbd benchmark_RELEASE --out voc_aug";
