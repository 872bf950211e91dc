//! `wseg train`.

use std::path::{Path, PathBuf};

use crate::{
    Error, Result,
    args::{self, KeyValue, TrainArgs},
    console::Console,
    data::{Dataset, Options, loader::Loading},
    settings::{Config, DEFAULT_DEEPLAB_PRESET, DEFAULT_PRESET, Origin, Settings},
    training::{BEST, LAST, RECORD, Run},
};

use wseg_cuda_runner::model::ModelKind;

/// Trains a network, or goes on with a training.
///
/// # Errors
/// If the data, the settings or the folder cannot be used, training fails, or a signal stops it.
pub fn run(args: &TrainArgs, console: &Console) -> Result<()> {
    let plan = match &args.resume {
        Some(run) => Plan::resume(args, run)?,
        None => Plan::start(args)?,
    };
    let out = plan.out.as_path();
    let data = Dataset::open_with(&plan.data, &plan.source)?;
    super::use_threads(plan.threads)?;
    Run {
        settings: &plan.settings,
        preset: &plan.preset,
        model: plan.model,
        data: &data,
        data_path: &plan.data,
        masks: plan.masks.as_deref(),
        out,
        json: args.json,
        weights: plan.weights.as_deref(),
        resume: args.resume.is_some(),
        fingerprint: plan.fingerprint.as_deref(),
        interruptible: true,
        loading: Loading { workers: args.workers, skip_bad: plan.skip_bad },
    }
    .train(console)?;
    console.note(format!(
        "Checkpoints: {} (end of training), {} (best epoch, by {})",
        out.join(LAST).display(),
        out.join(BEST).display(),
        plan.settings.validation.best
    ));
    Ok(())
}

/// All that a training is told.
#[derive(Debug)]
struct Plan {
    settings: Settings,
    preset: String,
    model: ModelKind,
    data: PathBuf,
    masks: Option<PathBuf>,
    source: Options,
    skip_bad: bool,
    weights: Option<PathBuf>,
    threads: Option<usize>,
    /// Of the data of the run that is repeated.
    fingerprint: Option<String>,
    out: PathBuf,
}

impl Plan {
    /// A new training: preset, then `--config`, then `--set`, then the flags.
    fn start(args: &TrainArgs) -> Result<Self> {
        let config = args.config.as_deref().map(Config::read).transpose()?;
        let origin = config.as_ref().map(|config| config.run.clone()).unwrap_or_default();
        let named = args.preset.as_deref().or(config.as_ref().and_then(|config| config.preset.as_deref()));
        let asked = args.model.map(args::ModelKind::runner).or(origin.model);
        let default = if asked == Some(ModelKind::DeepLab) { DEFAULT_DEEPLAB_PRESET } else { DEFAULT_PRESET };
        let preset = named.unwrap_or(default).to_owned();
        let settings = match &config {
            Some(config) => config.settings(Some(&preset))?,
            None => Settings::preset(&preset)?,
        };
        let model = settings.kind_for(&preset, asked)?;
        let settings = settings.with(&changes(args, model))?;
        let out = args.out.clone().unwrap_or_default();
        let data = data(args, &origin, args.config.as_deref())?;
        let source = source(args, &origin);
        let skip_bad = args.skip_bad || origin.skip_bad;
        let threads = threads(args, &origin, args.config.as_deref())?;
        super::require_fresh(&out, args.overwrite)?;
        let weights = args.weights.clone().or(origin.weights.map(PathBuf::from));
        // Other data are meant to be others.
        let fingerprint = origin.fingerprint.filter(|_| args.data.is_none() && args.masks.is_none());
        let masks = args.masks.clone().or(origin.masks.map(PathBuf::from));
        Ok(Self { settings, preset, model, data, masks, source, skip_bad, weights, threads, fingerprint, out })
    }

    /// The training in a folder, as its record says.
    fn resume(args: &TrainArgs, run: &Path) -> Result<Self> {
        crate::data::require_folder(run)?;
        let record = run.join(RECORD);
        if !record.is_file() {
            return Err(Error::input(run, format!("holds no {RECORD}: no training was begun here that could go on")));
        }
        let config = Config::read(&record)?;
        let settings = config.settings(None)?;
        let origin = &config.run;
        Ok(Self {
            settings,
            preset: config.preset.clone().unwrap_or_else(|| DEFAULT_PRESET.to_owned()),
            model: origin.model.unwrap_or(ModelKind::SingleStage),
            data: data(args, origin, Some(&record))?,
            masks: args.masks.clone().or_else(|| origin.masks.clone().map(PathBuf::from)),
            source: source(args, origin),
            skip_bad: args.skip_bad || origin.skip_bad,
            weights: origin.weights.clone().map(PathBuf::from),
            threads: threads(args, origin, Some(&record))?,
            fingerprint: origin.fingerprint.clone(),
            out: run.to_owned(),
        })
    }
}

/// The number of threads: the flag's, or the file's.
fn threads(args: &TrainArgs, origin: &Origin, file: Option<&Path>) -> Result<Option<usize>> {
    match (args.threads, origin.threads) {
        (None, Some(count)) if !(1..=1024).contains(&count) => {
            Err(Error::input(file.unwrap_or(Path::new("--config")), "`run.threads` must be 1 to 1024"))
        }
        (flag, recorded) => Ok(flag.or(recorded)),
    }
}

/// The data set's folder: the flag's, or the file's.
fn data(args: &TrainArgs, origin: &Origin, file: Option<&Path>) -> Result<PathBuf> {
    let given = args.data.clone().or_else(|| origin.data.clone().map(PathBuf::from));
    given.ok_or_else(|| {
        let problem = "has no `data` in its section `run`; name the data set with --data DIR";
        Error::input(file.unwrap_or(Path::new("--config")), problem)
    })
}

/// What else is said about the data set: the flags', or the file's.
fn source(args: &TrainArgs, origin: &Origin) -> Options {
    let given = args.source.options();
    Options {
        sbd: given.sbd.or_else(|| origin.sbd.clone().map(PathBuf::from)),
        val_share: if given.val_share > 0.0 {
            given.val_share
        } else {
            origin.val_share.unwrap_or(0.0).clamp(0.0, 0.99)
        },
    }
}

/// `--set`, then the flags for single settings.
fn changes(args: &TrainArgs, model: ModelKind) -> Vec<KeyValue> {
    let mut changes = args.set.clone();
    let mut change = |key: &str, value: Option<String>| {
        changes.extend(value.map(|value| KeyValue { key: key.to_owned(), value }));
    };
    let epochs = match model {
        ModelKind::SingleStage | ModelKind::DeepLab => "recipe.epochs",
        ModelKind::Cam => "cam.epochs",
    };
    change(epochs, args.epochs.map(|epochs| epochs.to_string()));
    change("recipe.batch", args.batch.map(|batch| batch.to_string()));
    change("recipe.crop", args.crop.map(|crop| crop.to_string()));
    change("recipe.rate", args.lr.map(|rate| rate.to_string()));
    change("recipe.seed", args.seed.map(|seed| seed.to_string()));
    changes
}
