//! `wseg predict`.

use serde_json::json;
use wseg_cuda_runner::infer::Inference;

use crate::{
    Error, Result, adopt,
    args::{Artifact, PredictArgs},
    console::Console,
    data::{Classes, LabelSource, Photo, photos},
    files, picture,
    predictor::{self, Predictor, mask_of},
    report::overlay,
};

/// Segments photos.
///
/// # Errors
/// If the checkpoint, the labels or a photo cannot be used, or a mask cannot be written. Photos that fail are named at
/// the end; the others are done.
pub fn run(args: &PredictArgs, console: &Console) -> Result<()> {
    let photos = photos(&args.images)?;
    let model = match &args.preset {
        None => predictor::load(&args.checkpoint)?,
        Some(preset) => {
            let (model, report) = adopt::adopt(&args.checkpoint, preset, args.classes.as_deref())?;
            console.note(format_args!("{}: {report}", args.checkpoint.display()));
            model
        }
    };
    let classes = predictor::classes(&model)?;
    let labels = args.labels.as_deref().map(|path| LabelSource::open(path, &classes)).transpose()?;
    let predictor = Predictor::new(&model, inference(args, &model.config.inference))?;
    super::use_threads(args.threads)?;

    let task = Task { args, console, predictor, classes, labels };
    let progress = console.progress("predict", photos.len() as u64);
    let mut failures = Vec::new();
    for photo in &photos {
        if let Err(error) = task.segment(photo) {
            failures.push(error);
        }
        progress.advance(1);
    }
    drop(progress);
    finish(failures, photos.len())?;
    let plural = if photos.len() == 1 { "" } else { "s" };
    console.note(format!("{} photo{plural} segmented into {}", photos.len(), args.out.display()));
    Ok(())
}

/// The checkpoint's way of predicting, with what the flags change.
fn inference(args: &PredictArgs, own: &Inference) -> Inference {
    Inference {
        base: own.base,
        scales: args.scales.clone().unwrap_or_else(|| own.scales.clone()),
        flip: args.flip().unwrap_or(own.flip),
        threshold: args.threshold.unwrap_or(own.threshold),
        background_power: args.background_power.unwrap_or(own.background_power),
    }
}

/// One error for all that failed. A single failure is reported as itself.
fn finish(mut failures: Vec<Error>, photos: usize) -> Result<()> {
    if failures.len() < 2 {
        return failures.pop().map_or(Ok(()), Err);
    }
    let told: Vec<String> = failures.iter().map(|error| format!("\n  {error}")).collect();
    let message = format!("{} of {photos} photos could not be segmented:{}", failures.len(), told.concat());
    match failures.iter().all(|error| error.exit_code() == 2) {
        true => Err(Error::Input(message)),
        false => Err(Error::Failed(message)),
    }
}

struct Task<'a> {
    args: &'a PredictArgs,
    console: &'a Console,
    predictor: Predictor<'a>,
    classes: Classes,
    labels: Option<LabelSource>,
}

impl Task<'_> {
    fn segment(&self, photo: &Photo) -> Result<()> {
        let present = match &self.labels {
            Some(labels) => Some(labels.labels(&photo.name, &self.classes)?),
            None => None,
        };
        let pixels = picture::read_photo(&photo.path)?;
        let prediction = self.predictor.predict(&pixels, present.as_deref())?;
        let confidence = prediction.confidence.clone();
        let mask = mask_of(prediction, &pixels);
        files::create_folder(&self.args.out)?;
        if self.args.save.contains(&Artifact::Masks) {
            picture::write_mask(&self.args.out.join(format!("{}.png", photo.name)), &mask)?;
        }
        if self.args.save.contains(&Artifact::Overlay) {
            let overlay = overlay::overlay(&pixels, &mask, self.classes.names());
            picture::write_photo(&self.args.out.join(format!("{}_overlay.jpg", photo.name)), &overlay)?;
        }
        if self.args.json {
            let shown = mask.present();
            let found: Vec<_> = (1..self.classes.len())
                .filter(|&class| shown[class])
                .map(|class| json!({ "class": self.classes.names()[class], "confidence": confidence[class - 1] }))
                .collect();
            self.console.print(json!({ "name": photo.name, "photo": photo.path, "classes": found }));
        }
        Ok(())
    }
}
