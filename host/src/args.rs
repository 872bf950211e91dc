//! The command line, as clap reads it. One struct a command; what the flags mean is checked by the command itself.

mod bench;
mod data;
mod eval;
mod figure;
mod help;
mod plot;
mod predict;
mod refine;
mod report;
mod study;
mod value;

pub use bench::{BenchArgs, Work};
pub use data::{CheckArgs, ConvertArgs, DataArgs, DataCommand, SourceArgs};
pub use eval::{EvalArgs, Format, Published};
pub use figure::{Figure, FigureArgs, LossArgs, PamrFigureArgs};
pub use plot::PlotArgs;
pub use predict::{Artifact, PredictArgs, Shard};
pub use refine::{CrfArgs, MaskFormat, RefineArgs, RefineMethod};
pub use report::ReportArgs;
pub use study::{BackbonesArgs, PamrStudyArgs, Study, StudyArgs, TableArgs};
pub use value::KeyValue;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint, builder::RangedU64ValueParser};

use crate::synth::Synth;
use value::thread_count;

/// Semantic segmentation from image-level labels.
#[derive(Debug, Parser)]
#[command(
    name = "wseg",
    version,
    about = "Segment photos, learning from nothing but which classes each photo shows.",
    long_about = "Segment photos, learning from nothing but which classes each photo shows.\n\n\
        Single-Stage Semantic Segmentation from Image Labels (Araslanov & Roth, CVPR 2020): one network, \
        one training, no pixel ever annotated.",
    after_help = "Start with:\n  wseg demo\n\nExit codes: 0 done, 1 the work or a check failed, 2 the input cannot be used.",
    max_term_width = 110
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// No progress and no remarks: results and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Colours in the output; `auto` means on a terminal, unless NO_COLOR is set.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: ColorWhen,
}

/// When to colour the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a synthetic data set with exact masks, in VOC layout.
    Synth(SynthArgs),
    /// Look through a data set, or write it in VOC layout.
    #[command(long_about = data::DATA)]
    Data(DataArgs),
    /// Train a network from image labels, or from masks.
    #[command(long_about = help::TRAIN)]
    Train(TrainArgs),
    /// Convert weights from PyTorch's files to safetensors.
    #[command(long_about = help::IMPORT)]
    Import(ImportArgs),
    /// Segment photos with a trained network.
    #[command(long_about = help::PREDICT)]
    Predict(Box<PredictArgs>),
    /// Draw masks from anywhere to the edges of their photos: PAMR, the dense CRF, or both.
    #[command(long_about = help::REFINE)]
    Refine(Box<RefineArgs>),
    /// Compare predicted masks with true ones: IoU, precision, recall, boundaries.
    #[command(long_about = help::EVAL)]
    Eval(EvalArgs),
    /// Draw the curves of training runs as SVG and PNG.
    #[command(long_about = help::PLOT)]
    Plot(PlotArgs),
    /// Draw a figure of the paper's supplement as SVG and PNG: the loss, or masks at PAMR's iterations.
    #[command(long_about = figure::FIGURE)]
    Figure(FigureArgs),
    /// Measure a table of the paper's supplement: PAMR's iterations, or backbones, with and without CRF.
    #[command(long_about = study::STUDY)]
    Study(StudyArgs),
    /// Write a training run as one HTML page: curves, numbers, confusion matrix, photos, settings.
    #[command(long_about = report::REPORT)]
    Report(Box<ReportArgs>),
    /// Run golden files through the backends and compare the numbers.
    #[command(long_about = help::VERIFY)]
    Verify(VerifyArgs),
    /// List the presets that training starts from, or print one.
    Presets(PresetsArgs),
    /// Show what a network or a weights file is made of.
    #[command(long_about = help::INSPECT)]
    Inspect(InspectArgs),
    /// Measure how fast this machine trains, predicts and refines.
    #[command(long_about = help::BENCH)]
    Bench(BenchArgs),
    /// Make data, train the baseline and the method, compare them, and leave a picture sheet.
    #[command(long_about = help::DEMO)]
    Demo(DemoArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// `wseg synth`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::SYNTH_EXAMPLES)]
pub struct SynthArgs {
    /// Folder to make; a set of the same numbers that is there already is kept.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Photos of the training split.
    #[arg(long, value_name = "N", default_value_t = Synth::default().images)]
    pub images: usize,
    /// Photos of the validation split.
    #[arg(long, value_name = "N", default_value_t = Synth::default().val)]
    pub val: usize,
    /// Kinds of objects, without the background.
    #[arg(long, value_name = "K", default_value_t = Synth::default().classes)]
    pub classes: usize,
    /// Width and height of a photo in pixels.
    #[arg(long, value_name = "S", default_value_t = Synth::default().size)]
    pub size: usize,
    /// Seed: the same seed makes the same files.
    #[arg(long, value_name = "S", default_value_t = Synth::default().seed)]
    pub seed: u64,
}

/// Which network is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ModelKind {
    /// The paper's network: segments while it learns to classify.
    #[default]
    SingleStage,
    /// The baseline: class activation maps of a classifier.
    Cam,
    /// DeepLabv3+, which learns from masks: `wseg pseudo`'s, or true ones.
    #[value(name = "deeplab")]
    DeepLab,
}

