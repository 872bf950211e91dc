//! The flags of `wseg predict`.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum, ValueHint};

use super::{
    CrfArgs, help,
    value::{batch_size, fraction, positive, scale, thread_count, tile_side},
};
use crate::predictor::TILE;

/// What `predict` leaves for each photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Artifact {
    /// Palettised PNG with a class number a pixel, at the photo's size: NAME.png.
    Masks,
    /// The photo with the classes' colours over it, outlines and a legend: NAME_overlay.jpg.
    Overlay,
    /// Probabilities `[classes + 1, height, width]`, background first, half precision: NAME_probs.npy.
    Probs,
    /// Confidence `[classes]` that the photo shows a class, 0 to 1, half precision: NAME_scores.npy.
    Scores,
    /// The mask as RGB in Pascal VOC's colours: NAME_color.png.
    Color,
}

/// One of several parts of the photos: `2/8` is the second of eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("write it as I/N, I from 1 to N".into()),
        }
    }
}

impl Shard {
    /// Every N-th of all, from the I-th on: parts of a sorted list are alike in size and in what they hold.
    #[must_use]
    pub fn of<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.index - 1).step_by(self.count).collect()
    }
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
    /// Photos: a file, a folder, a pattern such as 'photos/*.jpg', a .txt list with a path or a name a line, a label file,
    /// or `-` for paths on standard input; may be given several times.
    #[arg(long, value_name = "FILE|DIR|LIST|-", required = true, num_args = 1.., value_hint = ValueHint::AnyPath)]
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
    /// Stride at which a deeplab looks at photos: 8 sees finer than 16, at four times the work [default: the checkpoint's].
    #[arg(long, value_name = "PIXELS")]
    pub output_stride: Option<usize>,
    /// Draw the masks to the photo's edges by a dense CRF.
    #[arg(long)]
    pub crf: bool,
    /// Its parameters.
    #[command(flatten)]
    pub crf_parameters: CrfArgs,
    /// What to leave for each photo.
    #[arg(long, value_name = "WHAT,..", value_enum, value_delimiter = ',', default_value = "masks,overlay")]
    pub save: Vec<Artifact>,
    /// Leave out photos of which all that --save asks for is in --out already.
    #[arg(long)]
    pub skip_existing: bool,
    /// Do the I-th of N parts of the photos, sorted by name and dealt out in turn: for several machines or jobs.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Views of more than PIXELS x PIXELS pixels are cut into overlapping tiles of that side, which are blended. Larger ones
    /// see more around a pixel and take more memory.
    #[arg(long, value_name = "PIXELS", default_value_t = TILE, value_parser = tile_side)]
    pub tile: usize,
    /// Photos of one size, one after the other, that go through the network together.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = batch_size)]
    pub batch: usize,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = thread_count)]
    pub threads: Option<usize>,
    /// Print what was found as JSON: an object a photo, a line each, and at last {"summary": ...}.
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

    use super::{
        super::{Cli, Command},
        Shard,
    };

    #[test]
    fn shards_part_a_list_and_nonsense_is_refused() {
        let shard = |text: &str| text.parse::<Shard>().unwrap().of((0..7).collect::<Vec<_>>());
        assert_eq!([shard("1/3"), shard("2/3"), shard("3/3")], [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
        assert!(shard("9/9").is_empty());
        for bad in ["0/3", "4/3", "1", "/", "a/b", "1/0", "-1/3", "1/99999999999999999999999"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

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
