//! A training run: data, network, checkpoints and log in one folder.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use wseg_cuda_runner::{
    infer::Inference,
    model::{Model, ModelKind},
    train::{self, Batch, Observer, Source as _, StepReport, checkpoint},
    weights,
};

use crate::{
    Error, Result,
    console::{Console, Progress},
    data::{
        Dataset, Sample,
        loader::{Labelled, Loader, Loading, Shape},
    },
    files,
    metrics::{Report, Tally},
    picture,
    predictor::{Predictor, mask_of},
    settings::Settings,
};

/// The checkpoint of the last epoch.
pub const LAST: &str = "last.safetensors";
/// The checkpoint of the epoch with the lowest validation loss.
pub const BEST: &str = "best.safetensors";

/// A run to be made.
#[derive(Debug)]
pub struct Run<'a> {
    /// Everything it can be told.
    pub settings: &'a Settings,
    /// Which network.
    pub model: ModelKind,
    /// What it learns from.
    pub data: &'a Dataset,
    /// Where it leaves its files.
    pub out: &'a Path,
    /// Print a line of JSON for each epoch.
    pub json: bool,
    /// Weights to start from, in any format that [`weights`] reads.
    pub weights: Option<&'a Path>,
    /// How photos are read.
    pub loading: Loading,
}

/// What a run logs for an epoch, a line of `metrics.jsonl`. Losses are means over the epoch's steps.
#[derive(Clone, Debug, Serialize)]
pub struct EpochLog {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Steps since the start.
    pub step: usize,
    /// Base learning rate of the last step.
    pub rate: f64,
    /// Classification loss.
    pub loss_classification: f64,
    /// Segmentation loss; absent in classification-only epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_segmentation: Option<f64>,
    /// Photos a second, validation left out.
    pub photos_per_second: f64,
    /// Classification loss on the validation split, where it was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Mean IoU with background on the validation split in percent, where it was looked at and has masks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_miou: Option<f64>,
}

/// A photo of the validation split.
struct Validated {
    sample: Sample,
    present: Vec<bool>,
}

impl Run<'_> {
    /// Trains, and returns the model of the last epoch.
    ///
    /// # Errors
    /// If the data cannot be used, the folder cannot be written, or the loss is no longer finite.
    pub fn train(&self, console: &Console) -> Result<Model> {
        let recipe = self.settings.recipe_for(self.model);
        let (training, unusable) = match self.loading.skip_bad {
            true => self.data.usable_split("train")?,
            false => (self.data.split("train")?, Vec::new()),
        };
        let present = self.data.image_labels(&training)?;
        let validation = self.validation()?;
        let samples = training
            .into_iter()
            .zip(present)
            .map(|(sample, present)| Labelled { photo: sample.photo, present })
            .collect();
        let shape = Shape { batch: recipe.batch, side: recipe.crop };
        let loader = Loader::new(samples, self.settings.augment.clone(), shape, recipe.seed, self.loading)?;
        let skipped: Vec<&Error> = unusable.iter().chain(loader.skipped()).collect();
        if let Some(first) = skipped.first() {
            let count = skipped.len();
            console.warn(format_args!("{count} training photos cannot be used and are left out; the first: {first}"));
        }
        let classes = self.data.classes().names()[1..].to_vec();
        let network = self.settings.network_for(self.model, classes);
        let model = Model::new(network, recipe.seed, DType::F32, &Device::Cpu)?;
        if let Some(path) = self.weights {
            let report = weights::load_file(path, &model.params.borrow())?;
            console.note(format_args!("{}: {report}", path.display()));
            if let Some(warning) = report.warning() {
                console.warn(format_args!("{}: {warning}", path.display()));
            }
        }

        files::create_folder(self.out)?;
        let resolved = toml::to_string_pretty(self.settings)
            .map_err(|error| Error::Failed(format!("the settings cannot be written: {error}")))?;
        files::write_atomic(&self.out.join("settings.toml"), resolved.as_bytes())?;
        let log = self.out.join("metrics.jsonl");
        let log_file = std::fs::File::create(&log).map_err(|error| Error::failed(&log, error))?;

        let steps = (recipe.epochs * loader.batches()) as u64;
        let mut watcher = Watcher {
            run: self,
            loader: &loader,
            console,
            progress: console.progress(self.model.to_string(), steps),
            validation,
            log: (log, log_file),
            epochs: recipe.epochs,
            sums: Sums::default(),
            best: f64::INFINITY,
            failure: None,
        };
        let done = train::train(&model, &recipe, &loader, &mut watcher);
        match (watcher.failure.take(), done) {
            // The loop only knows that it was stopped; the reason was kept here.
            (Some(error), _) => Err(error),
            (None, done) => done.map(|()| model).map_err(Error::from),
        }
    }

    fn validation(&self) -> Result<Vec<Validated>> {
        let Some(samples) = self.data.optional_split("val")? else { return Ok(Vec::new()) };
        let present = self.data.image_labels(&samples)?;
        Ok(samples.into_iter().zip(present).map(|(sample, present)| Validated { sample, present }).collect())
    }
}

/// Sums over the steps of an epoch.
#[derive(Debug)]
struct Sums {
    steps: usize,
    classification: f64,
    segmentation: f64,
    segmented: usize,
    photos: usize,
    started: Instant,
    step: usize,
    rate: f64,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            steps: 0,
            classification: 0.0,
            segmentation: 0.0,
            segmented: 0,
            photos: 0,
            started: Instant::now(),
            step: 0,
            rate: 0.0,
        }
    }
}

