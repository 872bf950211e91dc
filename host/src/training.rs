//! A training run: data, network, checkpoints and log in one folder.

use std::{path::Path, time::Instant};

use candle_core::{DType, Device};
use wseg_cuda_runner::{
    model::{Model, ModelKind},
    train::{self, Observer, Recipe, Source as _, StepReport, checkpoint},
    weights,
};

use crate::{
    Error, Result,
    console::{Console, Progress},
    data::{
        Dataset,
        loader::{Labelled, Loader},
    },
    files,
    log::{EpochLog, RunLog},
    settings::Settings,
    validation::{SheetPhotos, Split},
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
}

impl Run<'_> {
    /// Trains, and returns the model of the last epoch.
    ///
    /// # Errors
    /// If the data cannot be used, the folder cannot be written, or the loss is no longer finite.
    pub fn train(&self, console: &Console) -> Result<Model> {
        let recipe = self.settings.recipe_for(self.model);
        let training = self.data.split("train")?;
        let present = self.data.image_labels(&training)?;
        let validation = Split::open(self.data)?;
        let samples: Vec<Labelled> = training
            .into_iter()
            .zip(present)
            .map(|(sample, present)| Labelled { photo: sample.photo, present })
            .collect();
        let sheet = match &validation {
            Some(split) => split.sheet_photos(),
            None => SheetPhotos::new("training", samples.iter().map(|sample| (&sample.photo, &sample.present))),
        };
        if let Some(absent) = validation.as_ref().map(|split| split.never_shown(self.data)).filter(|a| !a.is_empty()) {
            console.note(format_args!("mAP leaves out what no validation photo shows: {}", absent.join(", ")));
        }
        let loader = Loader::new(samples, self.settings.augment.clone(), recipe.batch, recipe.crop, recipe.seed)?;
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

        let steps = (recipe.epochs * loader.batches()) as u64;
        let mut watcher = Watcher {
            run: self,
            console,
            progress: console.progress(self.model.to_string(), steps),
            validation,
            sheet,
            log: RunLog::create(self.out)?,
            recipe: &recipe,
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
    console: &'a Console,
    progress: Progress<'a>,
    validation: Option<Split>,
    sheet: SheetPhotos,
    log: RunLog,
    recipe: &'a Recipe,
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
        let speed = sums.photos as f64 / sums.started.elapsed().as_secs_f64().max(1e-9);
        let segmentation = report.segmentation.map_or(String::new(), |loss| format!(" seg {loss:.4}"));
        self.progress.message(format!(
            "epoch {}/{} cls {:.4}{segmentation} {speed:.0} img/s",
            report.epoch + 1,
            self.recipe.epochs,
            report.classification
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
        let last = epoch + 1 == self.recipe.epochs;
        let due = last || (epoch + 1).is_multiple_of(self.run.settings.validation.every);
        let look = match &self.validation {
            Some(split) if due => Some(split.look(model, self.recipe, self.console)?),
            _ => None,
        };
        let log = EpochLog {
            epoch: epoch + 1,
            step: sums.step,
            rate: sums.rate,
            loss_classification: sums.classification / steps,
            loss_segmentation: (sums.segmented > 0).then(|| sums.segmentation / sums.segmented as f64),
            photos_per_second,
            ..EpochLog::default()
        }
        .with(look.as_ref());
        self.write_log(&log)?;
        if due {
            self.log.picture(log.epoch, &self.sheet.tag(), &self.sheet.draw(model, self.recipe)?)?;
        }
        // A checkpoint costs little beside a look at the validation split; without one, every epoch is kept.
        if last || look.is_some() || self.validation.is_none() {
            let bytes = checkpoint::encode(model)?;
            files::write_atomic(&self.run.out.join(LAST), &bytes)?;
            if log.validation_loss.is_none_or(|loss| loss < self.best) {
                self.best = log.validation_loss.unwrap_or(self.best);
                files::write_atomic(&self.run.out.join(BEST), &bytes)?;
            }
        }
        Ok(())
    }

    fn write_log(&mut self, log: &EpochLog) -> Result<()> {
        let line = self.log.epoch(log)?;
        if self.run.json {
            self.console.print(&line);
        } else if log.validation_loss.is_some() || self.validation.is_none() {
            let (model, epochs, summary) = (self.run.model, self.recipe.epochs, log.summary());
            self.console.note(format!("{model} epoch {}/{epochs}: {summary}", log.epoch));
        }
        Ok(())
    }
}
