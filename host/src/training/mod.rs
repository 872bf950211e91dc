//! A training run: data, network, checkpoints and log in one folder, which it goes on from after any end.
//!
//! # Rooms
//! | module | holds |
//! |---|---|
//! | `mod` | [`Run`]: everything set up, then the loop of `wseg-cuda-runner` |
//! | `lessons` | the training photos, with their image labels or masks |
//! | `watcher` | what is done after every step and epoch: log, validation, checkpoints |
//! | `resume` | whether a saved training is this one |
//! | `folder` | the files, and that only one process writes them |
//! | `ranking` | which checkpoints are the best, when to end early |
//! | `fingerprint` | whether data are the same |
//! | `interrupt` | signals |
//!
//! # What survives what
//! The state is written after every epoch, and as often as the settings say; every file is replaced as a whole. What a
//! run does after its state was written it does again when it goes on from there, with the same results: the log is
//! cut back to the state's lines, the checkpoints are written again.

mod exact;
mod fingerprint;
mod folder;
mod interrupt;
mod lessons;
mod ranking;
mod resume;
mod watcher;

use std::path::Path;

use candle_core::DType;
use wseg_cuda_runner::{
    Compute, Precision,
    device::name,
    model::{Model, ModelKind},
    train::{Position, Recipe, Saved, Source as _, Training, checkpoint},
    weights,
};

pub use fingerprint::fingerprint;
pub(crate) use fingerprint::fingerprint_of_bytes;
pub use folder::{BEST, LAST, RECORD, STATE};
pub use interrupt::Interrupt;
pub use ranking::{BestEpochs, Place, Seen};

use crate::{
    Error, Result,
    console::Console,
    data::{
        Dataset, GivenMasks,
        augment::Frame,
        loader::{Loader, Loading, Shape},
    },
    log::RunLog,
    settings::{Best, Config, Origin, Settings},
    validation::{SheetPhotos, Split},
};
use folder::Folder;
use lessons::Lessons;
use watcher::{Memory, Note, Watcher};

/// A run to be made.
#[derive(Debug)]
pub struct Run<'a> {
    /// Everything it can be told.
    pub settings: &'a Settings,
    /// The preset that the settings came from; for the record.
    pub preset: &'a str,
    /// Which network.
    pub model: ModelKind,
    /// What it learns from.
    pub data: &'a Dataset,
    /// The data set's folder; for the record.
    pub data_path: &'a Path,
    /// Folder of the masks it learns from, if it learns from masks.
    pub masks: Option<&'a Path>,
    /// Where it leaves its files.
    pub out: &'a Path,
    /// Print a line of JSON for each epoch.
    pub json: bool,
    /// Weights to start from, in any format that [`weights`] reads.
    pub weights: Option<&'a Path>,
    /// Go on from the state in the folder, if there is one; else the folder's earlier run is replaced.
    pub resume: bool,
    /// The fingerprint of the data that the settings were used with before, where it is known.
    pub fingerprint: Option<&'a str>,
    /// End with a saved state on SIGINT and SIGTERM.
    pub interruptible: bool,
    /// How photos are read.
    pub loading: Loading,
    /// Where and in what numbers it computes.
    pub compute: Compute,
}

