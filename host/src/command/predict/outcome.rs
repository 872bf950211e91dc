//! How it went, photo by photo and altogether.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    Error, Result,
    args::PredictArgs,
    console::{Console, Progress},
    data::Photo,
};

/// What became of a photo.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The classes found, as JSON.
    Segmented(Vec<Value>),
    /// All was there already.
    Skipped,
    Failed(Error),
}

/// What became of the photos so far.
pub(super) struct Outcomes<'a> {
    args: &'a PredictArgs,
    console: &'a Console,
    progress: Option<Progress<'a>>,
    started: Instant,
    photos: usize,
    segmented: usize,
    skipped: usize,
    failures: Vec<Error>,
}

impl<'a> Outcomes<'a> {
    /// Of so many photos, none is done.
    pub(super) fn new(args: &'a PredictArgs, console: &'a Console, photos: usize) -> Self {
        let progress = Some(console.progress("predict", photos as u64));
        let started = Instant::now();
        Self { args, console, progress, started, photos, segmented: 0, skipped: 0, failures: Vec::new() }
    }

    /// Counts a photo, and prints it where each is wanted.
    pub(super) fn add(&mut self, photo: &Photo, outcome: Outcome) {
        if self.args.json {
            let mut line = json!({ "name": photo.name, "photo": photo.path.to_string_lossy() });
            let (key, value) = match &outcome {
                Outcome::Segmented(classes) => ("classes", json!(classes)),
                Outcome::Skipped => ("skipped", json!(true)),
                Outcome::Failed(error) => ("error", json!(error.to_string())),
            };
            line[key] = value;
            self.console.print(line);
        }
        match outcome {
            Outcome::Segmented(_) => self.segmented += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed(error) => self.failures.push(error),
        }
        if let Some(progress) = &self.progress {
            progress.message(photo.name.clone());
            progress.advance(1);
        }
    }

    /// Says how it went.
    ///
    /// # Errors
    /// One error for all that failed. A single failure is reported as itself.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.progress.take());
        let failed = self.failures.len();
        if self.args.json {
            self.console.print(json!({ "summary": {
                "photos": self.photos, "segmented": self.segmented, "skipped": self.skipped, "failed": failed,
                "out": self.args.out.to_string_lossy(), "seconds": self.started.elapsed().as_secs_f64(),
            }}));
        }
        let plural = if self.segmented == 1 { "" } else { "s" };
        let mut note = format!("{} photo{plural} segmented into {}", self.segmented, self.args.out.display());
        for (count, what) in [(self.skipped, "skipped, as their results are there"), (failed, "failed")] {
            if count > 0 {
                note += &format!(", {count} {what}");
            }
        }
        self.console.note(note);
        one_error(self.failures, self.photos)
    }
}

fn one_error(mut failures: Vec<Error>, photos: usize) -> Result<()> {
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
