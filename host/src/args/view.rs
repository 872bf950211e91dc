//! The flags that say how a photo is looked at, of every command that predicts.

use clap::Args;
use wseg_cuda_runner::infer::Inference;

use super::value::{batch_size, positive, scale, tile_side};
use crate::predictor::TILE;

/// How a photo is looked at.
#[derive(Debug, Clone, Args)]
pub struct ViewArgs {
    /// Scales at which a photo is looked at, 1 being its own [default: the checkpoint's].
    #[arg(long, value_name = "S,S,..", value_delimiter = ',', value_parser = scale)]
    pub scales: Option<Vec<f64>>,
    /// Look at the mirrored photo as well [default: the checkpoint's].
    #[arg(long, overrides_with = "no_flip")]
    flip: bool,
    /// Do not look at the mirrored photo.
    #[arg(long, overrides_with = "flip")]
    no_flip: bool,
    /// Power on the background's probability; above 1 objects grow [default: the checkpoint's].
    #[arg(long, value_name = "POWER", value_parser = positive)]
    pub background_power: Option<f64>,
    /// Views of more than PIXELS x PIXELS pixels are cut into overlapping tiles of that side, which are blended. Larger ones
    /// see more around a pixel and take more memory.
    #[arg(long, value_name = "PIXELS", default_value_t = TILE, value_parser = tile_side)]
    pub tile: usize,
    /// Photos of one size, one after the other, that go through the network together.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = batch_size)]
    pub batch: usize,
}

impl ViewArgs {
    /// The checkpoint's way of predicting, with what the flags change.
    #[must_use]
    pub fn inference(&self, own: &Inference) -> Inference {
        Inference {
            base: own.base,
            scales: self.scales.clone().unwrap_or_else(|| own.scales.clone()),
            flip: self.flip().unwrap_or(own.flip),
            threshold: own.threshold,
            background_power: self.background_power.unwrap_or(own.background_power),
        }
    }

    /// Whether to look at the mirrored photo; `None` leaves it to the checkpoint.
    const fn flip(&self) -> Option<bool> {
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
                Command::Predict(args) => args.view.flip(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(flip(&[]), None);
        assert_eq!(flip(&["--flip"]), Some(true));
        assert_eq!(flip(&["--flip", "--no-flip"]), Some(false));
        assert_eq!(flip(&["--no-flip", "--flip"]), Some(true));
    }
}
