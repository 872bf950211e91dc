//! Watches the loop: bar, log, validation, checkpoints.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use wseg_cuda_runner::{
    model::{Model, ModelKind},
    train::{Observer, Recipe, StepReport, Training, checkpoint},
};

use super::{
    Interrupt, Run, exact,
    folder::{BEST, Folder, LAST, STATE},
    ranking::{BestEpochs, Place},
};
use crate::{
    Error, Result,
    console::{Console, Progress},
    data::loader::Loader,
    log::{EpochLog, RunLog},
    validation::{SheetPhotos, Split},
};

/// What a saved training says beside its weights: what it was told, and what the watcher has to remember.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// The settings as TOML.
    pub(super) settings: String,
    pub(super) model: ModelKind,
    pub(super) fingerprint: String,
    pub(super) threads: usize,
    pub(super) memory: Memory,
}

/// What the watcher has to remember.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// Lines of the log.
    pub(super) lines: usize,
    /// Whether training has ended before its last epoch.
    pub(super) ended: bool,
    ranking: BestEpochs,
    sums: Sums,
}

/// Sums over the steps of an epoch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sums {
    steps: usize,
    #[serde(with = "exact")]
    classification: f64,
    classified: usize,
    #[serde(with = "exact")]
    segmentation: f64,
    segmented: usize,
    #[serde(with = "exact")]
    gradient_norm: f64,
    clipped: bool,
    step: usize,
    #[serde(with = "exact")]
    rate: f64,
}

impl Sums {
    fn add(&mut self, report: &StepReport) {
        self.steps += 1;
        if let Some(classification) = report.classification {
            self.classification += classification;
            self.classified += 1;
        }
        if let Some(segmentation) = report.segmentation {
            self.segmentation += segmentation;
            self.segmented += 1;
        }
        if let Some(norm) = report.gradient_norm {
            self.gradient_norm += norm;
            self.clipped = true;
        }
        (self.step, self.rate) = (report.step + 1, report.rate);
    }
}

/// Watches the loop.
pub(super) struct Watcher<'a> {
    pub(super) run: &'a Run<'a>,
    loader: &'a Loader,
    pub(super) console: &'a Console,
    pub(super) progress: Progress<'a>,
    validation: Option<Split>,
    sheet: SheetPhotos,
    pub(super) folder: Folder,
    log: RunLog,
    recipe: Recipe,
    pub(super) interrupt: Option<Interrupt>,
    pub(super) epochs: usize,
    pub(super) note: Note,
    unsaved_steps: usize,
    saved_at: Instant,
    /// Where the training stood when it was saved: epoch, from 1, and steps.
    saved: Option<(usize, usize)>,
    failure: Option<Error>,
}

impl<'a> Watcher<'a> {
    /// A watcher of a training that has begun, or goes on where it was saved.
    #[expect(clippy::too_many_arguments, reason = "each is one thing that it watches or writes to")]
    pub(super) fn new(
        run: &'a Run<'a>,
        loader: &'a Loader,
        console: &'a Console,
        progress: Progress<'a>,
        (validation, sheet): (Option<Split>, SheetPhotos),
        folder: Folder,
        log: RunLog,
        note: Note,
        saved: Option<(usize, usize)>,
    ) -> Self {
        Self {
            run,
            loader,
            console,
            progress,
            validation,
            sheet,
            folder,
            log,
            recipe: run.settings.recipe_for(run.model),
            interrupt: None,
            epochs: run.settings.recipe_for(run.model).epochs,
            note,
            unsaved_steps: 0,
            saved_at: Instant::now(),
            saved,
            failure: None,
        }
    }

    /// The reason why the loop ended with an error, with where the training can go on from.
    pub(super) fn explain(&mut self, error: wseg_cuda_runner::Error) -> Error {
        // The loop only knows that it was stopped; the reason was kept.
        let error = self.failure.take().unwrap_or(Error::Runner(error));
        if matches!(error, Error::Stopped(..)) {
            return error;
        }
        let state = self.folder.file(STATE);
        let told = match self.saved {
            Some((epoch, step)) => {
                format!("{error}; the last good checkpoint is {}, of epoch {epoch} after step {step}", state.display())
            }
            None => format!("{error}; there is no checkpoint yet"),
        };
        if error.exit_code() == 2 { Error::Input(told) } else { Error::Failed(told) }
    }

    /// Whether training ended early or was asked to stop.
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn keep_reason(&mut self, error: Error) -> wseg_cuda_runner::Error {
        match error {
            Error::Runner(error) => error,
            other => {
                let told = wseg_cuda_runner::Error::Training(other.to_string());
                self.failure = Some(other);
                told
            }
        }
    }
}

