//! The flags of `wseg bench`.

use clap::{Args, ValueEnum, ValueHint, builder::RangedU64ValueParser};

use super::{ComputeArgs, help, value::thread_count};

/// What `wseg bench` can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// The whole training step of each preset.
    Training,
    /// The forward pass of one photo in one view, for each preset.
    View,
    /// PAMR by itself.
    Pamr,
    /// The dense CRF by itself.
    Crf,
}

/// `wseg bench`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::BENCH_EXAMPLES)]
pub struct BenchArgs {
    /// Presets to measure [default: small, squeezenet, resnet18, resnet50].
    #[arg(value_name = "PRESET", value_hint = ValueHint::Other)]
    pub presets: Vec<String>,
    /// Measure this and nothing else; may be repeated.
    #[arg(long, value_enum, value_name = "WORK")]
    pub only: Vec<Work>,
    /// Photos in a training step.
    #[arg(long, value_name = "N", default_value = "2", value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub batch: usize,
    /// Width and height of the photos, and of the maps that PAMR refines, in pixels [default: each preset's training crop;
    /// 81 and 321 for PAMR].
    #[arg(long, value_name = "PIXELS", value_parser = RangedU64ValueParser::<usize>::new().range(16..=4096))]
    pub size: Option<usize>,
    /// Classes, without the background.
    #[arg(long, value_name = "N", default_value = "20", value_parser = RangedU64ValueParser::<usize>::new().range(1..=254))]
    pub classes: usize,
    /// Measurements of each number; the median is shown.
    #[arg(long, value_name = "N", default_value = "5", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub runs: usize,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

impl BenchArgs {
    /// Whether this work is to be measured.
    pub(crate) fn measures(&self, work: Work) -> bool {
        self.only.is_empty() || self.only.contains(&work)
    }
}
