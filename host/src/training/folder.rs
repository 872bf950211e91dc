//! The files of a run's folder.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{Error, Result, files, log::METRICS};

/// The checkpoint of the last epoch.
pub const LAST: &str = "last.safetensors";
/// The checkpoint of the best epoch, by the validation loss or what the settings say.
pub const BEST: &str = "best.safetensors";
/// The whole training: what it goes on from.
pub const STATE: &str = "state.safetensors";
/// What was run: settings, command, versions, fingerprint of the data.
pub const RECORD: &str = "run.toml";

/// A run's folder, which no other process writes to meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held locked; the system lets go of it however the process ends.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and clears away what a process left that was killed while it wrote.
    ///
    /// # Errors
    /// The folder cannot be written, or another training is in it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        files::create_folder(path)?;
        let name = path.join(".lock");
        let lock = File::create(&name).map_err(|error| Error::input(&name, format!("cannot be written ({error})")))?;
        // Where the system has no locks, a person has to take care.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Error::input(path, "another training is writing to this folder; wait for it or stop it"));
        }
        files::remove_parts(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Removes what an earlier run left; its state first, so that nothing goes on from there.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(super) fn clear(&self) -> Result<()> {
        [STATE, RECORD, METRICS, BEST, LAST].into_iter().try_for_each(|name| remove(&self.path.join(name)))?;
        self.keep_epochs(&[])
    }

    /// The path of one of its files.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces a file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        files::write_durable(&self.path.join(name), bytes)
    }

    /// Writes the checkpoint of an epoch that is kept beside the best.
    pub(super) fn write_epoch(&self, epoch: usize, bytes: &[u8]) -> Result<()> {
        self.write(&format!("epoch-{epoch}.safetensors"), bytes)
    }

    /// Removes the checkpoints of all other epochs.
    pub(super) fn keep_epochs(&self, epochs: &[usize]) -> Result<()> {
        let failed = |error| Error::failed(&self.path, error);
        for entry in self.path.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let epoch = name.to_str().and_then(|name| name.strip_prefix("epoch-")?.strip_suffix(".safetensors"));
            match epoch.and_then(|number| number.parse().ok()) {
                Some(epoch) if !epochs.contains(&epoch) => remove(&entry.path())?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::failed(path, format!("cannot be removed ({error})")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_training_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::open(dir.path()).unwrap();
        let message = Folder::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("another training"), "{message}");
        drop(first);
        Folder::open(dir.path()).unwrap();
    }

    #[test]
    fn only_its_own_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["epoch-1.safetensors", "epoch-12.safetensors", "epoch-x.safetensors", ".wseg-a.part", "diary.txt"];
        for name in names.iter().chain(&[LAST, BEST, STATE, RECORD, METRICS]) {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = Folder::open(dir.path()).unwrap();
        assert!(!folder.file(".wseg-a.part").exists());
        folder.keep_epochs(&[12]).unwrap();
        assert_eq!(names.map(|name| folder.file(name).exists()), [false, true, true, false, true]);
        folder.clear().unwrap();
        assert_eq!(names.map(|name| folder.file(name).exists()), [false, false, true, false, true]);
        assert!([LAST, BEST, STATE, RECORD, METRICS].iter().all(|name| !folder.file(name).exists()));
    }
}
