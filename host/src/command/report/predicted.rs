//! Masks that the run's checkpoint predicts for this page.

use std::path::PathBuf;

use wseg_cuda_runner::infer::Inference;

use super::judge::{Judge, Outcome};
use crate::{
    Error, Result,
    args::ReportArgs,
    console::Console,
    data::{Dataset, Options, Sample},
    picture,
    predictor::{self, Predictor, mask_of},
    settings::Config,
    training::{BEST, LAST},
};

/// Predicts the validation split; without one, some of the training photos, whose true masks are left alone. The inner
/// error is the reason why there is nothing to predict.
pub(super) fn judge(args: &ReportArgs, record: Option<&Config>, console: &Console) -> Result<Result<Outcome, String>> {
    let Some(checkpoint) = [BEST, LAST].map(|name| args.run.join(name)).into_iter().find(|path| path.is_file()) else {
        return Ok(Err("the run has no checkpoint yet".to_owned()));
    };
    let Some((root, options)) = data(args, record) else {
        return Ok(Err("it is not known on which data the run trained; name them with --data".to_owned()));
    };
    if !root.exists() {
        return match &args.data {
            Some(path) => Err(Error::input(path, "no such folder or file")),
            None => Ok(Err(format!("the run's data are not at {} any more; name them with --data", root.display()))),
        };
    }
    let model = predictor::load(&checkpoint)?;
    let classes = predictor::classes(&model)?;
    let data = Dataset::open_with(&root, &options)?;
    if data.classes().names() != classes.names() {
        return Err(Error::input(&root, "these are not the classes that the run learnt; give the run's own data"));
    }
    let (samples, split) = match data.optional_split("val")? {
        Some(samples) => (samples, "validation"),
        None => (few(data.split("train")?, args.photos), "training"),
    };
    let inference = Inference { scales: vec![1.0], flip: false, ..model.config.inference.clone() };
    let predictor = Predictor::new(&model, inference)?;
    let mut judge = Judge::new(classes, samples.len(), args.photos);
    let progress = console.progress("predict", samples.len() as u64);
    for Sample { name, photo: path, mask, .. } in &samples {
        let photo = picture::read_photo(path)?;
        let prediction = mask_of(predictor.predict(&photo, None)?, &photo);
        let mask = mask.as_ref().filter(|_| split == "validation");
        let truth = mask.map(|path| picture::read_mask(path)).transpose()?;
        judge
            .add(name, Some(&photo), prediction, truth)
            .map_err(|mistake| Error::input(mask.unwrap_or(path), mistake))?;
        progress.advance(1);
    }
    drop(progress);
    let file = checkpoint.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let origin = format!("The {split} split as {file} predicts it, in one view and without ground truth.");
    let mut outcome = judge.finish(origin);
    if split == "training" {
        outcome.remark = Some("The data set has no validation split: the photos below were trained on.".to_owned());
    } else if outcome.judged.is_none() {
        outcome.remark = Some("The validation split has no masks to compare with.".to_owned());
    }
    Ok(Ok(outcome))
}

/// The data set, and what else is said about it.
fn data(args: &ReportArgs, record: Option<&Config>) -> Option<(PathBuf, Options)> {
    let run = record.map(|config| &config.run);
    let options = Options {
        sbd: run.and_then(|run| run.sbd.as_ref()).map(PathBuf::from),
        val_share: run.and_then(|run| run.val_share).unwrap_or(0.0),
    };
    let root = args.data.clone().or_else(|| run.and_then(|run| run.data.as_ref()).map(PathBuf::from))?;
    Some((root, options))
}

/// So many of the samples, spread over all.
fn few(samples: Vec<Sample>, count: usize) -> Vec<Sample> {
    let (all, count) = (samples.len(), count.min(samples.len()));
    (0..count).map(|index| samples[index * all / count].clone()).collect()
}