/// Watches the loop: bar, log, validation, checkpoints.
struct Watcher<'a> {
    run: &'a Run<'a>,
    loader: &'a Loader,
    console: &'a Console,
    progress: Progress<'a>,
    validation: Vec<Validated>,
    log: (PathBuf, std::fs::File),
    epochs: usize,
    sums: Sums,
    best: f64,
    failure: Option<Error>,
}

impl Observer for Watcher<'_> {
    fn step(&mut self, report: &StepReport) -> wseg_cuda_runner::Result<()> {
        let sums = &mut self.sums;
        sums.steps += 1;
        sums.photos += report.photos;
        sums.classification += report.classification;
        if let Some(segmentation) = report.segmentation {
            sums.segmentation += segmentation;
            sums.segmented += 1;
        }
        (sums.step, sums.rate) = (report.step + 1, report.rate);
        let segmentation = report.segmentation.map_or(String::new(), |loss| format!(" seg {loss:.4}"));
        self.progress.message(format!(
            "epoch {}/{} cls {:.4}{segmentation} {}",
            report.epoch + 1,
            self.epochs,
            report.classification,
            self.loader.speed()
        ));
        self.progress.advance(1);
        Ok(())
    }

    fn epoch(&mut self, epoch: usize, model: &Model) -> wseg_cuda_runner::Result<()> {
        let done = self.end_of_epoch(epoch, model);
        self.sums = Sums::default();
        done.map_err(|error| match error {
            Error::Runner(error) => error,
            other => {
                let told = wseg_cuda_runner::Error::Training(other.to_string());
                self.failure = Some(other);
                told
            }
        })
    }
}

impl Watcher<'_> {
    fn end_of_epoch(&mut self, epoch: usize, model: &Model) -> Result<()> {
        let sums = &self.sums;
        let steps = sums.steps.max(1) as f64;
        let photos_per_second = sums.photos as f64 / sums.started.elapsed().as_secs_f64().max(1e-9);
        let last = epoch + 1 == self.epochs;
        let looked =
            !self.validation.is_empty() && (last || (epoch + 1).is_multiple_of(self.run.settings.validation.every));
        let (validation_loss, report) = match looked {
            true => {
                let (loss, report) = validate(model, &self.validation)?;
                (Some(loss), report)
            }
            false => (None, None),
        };
        let log = EpochLog {
            epoch: epoch + 1,
            step: sums.step,
            rate: sums.rate,
            loss_classification: sums.classification / steps,
            loss_segmentation: (sums.segmented > 0).then(|| sums.segmentation / sums.segmented as f64),
            photos_per_second,
            validation_loss,
            validation_miou: report.and_then(|report| report.mean_iou),
        };
        self.write_log(&log)?;
        // A checkpoint costs little beside a look at the validation split; without one, every epoch is kept.
        if last || looked || self.validation.is_empty() {
            let bytes = checkpoint::encode(model)?;
            files::write_atomic(&self.run.out.join(LAST), &bytes)?;
            if validation_loss.is_none_or(|loss| loss < self.best) {
                self.best = validation_loss.unwrap_or(self.best);
                files::write_atomic(&self.run.out.join(BEST), &bytes)?;
            }
        }
        Ok(())
    }

    fn write_log(&mut self, log: &EpochLog) -> Result<()> {
        let line =
            serde_json::to_string(log).map_err(|error| Error::Failed(format!("the log cannot be written: {error}")))?;
        writeln!(self.log.1, "{line}").map_err(|error| Error::failed(&self.log.0, error))?;
        if self.run.json {
            self.console.print(&line);
        } else if let Some(loss) = log.validation_loss {
            let miou = log.validation_miou.map_or(String::new(), |miou| format!(", mIoU {miou:.1} %"));
            self.console.note(format!(
                "{} epoch {}/{}: validation loss {loss:.4}{miou}",
                self.run.model, log.epoch, self.epochs
            ));
        }
        Ok(())
    }
}

/// Classification loss, and the report where there are masks, of the validation split: one view a photo.
fn validate(model: &Model, samples: &[Validated]) -> Result<(f64, Option<Report>)> {
    let inference = Inference { scales: vec![1.0], flip: false, ..model.config.inference.clone() };
    let predictor = Predictor::new(model, inference)?;
    let mut tally = Tally::new(crate::predictor::classes(model)?);
    let (mut loss, mut masks) = (0.0, 0);
    for Validated { sample, present } in samples {
        let photo = picture::read_photo(&sample.photo)?;
        let labels: Vec<f32> = present.iter().map(|&present| if present { 1.0 } else { 0.0 }).collect();
        let shape = (1, labels.len(), 1, 1);
        let labels = Tensor::from_vec(labels, shape, &Device::Cpu).map_err(wseg_cuda_runner::Error::from)?;
        let batch = Batch { images: predictor.view(&photo, 1.0, false)?, labels };
        loss += train::classification_loss(model, &batch)?;
        if let Some(path) = &sample.mask {
            let truth = picture::read_mask(path)?;
            let prediction = mask_of(predictor.predict(&photo, None)?, &photo);
            tally.add(&prediction.labels, &truth.labels).map_err(|mistake| Error::input(path, mistake))?;
            masks += 1;
        }
    }
    Ok((loss / samples.len().max(1) as f64, (masks > 0).then(|| tally.report())))
}
