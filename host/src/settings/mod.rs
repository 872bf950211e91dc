//! Everything a training run can be told, as one checked value: preset, then a TOML file, then `--set key=value`, then
//! flags.

mod change;
mod config;
mod preset;

use serde::{Deserialize, Serialize};
use wseg_cuda_runner::{
    infer::Inference,
    model::{Architecture, ModelKind, NetworkConfig},
    train::Recipe,
};

use crate::{Error, Result, data::augment::Augment};

pub(crate) use change::difference;
pub use config::{Config, Origin};
pub use preset::{DEFAULT_DEEPLAB_PRESET, DEFAULT_PRESET, PRESETS, Preset};

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Layers and widths.
    pub network: Architecture,
    /// How to train.
    pub recipe: Recipe,
    /// What of it differs for the CAM baseline.
    #[serde(default)]
    pub cam: CamRecipe,
    /// How training photos are varied.
    pub augment: Augment,
    /// How photos are predicted.
    pub inference: Inference,
    /// How a run is watched.
    pub validation: Validation,
    /// What is kept of a run, and how often.
    pub checkpoint: Keep,
}

/// How a run is watched on the validation split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Epochs between two looks at the validation split; the last epoch is always looked at.
    pub every: usize,
    /// What makes a checkpoint the best.
    pub best: Best,
    /// Looks without a better one than the best before training ends early; 0: it never does.
    pub patience: usize,
}

/// What makes a checkpoint the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Best {
    /// The lowest classification loss on the validation split: image labels are all it takes. Of a network that learns from
    /// masks, the lowest cross entropy.
    Loss,
    /// The highest mean IoU on the validation split, which must have masks.
    Miou,
    /// The highest mean IoU if the validation split has masks, else the lowest loss: what a network that learns from masks
    /// goes by.
    MiouOrLoss,
}

impl std::fmt::Display for Best {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loss => "validation loss",
            Self::Miou => "validation mIoU",
            Self::MiouOrLoss => "validation mIoU, or loss without true masks",
        })
    }
}

/// What is kept of a run, and how often it is written. Its state is always written after each epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Steps between two times that the state is written within an epoch; 0: not by steps.
    pub steps: usize,
    /// Minutes between two such times; 0: not by time.
    pub minutes: f64,
    /// How many of the best checkpoints are kept; beyond one, as `epoch-N.safetensors`.
    pub keep: usize,
}

/// What differs for the CAM baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CamRecipe {
    /// Passes over the training photos.
    pub epochs: usize,
}

impl Default for CamRecipe {
    /// The paper's.
    fn default() -> Self {
        Self { epochs: 6 }
    }
}

/// Names of so many classes, where it does not matter what they are.
#[must_use]
pub fn numbered_classes(count: usize) -> Vec<String> {
    (1..=count).map(|class| format!("class {class}")).collect()
}

impl Settings {
    /// Which network they are for unless told otherwise: the single-stage network, or a DeepLab where its strides are set.
    #[must_use]
    pub const fn kind(&self) -> ModelKind {
        match self.network.deeplab {
            Some(_) => ModelKind::DeepLab,
            None => ModelKind::SingleStage,
        }
    }

    /// The network that is asked for, or, if none is, the one that these settings of a preset are for.
    ///
    /// # Errors
    /// The preset is not for that network; the error names those that are.
    pub fn kind_for(&self, preset: &str, asked: Option<ModelKind>) -> Result<ModelKind> {
        let own = self.kind();
        let is_deeplab = |kind| kind == ModelKind::DeepLab;
        match asked {
            Some(asked) if is_deeplab(asked) != is_deeplab(own) => {
                let names = PRESETS.iter().map(|preset| preset.name);
                let fitting =
                    names.filter(|name| Self::preset(name).is_ok_and(|s| is_deeplab(s.kind()) == is_deeplab(asked)));
                let fitting = fitting.collect::<Vec<_>>().join(", ");
                Err(Error::Input(format!("the preset `{preset}` is not for a {asked}; for it there are {fitting}")))
            }
            asked => Ok(asked.unwrap_or(own)),
        }
    }

    /// The recipe for a kind of model.
    #[must_use]
    pub fn recipe_for(&self, model: ModelKind) -> Recipe {
        match model {
            ModelKind::SingleStage | ModelKind::DeepLab => self.recipe.clone(),
            ModelKind::Cam => Recipe { epochs: self.cam.epochs, ..self.recipe.clone() },
        }
    }

    /// The network for a kind of model and classes.
    #[must_use]
    pub fn network_for(&self, model: ModelKind, classes: Vec<String>) -> NetworkConfig {
        NetworkConfig {
            model,
            classes,
            architecture: self.network.clone(),
            crop: self.recipe.crop,
            inference: self.inference.clone(),
        }
    }

    /// Refuses settings that cannot be trained with.
    ///
    /// # Errors
    /// An input error naming the key and its range.
    pub fn check(&self) -> Result<()> {
        self.recipe.check()?;
        self.recipe_for(ModelKind::Cam).check()?;
        self.network_for(self.kind(), vec!["object".to_owned()]).check()?;
        let bad = |key: &str, range: &str| Err(Error::Input(format!("`{key}` must be {range}")));
        match self {
            _ if self.validation.every == 0 => return bad("validation.every", "1 or more epochs"),
            _ if !(0.0..=1e6).contains(&self.checkpoint.minutes) => return bad("checkpoint.minutes", "0 or more"),
            _ if !(1..=1000).contains(&self.checkpoint.keep) => return bad("checkpoint.keep", "1 to 1000"),
            _ => {}
        }
        self.augment.check()
    }
}

#[cfg(test)]
mod tests;
