//! Writing `metrics.jsonl`, and going on with it where a saved training stands.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use super::EpochLog;
use crate::{Error, Result};

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
        let line = log.line()?;
        // One write, so that a killed process leaves the whole line or none, but for the disk's whims.
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(|error| Error::failed(&self.path, error))?;
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
            let line = journal.append(&EpochLog::default()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{expected}{line}\n"));
        }
    }
}
