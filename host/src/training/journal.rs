//! What a run logs: a line of `metrics.jsonl` an epoch.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{Error, Result};

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
    /// Mean length of the gradient before it is clipped; absent where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Photos a second, validation left out. The only number that another run of the same seed may have otherwise.
    pub photos_per_second: f64,
    /// Classification loss on the validation split, where it was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Mean IoU with background on the validation split in percent, where it was looked at and has masks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_miou: Option<f64>,
}

impl EpochLog {
    /// The numbers that were logged, with their names; `epoch` and `step`, which say when, are not among them.
    #[must_use]
    pub fn scalars(&self) -> Vec<(String, f64)> {
        let fields = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => return Vec::new(),
        };
        let scalars = fields.into_iter().filter(|(name, _)| !["epoch", "step"].contains(&name.as_str()));
        scalars.filter_map(|(name, value)| Some((name, value.as_f64()?))).collect()
    }
}

/// The file `metrics.jsonl`, open to be continued.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Journal {
    /// Opens the file and cuts off what follows its first `lines` lines; it is made if it is not there.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path, lines: usize) -> Result<Self> {
        let failed = |error: io::Error| Error::failed(path, error);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(failed)?;
        let (kept, length) = prefix(&mut file, lines).map_err(failed)?;
        file.set_len(length).and_then(|()| file.seek(io::SeekFrom::End(0))).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, lines: kept })
    }

    /// Adds a line, which is returned.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, log: &EpochLog) -> Result<String> {
        let line =
            serde_json::to_string(log).map_err(|error| Error::Failed(format!("the log cannot be written: {error}")))?;
        writeln!(self.file, "{line}").map_err(|error| Error::failed(&self.path, error))?;
        self.lines += 1;
        Ok(line)
    }

    /// Whole lines in the file.
    #[must_use]
    pub const fn lines(&self) -> usize {
        self.lines
    }

    /// Waits until the lines are on the disk: a saved training must not count lines that a power cut takes away.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| Error::failed(&self.path, error))
    }
}

/// How many of the first `lines` lines there are, and their bytes.
fn prefix(file: &mut File, lines: usize) -> io::Result<(usize, u64)> {
    let (mut found, mut length, mut place) = (0, 0, 0);
    let mut buffer = [0; 1 << 14];
    while found < lines {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        for &byte in &buffer[..count] {
            place += 1;
            if byte == b'\n' && found < lines {
                (found, length) = (found + 1, place);
            }
        }
    }
    Ok((found, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(epoch: usize) -> EpochLog {
        EpochLog {
            epoch,
            step: 7,
            rate: 0.5,
            loss_classification: 0.25,
            loss_segmentation: None,
            gradient_norm: None,
            photos_per_second: 2.0,
            validation_loss: Some(0.125),
            validation_miou: None,
        }
    }

    #[test]
    fn what_follows_the_lines_that_count_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        for (text, lines, expected) in [
            ("", 0, ""),
            ("a\nb\nc\n", 0, ""),
            ("a\nb\nc\n", 2, "a\nb\n"),
            ("a\nb\nhalf", 2, "a\nb\n"),
            ("a\nhalf", 2, "a\n"),
            ("a\n", 5, "a\n"),
        ] {
            std::fs::write(&path, text).unwrap();
            let mut journal = Journal::open(&path, lines).unwrap();
            assert_eq!(journal.lines(), expected.lines().count(), "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{text:?}");
            let line = journal.append(&log(1)).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{expected}{line}\n"));
        }
    }

    #[test]
    fn scalars_are_what_was_measured() {
        let names: Vec<String> = log(3).scalars().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["loss_classification", "photos_per_second", "rate", "validation_loss"]);
        assert!(log(3).scalars().contains(&("validation_loss".to_owned(), 0.125)));
    }
}
