//! `wseg predict`.

mod inputs;
mod save;

use serde_json::json;
use wseg_cuda_runner::{
    infer::Inference,
    model::{Model, Supervision},
};

use super::outcomes::{Outcome, Outcomes, Work};
use crate::{
    Error, Result, adopt,
    args::{Artifact, PredictArgs},
    console::Console,
    data::{Classes, LabelSource, Photo},
    picture,
    predictor::{self, Batch, Masks, Predictor, Waiting},
    refine::Refinement,
};

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
    let compute = super::compute(&args.compute, None, console)?;
    let mut model = match &args.preset {
        None => predictor::load_on(&args.checkpoint, &compute)?,
        Some(preset) => {
            let (model, report) = adopt::adopt_on(&args.checkpoint, preset, args.classes.as_deref(), &compute)?;
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
    let predictor = Predictor::new(&model, inference(args, &model.config.inference))?.with_tile(args.view.tile);
    super::use_threads(args.threads)?;

    let refinement = args.crf.then(|| Refinement { pamr: None, crf: Some(args.crf_parameters.parameters()) });
    let task = Task { args, classes, labels, refinement };
    let work = Work { title: "predict", done: "segmented", out: &args.out, json: args.json };
    let mut outcomes = Outcomes::new(work, console, photos.len());
    let mut batch = Batch::new(&predictor, args.view.batch, &args.out);
    for photo in &photos {
        if args.skip_existing && task.is_done(photo) {
            outcomes.add(&photo.name, &photo.path, Outcome::Skipped);
            continue;
        }
        match task.read(photo) {
            Err(error) => outcomes.add(&photo.name, &photo.path, Outcome::Failed(error)),
            Ok(read) => batch.push(read).into_iter().for_each(|done| task.finish(done, &mut outcomes)),
        }
    }
    batch.flush().into_iter().for_each(|done| task.finish(done, &mut outcomes));
    outcomes.finish(json!({}))
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
    let inference = args.view.inference(own);
    Inference { threshold: args.threshold.unwrap_or(own.threshold), ..inference }
}

struct Task<'a> {
    args: &'a PredictArgs,
    classes: Classes,
    labels: Option<LabelSource>,
    /// What is done to the masks before they are written.
    refinement: Option<Refinement>,
}

impl Task<'_> {
    /// Whether all that is asked for is there already.
    fn is_done(&self, photo: &Photo) -> bool {
        self.args.save.iter().all(|&artifact| save::path(&self.args.out, &photo.name, artifact).is_file())
    }

    fn read<'a>(&self, photo: &'a Photo) -> Result<Waiting<&'a Photo>> {
        let present = match &self.labels {
            Some(labels) => Some(labels.labels(&photo.name, &self.classes)?),
            None => None,
        };
        Ok(Waiting { of: photo, pixels: picture::read_photo(&photo.path)?, present })
    }

    /// Leaves the results of a photo that went through the network.
    fn finish(&self, (read, masks): (Waiting<&Photo>, Result<Masks>), outcomes: &mut Outcomes<'_>) {
        let outcome = match masks {
            Ok(masks) => self.save(&read, masks).unwrap_or_else(Outcome::Failed),
            Err(error) => Outcome::Failed(Error::failed(&read.of.path, error)),
        };
        outcomes.add(&read.of.name, &read.of.path, outcome);
    }

    fn save(&self, read: &Waiting<&Photo>, masks: Masks) -> Result<Outcome> {
        let mut masks = match &self.refinement {
            Some(refinement) => {
                masks.refined(&read.pixels, refinement).map_err(|error| error.of_file(&read.of.path))?
            }
            None => masks,
        };
        let names = self.classes.names();
        let mask = masks.labels()?;
        for &artifact in &self.args.save {
            let path = save::path(&self.args.out, &read.of.name, artifact);
            save::write(artifact, &path, &read.pixels, &mask, &mut masks, names)?;
        }
        let shown = mask.present();
        let found = (1..self.classes.len()).filter(|&class| shown[class]);
        let confidence = masks.confidence();
        let found = found.map(|class| match confidence {
            Some(confidence) => json!({ "class": names[class], "confidence": confidence[class - 1] }),
            None => json!({ "class": names[class] }),
        });
        Ok(Outcome::Done(json!({ "classes": found.collect::<Vec<_>>() })))
    }
}
