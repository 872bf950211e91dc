//! `wseg predict`.

mod inputs;
mod outcome;
mod save;

use image::RgbImage;
use serde_json::json;
use wseg_cuda_runner::{
    infer::Inference,
    model::{Model, Supervision},
};

use crate::{
    Error, Result, adopt,
    args::{Artifact, PredictArgs},
    console::Console,
    data::{Classes, ImageLabels, LabelSource, Photo},
    picture,
    predictor::{self, Masks, Predictor},
    refine::Refinement,
};
use outcome::{Outcome, Outcomes};

/// Segments photos.
///
/// # Errors
/// If the checkpoint, the labels or a photo cannot be used, or a mask cannot be written. Photos that fail are named at
/// the end; the others are done.
pub fn run(args: &PredictArgs, console: &Console) -> Result<()> {
    let mut photos = inputs::find(&args.images, &mut std::io::stdin())?;
    save::check(&photos, &args.out, &args.save)?;
    if let Some(shard) = args.shard {
        photos.sort_by(|one, other| one.name.cmp(&other.name));
        photos = shard.of(photos);
    }
    let mut model = match &args.preset {
        None => predictor::load(&args.checkpoint)?,
        Some(preset) => {
            let (model, report) = adopt::adopt(&args.checkpoint, preset, args.classes.as_deref())?;
            console.note(format_args!("{}: {report}", args.checkpoint.display()));
            model
        }
    };
    refuse_scores(args, &model)?;
    if let Some(stride) = args.output_stride {
        model.set_prediction_stride(stride).map_err(|error| Error::input(&args.checkpoint, error))?;
    }
    let classes = predictor::classes(&model)?;
    let labels = args.labels.as_deref().map(|path| LabelSource::open(path, &classes)).transpose()?;
    let predictor = Predictor::new(&model, inference(args, &model.config.inference))?.with_tile(args.tile);
    super::use_threads(args.threads)?;

    let refinement = args.crf.then(|| Refinement { pamr: None, crf: Some(args.crf_parameters.parameters()) });
    let task = Task { args, predictor, classes, labels, refinement };
    let mut outcomes = Outcomes::new(args, console, photos.len());
    let mut batch: Vec<Read<'_>> = Vec::new();
    for photo in &photos {
        if args.skip_existing && task.is_done(photo) {
            outcomes.add(photo, Outcome::Skipped);
            continue;
        }
        match task.read(photo) {
            Err(error) => outcomes.add(photo, Outcome::Failed(error)),
            Ok(read) => {
                if batch.first().is_some_and(|first| first.pixels.dimensions() != read.pixels.dimensions()) {
                    task.segment(&mut batch, &mut outcomes);
                }
                batch.push(read);
                if batch.len() >= args.batch {
                    task.segment(&mut batch, &mut outcomes);
                }
            }
        }
    }
    task.segment(&mut batch, &mut outcomes);
    outcomes.finish()
}

/// Refuses what needs class scores of a network that has none.
fn refuse_scores(args: &PredictArgs, model: &Model) -> Result<()> {
    let kind = model.config.model;
    let asked = match (args.threshold, args.save.contains(&Artifact::Scores)) {
        _ if kind.supervision() == Supervision::ImageLabels => return Ok(()),
        (Some(_), _) => "--threshold",
        (None, true) => "--save scores",
        (None, false) => return Ok(()),
    };
    let problem = format!("{asked} needs class scores, which a {kind} has none of; it takes no class for absent");
    Err(Error::input(&args.checkpoint, problem))
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

struct Task<'a> {
    args: &'a PredictArgs,
    predictor: Predictor<'a>,
    classes: Classes,
    labels: Option<LabelSource>,
    /// What is done to the masks before they are written.
    refinement: Option<Refinement>,
}

/// A photo in memory.
struct Read<'a> {
    photo: &'a Photo,
    pixels: RgbImage,
    /// The classes that it shows, if they are known.
    present: Option<ImageLabels>,
}

impl Task<'_> {
    /// Whether all that is asked for is there already.
    fn is_done(&self, photo: &Photo) -> bool {
        self.args.save.iter().all(|&artifact| save::path(&self.args.out, &photo.name, artifact).is_file())
    }

    fn read<'a>(&self, photo: &'a Photo) -> Result<Read<'a>> {
        let present = match &self.labels {
            Some(labels) => Some(labels.labels(&photo.name, &self.classes)?),
            None => None,
        };
        Ok(Read { photo, pixels: picture::read_photo(&photo.path)?, present })
    }

    /// Segments photos of one size, and takes them out of `batch`.
    fn segment(&self, batch: &mut Vec<Read<'_>>, outcomes: &mut Outcomes<'_>) {
        let asked: Vec<_> = batch.iter().map(|read| (&read.pixels, read.present.as_deref())).collect();
        match self.predictor.segment(&asked, &self.args.out) {
            Ok(masks) => {
                for (read, masks) in batch.drain(..).zip(masks) {
                    let outcome = self.save(&read, masks).unwrap_or_else(Outcome::Failed);
                    outcomes.add(read.photo, outcome);
                }
            }
            Err(error) => {
                for Read { photo, .. } in batch.drain(..) {
                    let problem = Error::failed(&photo.path, &error);
                    outcomes.add(photo, Outcome::Failed(problem));
                }
            }
        }
    }

    fn save(&self, read: &Read<'_>, masks: Masks) -> Result<Outcome> {
        let mut masks = match &self.refinement {
            Some(refinement) => masks.refined(&read.pixels, refinement).map_err(|error| match error {
                Error::Input(problem) => Error::input(&read.photo.path, problem),
                other => other,
            })?,
            None => masks,
        };
        let names = self.classes.names();
        let mask = masks.labels()?;
        for &artifact in &self.args.save {
            let path = save::path(&self.args.out, &read.photo.name, artifact);
            save::write(artifact, &path, &read.pixels, &mask, &mut masks, names)?;
        }
        let shown = mask.present();
        let found = (1..self.classes.len()).filter(|&class| shown[class]);
        let confidence = masks.confidence();
        Ok(Outcome::Segmented(
            found
                .map(|class| match confidence {
                    Some(confidence) => json!({ "class": names[class], "confidence": confidence[class - 1] }),
                    None => json!({ "class": names[class] }),
                })
                .collect(),
        ))
    }
}