impl Observer for Watcher<'_> {
    fn step(&mut self, report: &StepReport) -> wseg_cuda_runner::Result<()> {
        self.note.memory.sums.add(report);
        self.unsaved_steps += 1;
        let told = |name, loss: Option<f64>| loss.map_or_else(String::new, |loss| format!(" {name} {loss:.4}"));
        self.progress.message(format!(
            "epoch {}/{}{}{} {}",
            report.epoch + 1,
            self.epochs,
            told("cls", report.classification),
            told("seg", report.segmentation),
            self.loader.speed()
        ));
        self.progress.advance(1);
        Ok(())
    }

    fn epoch(&mut self, epoch: usize, model: &Model) -> wseg_cuda_runner::Result<()> {
        self.end_of_epoch(epoch, model).map_err(|error| self.keep_reason(error))
    }

    fn between(&mut self, training: &Training<'_>) -> wseg_cuda_runner::Result<ControlFlow<()>> {
        let keep = &self.run.settings.checkpoint;
        let position = training.position();
        let done = position.epoch == self.epochs;
        let asked = self.interrupt.as_ref().and_then(Interrupt::asked).filter(|_| !done);
        let due = position.batch == 0
            || asked.is_some()
            || (keep.steps > 0 && self.unsaved_steps >= keep.steps)
            || (keep.minutes > 0.0 && self.saved_at.elapsed() >= Duration::from_secs_f64(60.0 * keep.minutes));
        if due {
            self.save(training).map_err(|error| self.keep_reason(error))?;
        }
        if self.note.memory.ended {
            return Ok(ControlFlow::Break(()));
        }
        let Some((signal, code)) = asked else { return Ok(ControlFlow::Continue(())) };
        let told = format!(
            "stopped by {signal} after step {}; to go on: wseg train --resume {}",
            position.step,
            self.run.out.display()
        );
        self.failure = Some(Error::Stopped(told, code));
        Ok(ControlFlow::Break(()))
    }
}

impl Watcher<'_> {
    fn end_of_epoch(&mut self, epoch: usize, model: &Model) -> Result<()> {
        let photos_per_second = self.loader.speed().photos_per_second;
        let Memory { sums, ranking, ended, .. } = &mut self.note.memory;
        let sums = std::mem::take(sums);
        let wanted = &self.run.settings.validation;
        let last = epoch + 1 == self.epochs;
        let due = last || (epoch + 1).is_multiple_of(wanted.every);
        let look = match &self.validation {
            Some(split) if due => Some(split.look(model, &self.recipe, self.console)?),
            _ => None,
        };
        let bytes = checkpoint::encode(model)?;
        self.folder.write(LAST, &bytes)?;
        if let Some(look) = &look {
            let keep = self.run.settings.checkpoint.keep;
            let miou = look.masks.as_ref().and_then(|report| report.mean_iou);
            let place = ranking.see(epoch + 1, wanted.best.score(look.loss(), miou), keep);
            if place == Place::First {
                self.folder.write(BEST, &bytes)?;
            }
            if place != Place::Out && keep > 1 {
                self.folder.write_epoch(epoch + 1, &bytes)?;
            }
            *ended = !last && ranking.is_over(wanted.patience);
        } else if self.validation.is_none() {
            // Nothing says that another epoch is better.
            self.folder.write(BEST, &bytes)?;
        }
        let steps = sums.steps.max(1) as f64;
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let log = EpochLog {
            epoch: epoch + 1,
            step: sums.step,
            rate: sums.rate,
            loss_classification: mean(sums.classification, sums.classified),
            loss_segmentation: mean(sums.segmentation, sums.segmented),
            gradient_norm: sums.clipped.then(|| sums.gradient_norm / steps),
            photos_per_second,
            ..EpochLog::default()
        };
        self.tell(&log.with(look.as_ref()))?;
        if due {
            self.log.picture(epoch + 1, &self.sheet.tag(), &self.sheet.draw(model, &self.recipe)?)?;
        }
        Ok(())
    }

    /// Hands the numbers of an epoch to everyone who wants them: the logs and the console.
    fn tell(&mut self, log: &EpochLog) -> Result<()> {
        let line = self.log.epoch(log)?;
        self.note.memory.lines = self.log.lines();
        if self.run.json {
            self.console.print(&line);
        } else if log.was_looked_at() || self.validation.is_none() {
            let (model, epochs, summary) = (self.run.model, self.epochs, log.summary());
            self.console.note(format!("{model} epoch {}/{epochs}: {summary}", log.epoch));
        }
        if self.note.memory.ended {
            self.console.note(format!(
                "{} ends after epoch {}: {} looks at the validation split without a better one",
                self.run.model, log.epoch, self.run.settings.validation.patience
            ));
        }
        Ok(())
    }

    /// Writes the whole training. Until the new file is complete, the old one stays.
    fn save(&mut self, training: &Training<'_>) -> Result<()> {
        self.log.sync()?;
        let note = serde_json::to_value(&self.note)
            .map_err(|error| Error::Failed(format!("the checkpoint cannot be written: {error}")))?;
        self.folder.write(STATE, &training.encode(note)?)?;
        let epochs: Vec<usize> = self.note.memory.ranking.kept().iter().map(|look| look.epoch).collect();
        self.folder.keep_epochs(&epochs)?;
        let position = training.position();
        // At the end of an epoch the position is the start of the next.
        self.saved = Some((position.epoch + usize::from(position.batch > 0), position.step));
        (self.unsaved_steps, self.saved_at) = (0, Instant::now());
        Ok(())
    }
}
