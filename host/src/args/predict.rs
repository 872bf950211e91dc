//! The flags of `wseg predict`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{
    help,
    value::{fraction, positive, scale, thread_count},
};

/// What `predict` leaves for each photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Artifact {
    /// Palettised PNG with a class number a pixel, at the photo's size.
    Masks,
    /// The photo with the classes' colours over it.
    Overlay,
}

/// `wseg predict`.
#[derive(Debug, Clone, Args)]
#[command(after_help = help::PREDICT_EXAMPLES)]
pub struct PredictArgs {
    /// Checkpoint of `wseg train`; with --preset, weights from elsewhere.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub checkpoint: PathBuf,
    /// The weights are those of this preset's network: PyTorch's files and safetensors.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Names of the classes of weights from elsewhere, one a line, line 1 is `background` [default: Pascal VOC's].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "preset")]
    pub classes: Option<PathBuf>,
    /// Photos: a file, a folder, a .txt list with a path or a name a line, or a label file; may be given several times.
    #[arg(long, value_name = "FILE|DIR|LIST", required = true, num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub images: Vec<PathBuf>,
    /// Folder for the masks; made if it is not there.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Scales at which a photo is looked at, 1 being its own [default: the checkpoint's].
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', value_parser = scale)]
    pub scales: Option<Vec<f64>>,
    /// Look at the mirrored photo as well [default: the checkpoint's].
    #[arg(long, overrides_with = "no_flip")]
    flip: bool,
    /// Do not look at the mirrored photo.
    #[arg(long, overrides_with = "flip")]
    no_flip: bool,
    /// The classes each photo shows: a label file (NAME,CLASS;CLASS a line, or JSON lines), a folder of masks NAME.png or
    /// NAME.mat, or of a folder for each class.
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub labels: Option<PathBuf>,
    /// Power on the background's probability; above 1 objects grow [default: the checkpoint's].
    #[arg(long, value_name = "POWER", value_parser = positive)]
    pub background_power: Option<f64>,
    /// A class is judged present above this score, 0 to 1 [default: the checkpoint's].
    #[arg(long, value_name = "SCORE", value_parser = fraction, conflicts_with = "labels")]
    pub threshold: Option<f64>,
    /// What to leave for each photo.
    #[arg(long, value_name = "WHAT,..", value_enum, value_delimiter = ',', default_value = "masks,overlay")]
    pub save: Vec<Artifact>,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print what was found as JSON, one object a photo.
    #[arg(long)]
    pub json: bool,
}

impl PredictArgs {
    /// Whether to look at the mirrored photo; `None` leaves it to the checkpoint.
    #[must_use]
    pub fn flip(&self) -> Option<bool> {
        match (self.flip, self.no_flip) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};

    #[test]
    fn the_last_of_flip_and_no_flip_counts() {
        let flip = |flags: &[&str]| {
            let line = ["wseg", "predict", "--checkpoint", "c", "--images", "i", "--out", "o"];
            match Cli::try_parse_from(line.iter().chain(flags)).unwrap().command {
                Command::Predict(args) => args.flip(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(flip(&[]), None);
        assert_eq!(flip(&["--flip"]), Some(true));
        assert_eq!(flip(&["--flip", "--no-flip"]), Some(false));
        assert_eq!(flip(&["--no-flip", "--flip"]), Some(true));
    }
}
