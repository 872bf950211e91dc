//! How to train: every number of the recipe, the paper's by default.

use serde::{Deserialize, Serialize};
use wseg_core::{pamr::Pamr, pseudo::Cutoff};

use crate::{Error, Result, nn::Pass};

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not: the paper's.
    Constant,
    /// `(1 - progress)^0.9`.
    Poly,
    /// Half a cosine, down to 0.
    Cosine,
}

/// Which segmentation loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentationLoss {
    /// Equations (21) to (23): samples weighted by their claimed pixels.
    Paper,
    /// The reference's: a sample counts only if all its classes are claimed somewhere.
    Gated,
}

/// The recipe of a training run. The default, also of a key that is missing, is the paper's for WideResNet-38.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Passes over the training photos.
    pub epochs: usize,
    /// Epochs at the start with the classification loss alone.
    pub classification_epochs: usize,
    /// Photos in a batch.
    pub batch: usize,
    /// Batches in a step: their gradients are added up as if they were one batch.
    pub accumulate: usize,
    /// Side of the square training crop, in pixels.
    pub crop: usize,
    /// Base learning rate.
    pub rate: f64,
    /// How the rate falls.
    pub schedule: Schedule,
    /// Steps over which the rate rises linearly at the start.
    pub warmup: usize,
    /// Momentum of SGD.
    pub momentum: f64,
    /// Weight decay of weights; biases do not decay.
    pub weight_decay: f64,
    /// Longest gradient, all parameters together (Euclidean norm); a longer one is shortened to it. 0: any.
    pub clip: f64,
    /// Rate multipliers of old weights, old biases, new weights and new biases.
    pub multipliers: [f64; 4],
    /// Which segmentation loss.
    pub segmentation_loss: SegmentationLoss,
    /// Weight of the segmentation loss beside the classification loss.
    pub segmentation_weight: f64,
    /// Weights of the classes in the loss against masks, background first; empty: all are alike.
    pub class_weights: Vec<f64>,
    /// Share of the old average kept at each step in the averaged weights that are evaluated and saved; 0: no average.
    pub average: f64,
    /// PAMR's dilations, in pixels of the masks.
    pub pamr_dilations: Vec<usize>,
    /// PAMR's iterations.
    pub pamr_iterations: usize,
    /// No pseudo label at or below this confidence.
    pub cutoff_low: f64,
    /// Share of its largest confidence that a background pixel must exceed.
    pub cutoff_background: f64,
    /// Share of its largest confidence that a class's pixel must exceed.
    pub cutoff_class: f64,
    /// Fixes every random number of the run.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        let (pamr, cutoff) = (Pamr::default(), Cutoff::default());
        Self {
            epochs: 20,
            classification_epochs: 5,
            batch: 16,
            accumulate: 1,
            crop: 321,
            rate: 1e-3,
            schedule: Schedule::Constant,
            warmup: 0,
            momentum: 0.9,
            weight_decay: 5e-4,
            clip: 0.0,
            multipliers: [1.0, 2.0, 10.0, 20.0],
            segmentation_loss: SegmentationLoss::Paper,
            segmentation_weight: 1.0,
            class_weights: Vec::new(),
            average: 0.0,
            pamr_dilations: pamr.dilations.to_vec(),
            pamr_iterations: pamr.iterations,
            cutoff_low: cutoff.low,
            cutoff_background: cutoff.background,
            cutoff_class: cutoff.class,
            seed: 1,
        }
    }
}

impl Recipe {
    /// Base rate of step `step` of `total`.
    #[must_use]
    pub fn rate(&self, step: usize, total: usize) -> f64 {
        let progress = step as f64 / total.max(1) as f64;
        let fall = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Poly => (1.0 - progress).max(0.0).powf(0.9),
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        let rise = ((step + 1) as f64 / (self.warmup + 1) as f64).min(1.0);
        self.rate * fall * rise
    }

    /// Batches in each step, of `batches` in an epoch: an epoch with fewer than a step wants is one step.
    #[must_use]
    pub fn batches_in_step(&self, batches: usize) -> usize {
        self.accumulate.min(batches).max(1)
    }

