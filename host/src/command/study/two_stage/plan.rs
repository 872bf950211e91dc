//! What the study works with, checked before anything is trained.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    args::{KeyValue, TwoStageArgs},
    console::Console,
    data::{Dataset, Sample},
    refine::{Band, Refinement},
    settings::{DEFAULT_DEEPLAB_PRESET, DEFAULT_PRESET, Preset, Settings},
    synth::{self, Synth},
};
use wseg_cuda_runner::crf::DenseCrf;

/// The preset of the first stage on synthetic photos.
const SYNTHETIC_PRESET: &str = "demo";
/// Epochs of the DeepLab on synthetic photos, which are few: on pseudo labels, half of them leave it behind the CRF.
const SYNTHETIC_EPOCHS: usize = 30;

/// Settings and the preset that they came from.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) preset: String,
    pub(super) settings: Settings,
}

/// What the study works with.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) data: Dataset,
    /// What the data set is called in the table.
    pub(super) name: String,
    /// Photos that the stages are judged by.
    pub(super) photos: usize,
    /// The folder of the true masks.
    pub(super) masks: PathBuf,
    pub(super) out: PathBuf,
    pub(super) weights: Option<PathBuf>,
    /// Of CAM and of the single-stage network.
    pub(super) first: Recipe,
    /// Of the DeepLab.
    pub(super) second: Recipe,
    /// The background's power in pseudo labels.
    pub(super) background_power: f64,
    /// What is done to pseudo labels.
    pub(super) refinement: Refinement,
    pub(super) band: Band,
}

impl Plan {
    /// Reads what can be read and makes the synthetic photos, if these are wanted.
    ///
    /// # Errors
    /// A preset, a setting or the data set cannot be used, or the data set has no true masks.
    pub(super) fn new(args: &TwoStageArgs, console: &Console) -> Result<Self> {
        let (first, second) = (first(args)?, second(args)?);
        if let Some(weights) = args.weights.as_deref().filter(|weights| !weights.is_file()) {
            return Err(Error::input(weights, "no such file"));
        }
        let data = match &args.data {
            Some(path) => Dataset::open_with(path, &args.source.options())?,
            None => synthetic(args, console)?,
        };
        let (train, val) = (data.split("train")?, data.split("val")?);
        if let Some(sample) = val.iter().find(|sample| sample.mask.is_none()) {
            return Err(Error::input(&sample.photo, "has no true mask to compare with"));
        }
        let masks = match &args.masks {
            Some(folder) => folder.clone(),
            None => folder_of_masks(&train)?,
        };
        let name = match &args.data {
            Some(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            None => "synthetic photos".to_owned(),
        };
        let background_power = args.background_power.unwrap_or(first.settings.inference.background_power);
        Ok(Self {
            data,
            name,
            photos: val.len(),
            masks,
            out: args.out.clone(),
            weights: args.weights.clone(),
            first,
            second,
            background_power,
            refinement: Refinement { pamr: None, crf: (!args.no_crf).then(DenseCrf::default) },
            band: args.band.band(),
        })
    }

    /// Where everything of a seed is.
    pub(super) fn folder(&self, seed: u64) -> PathBuf {
        self.out.join(format!("seed-{seed}"))
    }
}

/// Settings of CAM and the single-stage network.
fn first(args: &TwoStageArgs) -> Result<Recipe> {
    let default = if args.data.is_none() { SYNTHETIC_PRESET } else { DEFAULT_PRESET };
    let epochs = [("recipe.epochs", args.epochs), ("cam.epochs", args.cam_epochs)];
    let quick = [("recipe.epochs", 2), ("recipe.classification_epochs", 1), ("cam.epochs", 1)];
    recipe(args, args.preset.as_deref().unwrap_or(default), &args.set, &epochs, &quick)
}

/// Settings of the DeepLab: those of the other preset's backbone, if none are named.
fn second(args: &TwoStageArgs) -> Result<Recipe> {
    let name = match (&args.deeplab_preset, args.preset.as_deref()) {
        (Some(name), _) => name.clone(),
        (None, None | Some(SYNTHETIC_PRESET)) => DEFAULT_DEEPLAB_PRESET.to_owned(),
        (None, Some(first)) => {
            let name = format!("deeplab-{first}");
            Preset::named(&name).map_err(|_| {
                Error::Input(format!(
                    "no DeepLab has the backbone of the preset `{first}`; name one with --deeplab-preset"
                ))
            })?;
            name
        }
    };
    let synthetic = (args.data.is_none() && !args.quick).then_some(SYNTHETIC_EPOCHS);
    let epochs = [("recipe.epochs", args.deeplab_epochs.or(synthetic))];
    recipe(args, &name, &args.deeplab_set, &epochs, &[("recipe.epochs", 1)])
}

fn recipe(
    args: &TwoStageArgs,
    preset: &str,
    set: &[KeyValue],
    epochs: &[(&str, Option<usize>)],
    quick: &[(&str, usize)],
) -> Result<Recipe> {
    let quick = quick.iter().filter(|_| args.quick).map(|&(key, value)| (key, Some(value)));
    let flags = quick.chain(epochs.iter().copied()).chain([("recipe.crop", args.crop)]);
    let flags = flags.filter_map(|(key, value)| Some(KeyValue { key: key.to_owned(), value: value?.to_string() }));
    let changes: Vec<KeyValue> = set.iter().cloned().chain(flags).collect();
    Ok(Recipe { preset: preset.to_owned(), settings: Settings::preset(preset)?.with(&changes)? })
}

/// The photos of `wseg demo`.
fn synthetic(args: &TwoStageArgs, console: &Console) -> Result<Dataset> {
    let mut data = Synth::default();
    if args.quick {
        (data.images, data.val) = (32, 8);
    }
    let folder = args.out.join("data");
    let progress = console.progress("data", (data.images + data.val) as u64);
    synth::generate(&data, &folder, |_, _| progress.advance(1))?;
    drop(progress);
    Dataset::open(&folder)
}

/// The folder that the true masks of the training photos are in.
fn folder_of_masks(samples: &[Sample]) -> Result<PathBuf> {
    if let Some(sample) = samples.iter().find(|sample| sample.mask.is_none()) {
        let problem = "has no true mask, which full supervision needs; name their folder with --masks";
        return Err(Error::input(&sample.photo, problem));
    }
    let folders: BTreeSet<&Path> = samples.iter().filter_map(|sample| sample.mask.as_deref()?.parent()).collect();
    match folders.first() {
        Some(folder) if folders.len() == 1 => Ok((*folder).to_owned()),
        _ => Err(Error::Input(format!(
            "the true masks are in {} folders; `wseg data convert` brings them into one, to be named with --masks",
            folders.len()
        ))),
    }
}
