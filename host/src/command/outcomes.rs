//! How it went with photos, one by one and altogether.

use std::{path::Path, time::Instant};

use serde_json::{Value, json};

use super::failures::one_error;
use crate::{
    Error, Result,
    console::{Console, Progress},
};

/// What became of a photo.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done; what there is to say about it, as a JSON object.
    Done(Value),
    /// All was there already.
    Skipped,
    Failed(Error),
}

/// What is done to photos.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'a> {
    /// What the progress says: "predict".
    pub(super) title: &'static str,
    /// What a photo is in the end: "segmented".
    pub(super) done: &'static str,
    /// Where the results go.
    pub(super) out: &'a Path,
    /// Whether a line of JSON is printed for each photo, and one at the end.
    pub(super) json: bool,
}

/// What became of the photos so far.
pub(super) struct Outcomes<'a> {
    work: Work<'a>,
    console: &'a Console,
    progress: Option<Progress<'a>>,
    started: Instant,
    photos: usize,
    done: usize,
    skipped: usize,
    failures: Vec<Error>,
}

impl<'a> Outcomes<'a> {
    /// Of so many photos, none is done.
    pub(super) fn new(work: Work<'a>, console: &'a Console, photos: usize) -> Self {
        let progress = Some(console.progress(work.title, photos as u64));
        Self { work, console, progress, started: Instant::now(), photos, done: 0, skipped: 0, failures: Vec::new() }
    }

    /// Counts a photo, and prints it where each is wanted.
    pub(super) fn add(&mut self, name: &str, photo: &Path, outcome: Outcome) {
        if self.work.json {
            let line = json!({ "name": name, "photo": photo.to_string_lossy() });
            let said = match &outcome {
                Outcome::Done(said) => said.clone(),
                Outcome::Skipped => json!({ "skipped": true }),
                Outcome::Failed(error) => json!({ "error": error.to_string() }),
            };
            self.console.print(merged(line, said));
        }
        match outcome {
            Outcome::Done(_) => self.done += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed(error) => self.failures.push(error),
        }
        if let Some(progress) = &self.progress {
            progress.message(name.to_owned());
            progress.advance(1);
        }
    }

    /// Counts photos that could not even be looked for; they have no name.
    pub(super) fn add_unusable(&mut self, errors: Vec<Error>) {
        for error in errors {
            if self.work.json {
                self.console.print(json!({ "error": error.to_string() }));
            }
            self.failures.push(error);
            if let Some(progress) = &self.progress {
                progress.advance(1);
            }
        }
    }

    /// Photos counted so far, and all.
    pub(super) const fn position(&self) -> (usize, usize) {
        (self.done + self.skipped + self.failures.len(), self.photos)
    }

    /// Prints a result, once the progress is out of its way.
    pub(super) fn print(&mut self, text: impl std::fmt::Display) {
        drop(self.progress.take());
        self.console.print(text);
    }

    /// Says how it went; `more`, an object, is added to the summary in JSON.
    ///
    /// # Errors
    /// One error for all that failed. A single failure is reported as itself.
    pub(super) fn finish(mut self, more: Value) -> Result<()> {
        drop(self.progress.take());
        let (failed, Work { done, out, .. }) = (self.failures.len(), self.work);
        if self.work.json {
            let mut summary = json!({
                "photos": self.photos, "skipped": self.skipped, "failed": failed,
                "out": out.to_string_lossy(), "seconds": self.started.elapsed().as_secs_f64(),
            });
            summary[done] = json!(self.done);
            self.console.print(json!({ "summary": merged(summary, more) }));
        }
        let plural = if self.done == 1 { "" } else { "s" };
        let mut note = format!("{} photo{plural} {done} into {}", self.done, out.display());
        for (count, what) in [(self.skipped, "skipped, as their results are there"), (failed, "failed")] {
            if count > 0 {
                note += &format!(", {count} {what}");
            }
        }
        self.console.note(note);
        one_error(self.failures, self.photos, &format!("photos could not be {done}"))
    }
}

/// An object with the keys of another added.
fn merged(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}
