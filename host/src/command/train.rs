//! `wseg train`.

use crate::{
    Result,
    args::{KeyValue, ModelKind, TrainArgs},
    console::Console,
    data::{Dataset, loader::Loading},
    settings::Settings,
    training::{BEST, LAST, Run},
};

/// Trains a network.
///
/// # Errors
/// If the data, the settings or the folder cannot be used, or training fails.
pub fn run(args: &TrainArgs, console: &Console) -> Result<()> {
    let settings = settings(args)?;
    super::require_fresh(&args.out, args.overwrite)?;
    let data = Dataset::open(&args.data)?;
    super::use_threads(args.threads)?;
    let model = match args.model {
        ModelKind::SingleStage => wseg_cuda_runner::model::ModelKind::SingleStage,
        ModelKind::Cam => wseg_cuda_runner::model::ModelKind::Cam,
    };
    let (out, weights) = (args.out.as_path(), args.weights.as_deref());
    let loading = Loading { workers: args.workers, skip_bad: args.skip_bad };
    Run { settings: &settings, model, data: &data, out, json: args.json, weights, loading }.train(console)?;
    console.note(format!(
        "Checkpoints: {} (end of training), {} (lowest validation loss)",
        args.out.join(LAST).display(),
        args.out.join(BEST).display()
    ));
    Ok(())
}

/// Preset, then `--set`, then the flags.
fn settings(args: &TrainArgs) -> Result<Settings> {
    let mut changes = args.set.clone();
    let mut change = |key: &str, value: Option<String>| {
        changes.extend(value.map(|value| KeyValue { key: key.to_owned(), value }));
    };
    let epochs = match args.model {
        ModelKind::SingleStage => "recipe.epochs",
        ModelKind::Cam => "cam.epochs",
    };
    change(epochs, args.epochs.map(|epochs| epochs.to_string()));
    change("recipe.batch", args.batch.map(|batch| batch.to_string()));
    change("recipe.crop", args.crop.map(|crop| crop.to_string()));
    change("recipe.rate", args.lr.map(|rate| rate.to_string()));
    change("recipe.seed", Some(args.seed.to_string()));
    Settings::preset(&args.preset)?.with(&changes)
}
