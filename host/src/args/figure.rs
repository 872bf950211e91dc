//! The flags of `wseg figure`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::value::thread_count;

/// `wseg figure`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct FigureArgs {
    /// Which figure.
    #[command(subcommand)]
    pub figure: Figure,
}

/// The figures.
#[derive(Debug, Clone, Subcommand)]
pub enum Figure {
    /// The classification loss of a class as its score grows (Figure 9 of the supplement).
    #[command(after_help = LOSS_EXAMPLES)]
    Loss(LossArgs),
    /// A photo's mask after some iterations of PAMR, side by side (Figure 10 of the supplement).
    #[command(after_help = PAMR_EXAMPLES)]
    Pamr(PamrFigureArgs),
}

/// `wseg figure loss`.
#[derive(Debug, Clone, Args)]
pub struct LossArgs {
    /// Folder for loss.svg and loss.png.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".")]
    pub out: PathBuf,
    /// Print the files' names as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `wseg figure pamr`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["mask", "checkpoint"]))]
pub struct PamrFigureArgs {
    /// The photo.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: PathBuf,
    /// Its mask: .png, .npy or .npz, as `wseg refine` takes them.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub mask: Option<PathBuf>,
    /// A checkpoint, whose network makes the mask and names the classes.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub checkpoint: Option<PathBuf>,
    /// After which iterations masks are drawn.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', default_value = "0,1,3,5,10", value_parser = iterations)]
    pub iterations: Vec<usize>,
    /// Folder for pamr.svg and pamr.png.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".")]
    pub out: PathBuf,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print the files' names as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A number of iterations.
pub(super) fn iterations(text: &str) -> Result<usize, String> {
    match text.trim().parse::<usize>() {
        Ok(count @ 0..=1000) => Ok(count),
        _ => Err("a whole number from 0 to 1000".into()),
    }
}

/// What `wseg figure` does.
pub(super) const FIGURE: &str = "\
Draw a figure of the paper's supplement with this program's own formulas, as SVG and PNG.";

const EXAMPLES: &str = "\
Examples:
  wseg figure loss
  wseg figure pamr --image cat.jpg --mask cat.png --out figures";

const LOSS_EXAMPLES: &str = "\
Examples:
  wseg figure loss --out figures";

const PAMR_EXAMPLES: &str = "\
The network's mask is refined at its own resolution, as in training; a mask of --mask at the photo's.

Examples:
  wseg figure pamr --image cat.jpg --checkpoint runs/shapes/best.safetensors
  wseg figure pamr --image cat.jpg --mask cat.png --iterations 0,2,10,50 --out figures";
