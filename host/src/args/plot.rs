//! The flags of `wseg plot`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::help;

/// `wseg plot`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::PLOT_EXAMPLES)]
pub struct PlotArgs {
    /// Folder of a training run, or its metrics.jsonl; several are drawn over each other.
    #[arg(value_name = "RUN", required = true, value_hint = ValueHint::AnyPath)]
    pub runs: Vec<PathBuf>,
    /// Folder for curves.svg and curves.png [default: the run's; of several runs, the current folder].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}