impl Run<'_> {
    /// Trains, and returns the model of the last epoch.
    ///
    /// # Errors
    /// If the data cannot be used, the folder cannot be written, the folder's state is that of another run, the loss is
    /// no longer finite, or a signal came.
    pub fn train(&self, console: &Console) -> Result<Model> {
        let recipe = self.settings.recipe_for(self.model);
        let given = self.given()?;
        let Lessons { photos: samples, present, fingerprint, unusable } = Lessons::read(self, given.as_ref())?;
        let validation = self.validation(given.as_ref(), console)?;
        let note = Note {
            settings: resume::text(self.settings)?,
            model: self.model,
            fingerprint,
            threads: rayon::current_num_threads(),
            memory: Memory::default(),
        };
        if self.fingerprint.is_some_and(|before| before != note.fingerprint) && !self.resume {
            console
                .warn("the training data are not those of the run that is repeated: their fingerprint is another one");
        }
        let state = self.out.join(STATE);
        let saved = if self.resume && state.exists() { Some(resume::read(&state, &note, console)?) } else { None };
        if let Some((_, memory)) = saved.as_ref().filter(|(saved, memory)| is_complete(saved, memory, &recipe)) {
            console.note(format_args!("{}: this run is complete, after {} epochs", self.out.display(), memory.lines));
            return complete(&self.out.join(LAST), &self.compute);
        }

        let photos = samples.len();
        let sheet = match &validation {
            Some(split) => split.sheet_photos(),
            None => SheetPhotos::training(&samples, &present),
        };
        let absent = validation.as_ref().map(|split| split.never_shown(self.data)).unwrap_or_default();
        if given.is_none() && !absent.is_empty() {
            console.note(format_args!("mAP leaves out what no validation photo shows: {}", absent.join(", ")));
        }
        let frame = Frame { side: recipe.crop, base: self.settings.inference.base };
        let shape = Shape { batch: recipe.batch, frame };
        let loader = Loader::new(samples, self.settings.augment.clone(), shape, recipe.seed, self.loading)?;
        let skipped: Vec<&Error> = unusable.iter().chain(loader.skipped()).collect();
        if let Some(first) = skipped.first() {
            let count = skipped.len();
            console.warn(format_args!("{count} training photos cannot be used and are left out; the first: {first}"));
        }
        let model = self.model(&recipe, saved.is_none(), console)?;
        let mut training = Training::new(&model, &recipe)?;
        if let Some((saved, _)) = &saved {
            resume::named(&state, training.restore(saved))?;
        }

        let folder = Folder::open(self.out)?;
        if !self.resume {
            folder.clear()?;
            folder.write(RECORD, self.record(&note, photos)?.as_bytes())?;
        }
        let Position { epoch, batch, step } = training.position();
        let at = saved.as_ref().map(|_| (epoch + usize::from(batch > 0), step));
        let note = Note { memory: saved.map(|(_, memory)| memory).unwrap_or_default(), ..note };
        let log = match self.resume {
            true => RunLog::resume(self.out, note.memory.lines)?,
            false => RunLog::create(self.out)?,
        };
        if self.resume {
            console.note(format_args!("{}: going on after step {step}, in epoch {}", self.out.display(), epoch + 1));
        }
        let steps = recipe.epochs * recipe.steps(loader.batches());
        let progress = console.progress(self.model.to_string(), steps as u64);
        progress.advance(step as u64);
        let mut watcher = Watcher::new(self, &loader, console, progress, (validation, sheet), folder, log, note, at);
        watcher.interrupt = self.interruptible.then(Interrupt::listen).transpose()?;
        let done = training.run(&loader, &mut watcher);
        let stopped =
            done.map_err(|error| watcher.explain(error)).and_then(|()| watcher.take_failure().map_or(Ok(()), Err));
        drop(training);
        stopped.map(|()| model)
    }

    /// The validation split, if the data set has one that the network can be judged by.
    ///
    /// # Errors
    /// A file cannot be used, or the settings ask for more than the data set has.
    fn validation(&self, given: Option<&GivenMasks>, console: &Console) -> Result<Option<Split>> {
        let (split, wanted) = (Split::open(self.data, given)?, &self.settings.validation);
        if let (None, Some(given), true) = (&split, given, self.data.has_split("val")) {
            let folder = given.folder().display();
            console.note(format_args!(
                "no validation: the validation split has no true masks, and {folder} none of its photos"
            ));
        }
        let lacking =
            |key: &str, what: &str| Err(Error::Input(format!("`{key}` needs {what}, which the data set lacks")));
        if wanted.best == Best::Miou && !split.as_ref().is_some_and(Split::has_masks) {
            return lacking("validation.best = \"miou\"", "a validation split with masks");
        }
        if wanted.patience > 0 && split.is_none() {
            return lacking("validation.patience", "a validation split");
        }
        Ok(split)
    }

    /// The network, before its first step.
    fn model(&self, recipe: &Recipe, load: bool, console: &Console) -> Result<Model> {
        let classes = self.data.classes().names()[1..].to_vec();
        let network = self.settings.network_for(self.model, classes);
        let Compute { device, precision } = &self.compute;
        let model = Model::new(network, recipe.seed, DType::F32, device)?.with_precision(*precision)?;
        if let Some(path) = self.weights.filter(|_| load) {
            let report = weights::load_file(path, &model.params.borrow())?;
            console.note(format_args!("{}: {report}", path.display()));
            if let Some(warning) = report.warning() {
                console.warn(format_args!("{}: {warning}", path.display()));
            }
        }
        Ok(model)
    }

    /// The text of `run.toml`.
    fn record(&self, note: &Note, photos: usize) -> Result<String> {
        // Paths that hold wherever the record is read. What is no UTF-8 has no place in TOML.
        let absolute = |path: &Path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            path.to_string_lossy().into_owned()
        };
        let run = Origin {
            model: Some(self.model),
            data: Some(absolute(self.data_path)),
            masks: self.masks.map(absolute),
            sbd: self.data.options().sbd.as_deref().map(absolute),
            val_share: Some(self.data.options().val_share).filter(|&share| share > 0.0),
            skip_bad: self.loading.skip_bad,
            weights: self.weights.map(absolute),
            threads: Some(note.threads),
            precision: Some(self.compute.precision).filter(|&precision| precision != Precision::F32),
            device: Some(name(&self.compute.device)),
            command: std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            platform: Some(format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
            photos: Some(photos),
            fingerprint: Some(note.fingerprint.clone()),
        };
        Config::text(self.preset, &run, self.settings)
    }
}

/// Whether there is nothing left to train.
fn is_complete(saved: &Saved, memory: &Memory, recipe: &Recipe) -> bool {
    memory.ended || saved.position().epoch >= recipe.epochs
}

/// The model that a complete run has left.
fn complete(path: &Path, compute: &Compute) -> Result<Model> {
    checkpoint::load(path, DType::F32, &compute.device)?
        .ok_or_else(|| Error::input(path, "describes no network; this is not the file that the run left there"))
}
