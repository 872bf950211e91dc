//! The flags of `wseg study`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint, builder::RangedU64ValueParser};

use super::{
    BandArgs, ComputeArgs, KeyValue, SourceArgs,
    figure::iterations,
    value::{positive, thread_count},
};
use crate::report::evaluation::Digits;

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
    /// Mean IoU of CAM, single-stage, single-stage with CRF, two stages, and full supervision (Table 8).
    #[command(long_about = TWO_STAGE, after_help = TWO_STAGE_EXAMPLES)]
    TwoStage(Box<TwoStageArgs>),
}

/// How a study prints its table.
#[derive(Debug, Clone, Copy, Args)]
pub struct TableArgs {
    /// Print the table in Markdown.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Print the table as CSV, all digits.
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    pub csv: bool,
    /// Print the numbers as JSON.
    #[arg(long)]
    pub json: bool,
}

impl TableArgs {
    /// How numbers are written.
    #[must_use]
    pub const fn digits(self) -> Digits {
        if self.csv { Digits::All } else { Digits::Rounded }
    }
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

/// `wseg study two-stage`.
#[derive(Debug, Clone, Args)]
pub struct TwoStageArgs {
    /// Data set with image labels and true masks of both splits [default: synthetic photos, those of `wseg demo`].
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub data: Option<PathBuf>,
    /// What else there is to say about the data set.
    #[command(flatten)]
    pub source: SourceArgs,
    /// True masks of the training photos, NAME.png, for full supervision [default: the data set's].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub masks: Option<PathBuf>,
    /// Folder for all runs, pseudo labels and the table; what is finished in it is not done again.
    #[arg(long, value_name = "DIR", default_value = "out/two-stage", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Preset of CAM and of the single-stage network [default: small; demo for synthetic photos].
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Preset of the DeepLab [default: the one with the other preset's backbone].
    #[arg(long, value_name = "NAME")]
    pub deeplab_preset: Option<String>,
    /// Weights that every network starts from [default: random values].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    /// Epochs of the single-stage network [default: the preset's].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Epochs of CAM [default: the preset's].
    #[arg(long, value_name = "N")]
    pub cam_epochs: Option<usize>,
    /// Epochs of the DeepLab, on pseudo labels as on true masks [default: the preset's; 30 on synthetic photos].
    #[arg(long, value_name = "N")]
    pub deeplab_epochs: Option<usize>,
    /// Width and height of the crops of every training, in pixels [default: the presets'].
    #[arg(long, value_name = "PIXELS")]
    pub crop: Option<usize>,
    /// Change one value of --preset; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<KeyValue>,
    /// Change one value of --deeplab-preset; may be given several times.
    #[arg(long = "deeplab-set", value_name = "KEY=VALUE")]
    pub deeplab_set: Vec<KeyValue>,
    /// Seeds; every training is done with each of them, and the table has the means.
    #[arg(
        long, value_name = "S,S,..", value_delimiter = ',', default_value = "1",
        value_parser = RangedU64ValueParser::<u64>::new().range(..=i64::MAX as u64)
    )]
    pub seeds: Vec<u64>,
    /// Pseudo labels without the dense CRF.
    #[arg(long)]
    pub no_crf: bool,
    /// Power on the background's probability in pseudo labels; above 1 objects grow [default: the preset's].
    #[arg(long, value_name = "POWER", value_parser = positive)]
    pub background_power: Option<f64>,
    /// What pseudo labels leave undecided.
    #[command(flatten)]
    pub band: BandArgs,
    /// A few steps on a few synthetic photos: shows that everything runs, the numbers mean nothing.
    #[arg(long, conflicts_with = "data")]
    pub quick: bool,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// How the table is printed; --out has all forms.
    #[command(flatten)]
    pub table: TableArgs,
}

/// What `wseg study` does.
pub(super) const STUDY: &str = "\
Measure what a table of the paper's supplement measures, and print it in the supplement's form.";

const EXAMPLES: &str = "\
Examples:
  wseg study pamr --checkpoint runs/shapes/best.safetensors --data shapes
  wseg study backbones --runs runs/*
  wseg study two-stage";

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

const TWO_STAGE: &str = "\
Mean IoU of CAM, single-stage, single-stage with CRF, two stages, and full supervision (Table 8).

CAM and the single-stage network learn from image labels. The single-stage network makes pseudo labels of the training \
split (image labels, all views, CRF), as `wseg pseudo` does; a DeepLabv3+ learns from them, and another of the same \
settings from the true masks. Each network of the last epoch, which no true mask has chosen, predicts the validation split \
without being told what photos show. The share of the fully supervised score that image labels alone reach is printed.

The study goes on where it was stopped: the same command again does what is missing. OUT/seed-S holds the runs cam, \
single-stage, two-stage and fully-supervised, and the masks in pseudo; OUT/table.txt, .md, .csv and .json the table.";

const TWO_STAGE_EXAMPLES: &str = "\
Examples:
  wseg study two-stage
  wseg study two-stage --data mine --out out/mine --seeds 1,2,3 --markdown
  wseg study two-stage --data voc --preset squeezenet --weights squeezenet.pth --out out/voc
  wseg study two-stage --data voc --preset resnet101 --weights resnet101.pth --epochs 20 --deeplab-epochs 50 --out out/voc";
