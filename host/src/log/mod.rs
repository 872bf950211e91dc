//! What a run writes about itself, in its folder: `metrics.jsonl`, a line an epoch, and an event file for TensorBoard.

mod epoch;
mod journal;
mod metrics_file;
pub mod tensorboard;

pub use epoch::{EpochLog, Percents};
pub use journal::Journal;
pub use metrics_file::{Metrics, parse_metrics, read_metrics};

use std::path::Path;

use image::RgbImage;

use crate::{Result, files};
use tensorboard::EventFile;

/// The name of the log in a run's folder.
pub const METRICS: &str = "metrics.jsonl";

/// The open logs of a run. What was written stays readable, whenever the process is killed.
#[derive(Debug)]
pub struct RunLog {
    metrics: Journal,
    events: EventFile,
}

impl RunLog {
    /// Starts the logs of a new run; those of a run that was in the folder are removed.
    ///
    /// # Errors
    /// If a file cannot be made or removed; the error names it.
    pub fn create(run: &Path) -> Result<Self> {
        files::create_folder(run)?;
        tensorboard::remove_all(run)?;
        Ok(Self { metrics: Journal::open(&run.join(METRICS), 0)?, events: EventFile::create(run, None)? })
    }

    /// Goes on with the logs of a run after its first `epochs` epochs: what was logged of later ones, whose work is lost,
    /// is taken out of `metrics.jsonl`, and TensorBoard is told to forget it.
    ///
    /// # Errors
    /// If `metrics.jsonl` cannot be used or a file cannot be made; the error names it.
    pub fn resume(run: &Path, epochs: usize) -> Result<Self> {
        files::create_folder(run)?;
        let metrics = Journal::open(&run.join(METRICS), epochs)?;
        Ok(Self { metrics, events: EventFile::create(run, Some(epochs + 1))? })
    }

    /// Logs an epoch, and returns its line of `metrics.jsonl`.
    ///
    /// # Errors
    /// If a file cannot be written; the error names it.
    pub fn epoch(&mut self, log: &EpochLog) -> Result<String> {
        let line = self.metrics.append(log)?;
        self.events.scalars(log.epoch, &log.scalars())?;
        Ok(line)
    }

    /// Lines of `metrics.jsonl`: the epochs that were logged.
    #[must_use]
    pub const fn lines(&self) -> usize {
        self.metrics.lines()
    }

    /// Waits until the lines are on the disk.
    ///
    /// # Errors
    /// If the file cannot be written; the error names it.
    pub fn sync(&self) -> Result<()> {
        self.metrics.sync()
    }

    /// Logs a picture of an epoch, for TensorBoard.
    ///
    /// # Errors
    /// If the file cannot be written; the error names it.
    pub fn picture(&mut self, epoch: usize, tag: &str, picture: &RgbImage) -> Result<()> {
        self.events.picture(epoch, tag, picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize) -> EpochLog {
        EpochLog { epoch, step: 10 * epoch, rate: 0.1, loss_classification: Some(0.5), ..EpochLog::default() }
    }

    fn epochs(run: &Path) -> Vec<usize> {
        read_metrics(&run.join(METRICS)).unwrap().epochs.iter().map(|log| log.epoch).collect()
    }

    fn event_files(run: &Path) -> usize {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        std::fs::read_dir(run).unwrap().map(name).filter(|name| name.contains("tfevents")).count()
    }

    #[test]
    fn a_resumed_run_forgets_what_was_logged_after_its_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut log = RunLog::create(&run).unwrap();
        (1..=3).for_each(|number| drop(log.epoch(&epoch(number)).unwrap()));
        // Killed while it wrote the line of the fourth epoch.
        let mut text = std::fs::read(run.join(METRICS)).unwrap();
        text.extend(b"{\"epoch\":4,\"st");
        std::fs::write(run.join(METRICS), text).unwrap();
        let mut log = RunLog::resume(&run, 2).unwrap();
        assert_eq!(epochs(&run), [1, 2]);
        log.epoch(&epoch(3)).unwrap();
        assert_eq!(epochs(&run), [1, 2, 3]);
        assert_eq!(event_files(&run), 2, "an event file for each process");
    }

    #[test]
    fn a_new_run_takes_nothing_from_the_run_it_replaces() {
        let folder = tempfile::tempdir().unwrap();
        RunLog::create(folder.path()).unwrap().epoch(&epoch(1)).unwrap();
        std::fs::write(folder.path().join("events.out.tfevents.1.elsewhere"), "not ours").unwrap();
        RunLog::create(folder.path()).unwrap();
        assert_eq!(epochs(folder.path()), [0_usize; 0]);
        assert_eq!(event_files(folder.path()), 2, "ours is replaced, others' stay");
    }

    #[test]
    fn a_run_that_never_logged_can_be_resumed() {
        let folder = tempfile::tempdir().unwrap();
        RunLog::resume(folder.path(), 0).unwrap().epoch(&epoch(1)).unwrap();
        assert_eq!(epochs(folder.path()), [1]);
    }
}
