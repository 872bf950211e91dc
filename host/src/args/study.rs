//! The flags of `wseg study`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{figure::iterations, value::thread_count};

/// `wseg study`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct StudyArgs {
    /// Which study.
    #[command(subcommand)]
    pub study: Study,
}

/// The studies.
#[derive(Debug, Clone, Subcommand)]
pub enum Study {
    /// Mean IoU by number of PAMR iterations, with and without CRF (Table 7 of the supplement).
    #[command(after_help = PAMR_EXAMPLES)]
    Pamr(PamrStudyArgs),
    /// Mean IoU of the CAM baseline and the single-stage network by backbone, with and without CRF (Table 9).
    #[command(after_help = BACKBONES_EXAMPLES)]
    Backbones(BackbonesArgs),
}

/// How a study prints its table.
#[derive(Debug, Clone, Copy, Args)]
pub struct TableArgs {
    /// Print the table in Markdown.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Print the numbers as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `wseg study pamr`.
#[derive(Debug, Clone, Args)]
pub struct PamrStudyArgs {
    /// The checkpoint whose masks are refined, so many iterations each time.
    #[arg(long, value_name = "FILE", required_unless_present = "runs", requires = "data", value_hint = ValueHint::FilePath)]
    pub checkpoint: Option<PathBuf>,
    /// Folders of training runs with different numbers of iterations; runs with the same number are averaged.
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["checkpoint", "iterations"], value_hint = ValueHint::DirPath)]
    pub runs: Vec<PathBuf>,
    /// Data set whose validation split is predicted; it must have masks [default: each run's own].
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub data: Option<PathBuf>,
    /// Numbers of iterations; 0 is the network's own mask.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', default_value = "5,10,15", value_parser = iterations)]
    pub iterations: Vec<usize>,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// How the table is printed.
    #[command(flatten)]
    pub table: TableArgs,
}

/// `wseg study backbones`.
#[derive(Debug, Clone, Args)]
pub struct BackbonesArgs {
    /// Folders of training runs, of either model and any preset; runs of one backbone and model are averaged.
    #[arg(long, value_name = "DIR", required = true, num_args = 1.., value_hint = ValueHint::DirPath)]
    pub runs: Vec<PathBuf>,
    /// Data set whose validation split is predicted; it must have masks [default: each run's own].
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub data: Option<PathBuf>,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// How the table is printed.
    #[command(flatten)]
    pub table: TableArgs,
}

/// What `wseg study` does.
pub(super) const STUDY: &str = "\
Measure what a table of the paper's supplement measures, and print it in the supplement's form.";

const EXAMPLES: &str = "\
Examples:
  wseg study pamr --checkpoint runs/shapes/best.safetensors --data shapes
  wseg study backbones --runs runs/*";

const PAMR_EXAMPLES: &str = "\
With --checkpoint, the masks of one network are refined after prediction. The supplement trains a network for each number
of iterations instead (`wseg train --set pamr_iterations=N`), and that is what --runs compares.

Examples:
  wseg study pamr --runs runs/pamr5 runs/pamr10 runs/pamr15
  wseg study pamr --checkpoint runs/shapes/best.safetensors --data shapes --iterations 0,5,10,15
  wseg study pamr --checkpoint runs/voc/best.safetensors --data VOCdevkit/VOC2012 --markdown";

const BACKBONES_EXAMPLES: &str = "\
Each run's best checkpoint predicts with its own scales. As in the supplement, classes that a photo does not show are
left out of its mask, so that segmentation is measured and not classification.

Examples:
  wseg study backbones --runs runs/vgg16 runs/vgg16-cam runs/resnet50 runs/resnet50-cam
  wseg study backbones --runs runs/* --data VOCdevkit/VOC2012 --json";