    /// Steps in an epoch of so many batches.
    #[must_use]
    pub fn steps(&self, batches: usize) -> usize {
        batches / self.batches_in_step(batches)
    }

    /// The pass of a step's batch, counted from 0. All its random numbers follow from the seed and these two: a
    /// training has no other random state than where it stands.
    #[must_use]
    pub fn pass(&self, step: usize, batch: usize) -> Pass {
        let draw = step.wrapping_mul(self.accumulate).wrapping_add(batch) as u64;
        Pass::training(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(draw))
    }

    /// The weights of `channels` classes, the background among them, in the loss against masks.
    ///
    /// # Errors
    /// [`Error::Config`] if the recipe has weights for another number of classes.
    pub fn weights(&self, channels: usize) -> Result<Vec<f64>> {
        match self.class_weights.len() {
            0 => Ok(vec![1.0; channels]),
            count if count == channels => Ok(self.class_weights.clone()),
            count => Err(Error::Config(format!(
                "`class_weights` has {count} numbers, but there are {channels} classes, the background among them"
            ))),
        }
    }

    /// PAMR as the recipe wants it.
    ///
    /// # Errors
    /// [`Error::Config`] if there are too many dilations.
    pub fn pamr(&self) -> Result<Pamr> {
        let mut pamr = Pamr { iterations: self.pamr_iterations, ..Pamr::default() };
        pamr.dilations.clear();
        pamr.dilations.extend_from_slice(&self.pamr_dilations).map_err(|_| {
            Error::Config(format!("`pamr_dilations` takes at most {} values", wseg_core::pamr::MAX_DILATIONS))
        })?;
        Ok(pamr)
    }

    /// The pseudo labels' thresholds.
    #[must_use]
    pub const fn cutoff(&self) -> Cutoff {
        Cutoff { low: self.cutoff_low, background: self.cutoff_background, class: self.cutoff_class }
    }

    /// Refuses what cannot be trained.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key and its range.
    pub fn check(&self) -> Result<()> {
        let bad = |key: &str, range: &str| Err(Error::Config(format!("`{key}` must be {range}")));
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let share = 0.0..=1.0;
        match self {
            _ if !(1..=1_000_000).contains(&self.epochs) => bad("epochs", "1 to 1000000"),
            _ if !(1..=4096).contains(&self.batch) => bad("batch", "1 to 4096"),
            _ if !(1..=4096).contains(&self.accumulate) => bad("accumulate", "1 to 4096"),
            _ if !(16..=4096).contains(&self.crop) => bad("crop", "16 to 4096 pixels"),
            _ if !positive(self.rate) => bad("rate", "a positive number"),
            _ if !(0.0..1.0).contains(&self.momentum) => bad("momentum", "at least 0 and below 1"),
            _ if !(0.0..1.0).contains(&self.weight_decay) => bad("weight_decay", "at least 0 and below 1"),
            _ if !(0.0..=1e9).contains(&self.clip) => bad("clip", "0 or more"),
            _ if !(0.0..1.0).contains(&self.average) => bad("average", "at least 0 and below 1"),
            _ if !(0.0..=1e6).contains(&self.segmentation_weight) => bad("segmentation_weight", "0 or more"),
            _ if self.class_weights.iter().any(|w| !(0.0..=1e6).contains(w)) => bad("class_weights", "0 or more"),
            _ if self.multipliers.iter().any(|m| !(0.0..=1e6).contains(m)) => bad("multipliers", "0 or more"),
            _ if self.pamr_dilations.is_empty() => bad("pamr_dilations", "1 or more distances"),
            _ if self.pamr_dilations.iter().any(|d| !(1..=4096).contains(d)) => bad("pamr_dilations", "1 to 4096"),
            _ if self.pamr_iterations > 1000 => bad("pamr_iterations", "at most 1000"),
            _ if !share.contains(&self.cutoff_low) => bad("cutoff_low", "0 to 1"),
            _ if !share.contains(&self.cutoff_background) => bad("cutoff_background", "0 to 1"),
            _ if !share.contains(&self.cutoff_class) => bad("cutoff_class", "0 to 1"),
            _ => self.pamr().map(|_| ()),
        }
    }
}
