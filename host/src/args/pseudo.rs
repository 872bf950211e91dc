//! The flags of `wseg pseudo`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{
    ComputeArgs, CrfArgs, Shard, SourceArgs, ViewArgs,
    value::{fraction, thread_count},
};
use crate::refine::Band;

/// `wseg pseudo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct PseudoArgs {
    /// Checkpoint of `wseg train`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub checkpoint: PathBuf,
    /// Data set with image labels: a folder or a label file.
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub data: PathBuf,
    /// What else there is to say about the data set.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The split whose photos are labelled.
    #[arg(long, value_name = "NAME", default_value = "train")]
    pub split: String,
    /// Folder for the masks, NAME.png; made if it is not there.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// How a photo is looked at.
    #[command(flatten)]
    pub view: ViewArgs,
    /// Leave the masks as the network draws them, without the dense CRF.
    #[arg(long)]
    pub no_crf: bool,
    /// The dense CRF's parameters.
    #[command(flatten)]
    pub crf: CrfArgs,
    /// What is left undecided.
    #[command(flatten)]
    pub band: BandArgs,
    /// Leave out photos whose mask is in --out already: goes on where a run stopped.
    #[arg(long)]
    pub skip_existing: bool,
    /// Do the I-th of N parts of the photos, sorted by name and dealt out in turn: for several machines or jobs.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print JSON: an object a photo, a line each, and at last {"summary": ...}.
    #[arg(long)]
    pub json: bool,
}

/// Which pixels of a pseudo label are written as 255, so that nothing is learnt from them.
#[derive(Debug, Clone, Copy, Args)]
pub struct BandArgs {
    /// Pixels whose most likely class has a probability of less than P are written as 255: 0.6 leaves out what is nearly
    /// even, 0.9 a broad band along borders; 0 decides every pixel.
    #[arg(long, value_name = "P", value_parser = fraction, default_value_t = 0.0)]
    pub confidence: f64,
    /// Pixels whose most likely class leads the next by less than M are written as 255. With two classes, 0.2 is the same
    /// as --confidence 0.6; with more, it leaves out less of what only is spread over many.
    #[arg(long, value_name = "M", value_parser = fraction, default_value_t = 0.0)]
    pub margin: f64,
}

impl BandArgs {
    /// The same as a band.
    #[must_use]
    pub const fn band(&self) -> Band {
        Band { confidence: self.confidence as f32, margin: self.margin as f32 }
    }
}

/// What `wseg pseudo` does.
pub(super) const PSEUDO: &str = "\
Make pseudo labels of a training split: masks that another network is trained on as if they were true.

Every photo is looked at in all of the checkpoint's views; classes that its image labels do not name are left out (the \
paper's \"clean\" mode), and the dense CRF draws the rest to the photo's edges. The masks are palettised PNGs as in \
SegmentationClass: 0 is background, 255 is undecided and nobody learns from it (--confidence, --margin).

Where the split has true masks, the pseudo labels are compared with them, for information: nothing depends on it. Pixels \
written as 255 are left out of the comparison, and their share is told. With --shard, the numbers are of that part; \
--skip-existing without --shard, when all parts are there, gives those of the whole, and so does `wseg eval --undecided`.

Photos that cannot be used are named at the end, with an exit code that is not 0; the others are done. Files are whole or \
absent, and Ctrl-C ends between two photos.";

const EXAMPLES: &str = "\
Examples:
  wseg pseudo --checkpoint runs/shapes/last.safetensors --data shapes --out pseudo
  wseg pseudo --checkpoint runs/shapes/last.safetensors --data shapes --out pseudo --confidence 0.9 --skip-existing
  wseg pseudo --checkpoint runs/voc/best.safetensors --data VOCdevkit/VOC2012 --sbd benchmark_RELEASE \\
      --out pseudo --shard 2/8 --json
  wseg eval --pred pseudo --gt shapes/SegmentationClass --list shapes/ImageSets/Segmentation/train.txt --undecided";