impl ModelKind {
    /// As the runner calls it.
    #[must_use]
    pub const fn runner(self) -> wseg_cuda_runner::model::ModelKind {
        use wseg_cuda_runner::model::ModelKind as Runner;
        match self {
            Self::SingleStage => Runner::SingleStage,
            Self::Cam => Runner::Cam,
            Self::DeepLab => Runner::DeepLab,
        }
    }
}

/// `wseg train`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::TRAIN_EXAMPLES)]
pub struct TrainArgs {
    /// Data set: a folder in VOC layout (see below), a label file, or a folder of photos for each class.
    #[arg(
        long,
        value_name = "DIR|FILE",
        value_hint = ValueHint::AnyPath,
        required_unless_present_any = ["config", "resume"]
    )]
    pub data: Option<PathBuf>,
    /// What else there is to say about the data set.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Network and recipe to start from: `wseg presets` lists them [default: the --config file's, or small].
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Settings that change the preset, in TOML; the run.toml of an earlier run repeats it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Folder for checkpoints and logs; it must not hold anything yet.
    #[arg(long, value_name = "RUN", value_hint = ValueHint::DirPath, required_unless_present = "resume")]
    pub out: Option<PathBuf>,
    /// Go on with the run in this folder from where it was saved last, as if it had never stopped.
    #[arg(
        long,
        value_name = "RUN",
        value_hint = ValueHint::DirPath,
        conflicts_with_all = [
            "preset", "config", "out", "model", "weights", "epochs", "batch", "crop", "lr", "seed", "set", "overwrite",
        ]
    )]
    pub resume: Option<PathBuf>,
    /// Which network is trained [default: the preset's: single-stage, or deeplab].
    #[arg(long, value_name = "MODEL", value_enum)]
    pub model: Option<ModelKind>,
    /// Masks that a deeplab learns from: NAME.png for each training photo, classes from a palette or in grey, 255 is ignored.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub masks: Option<PathBuf>,
    /// Weights to start from: safetensors, a PyTorch file, or a checkpoint [default: random values].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    /// Passes over the training split [default: the preset's].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Photos in a batch; a step has `recipe.accumulate` batches, 1 by default [default: the preset's].
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Width and height of the crops a step sees, in pixels [default: the preset's].
    #[arg(long, value_name = "PIXELS")]
    pub crop: Option<usize>,
    /// Base learning rate [default: the preset's].
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Seed: the same seed and number of threads give the same checkpoint, bit for bit [default: the preset's, 1].
    #[arg(long, value_name = "S", value_parser = RangedU64ValueParser::<u64>::new().range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Threads that read and vary photos [default: one for four cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub workers: Option<usize>,
    /// Train without the photos that cannot be read, instead of refusing to start.
    #[arg(long)]
    pub skip_bad: bool,
    /// Change one value of the preset and --config; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<KeyValue>,
    /// Print the progress as JSON, one object a line.
    #[arg(long)]
    pub json: bool,
    /// Replace a run that is in the folder already.
    #[arg(long)]
    pub overwrite: bool,
}

/// `wseg import`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// Weights: a PyTorch file (.pth, .pt) or safetensors.
    #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// Safetensors file to write.
    #[arg(value_name = "OUT.safetensors", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Floating-point numbers as f16, which take half the space [default: as they are].
    #[arg(long, conflicts_with = "single")]
    pub half: bool,
    /// Floating-point numbers as f32 [default: as they are].
    #[arg(long)]
    pub single: bool,
    /// Write a checkpoint that `predict` takes like its own: the weights are those of this preset's network.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["half", "single"])]
    pub preset: Option<String>,
    /// Names of the checkpoint's classes, one a line, line 1 is `background` [default: Pascal VOC's].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "preset")]
    pub classes: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The backends that `verify` runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BackendChoice {
    /// The core's own, in f32 and f64.
    Arena,
    /// Candle on the CPU.
    Candle,
    /// Each of them.
    #[default]
    All,
}

/// `wseg verify`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::VERIFY_EXAMPLES)]
pub struct VerifyArgs {
    /// Which backends to run.
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub backend: BackendChoice,
    /// Golden files (.safetensors), or folders of them.
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// `wseg presets`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::PRESETS_EXAMPLES)]
pub struct PresetsArgs {
    /// The preset to print, as TOML [default: a line for each preset].
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// `wseg inspect`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::INSPECT_EXAMPLES)]
pub struct InspectArgs {
    /// A checkpoint of `wseg train`, another safetensors file, or the name of a preset.
    #[arg(value_name = "FILE|PRESET", value_hint = ValueHint::FilePath)]
    pub what: PathBuf,
    /// Width and height of the photo the network is shown, in pixels [default: its training crop].
    #[arg(long, value_name = "PIXELS", value_parser = RangedU64ValueParser::<usize>::new().range(16..=4096))]
    pub size: Option<usize>,
    /// Which network of a preset [default: what the preset is for: single-stage, or deeplab].
    #[arg(long, value_name = "MODEL", value_enum)]
    pub model: Option<ModelKind>,
    /// Classes, without the background, for the network of a preset [default: 20].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=254))]
    pub classes: Option<usize>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `wseg demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::DEMO_EXAMPLES)]
pub struct DemoArgs {
    /// Folder for everything the demo makes; an earlier demo in it is replaced.
    #[arg(long, value_name = "DIR", default_value = "out/demo", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Seed of the data and of both trainings.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// A few steps on a few photos: shows that everything runs, the numbers mean nothing.
    #[arg(long)]
    pub quick: bool,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print the table as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `wseg completions`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::COMPLETIONS_EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}
