//! Files that are either whole or absent: every output is written to a temporary file beside its place, then renamed.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How the names of temporary files begin and end.
const PREFIX: &str = ".wseg-";
const SUFFIX: &str = ".part";

/// Writes `bytes` to `path`, creating its folders. A reader sees the old file or the new one, never a part.
///
/// # Errors
/// One sentence naming the file when a folder cannot be created or the file cannot be written.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, |writer| writer.write_all(bytes))
}

/// [`write_atomic`], and the file is there after a power cut, too: its name is on the disk as well as its content.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_durable(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, bytes)?;
    #[cfg(unix)]
    {
        let synced = fs::File::open(folder_of(path)).and_then(|folder| folder.sync_all());
        match synced {
            // Some file systems keep names without being asked, and refuse to be asked.
            Err(error) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                return Err(Error::failed(path, format!("writing failed ({error})")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes the temporary files that killed processes have left in `folder`. Nobody may be writing there.
///
/// # Errors
/// The folder cannot be read, or a file not removed.
pub fn remove_parts(folder: &Path) -> Result<()> {
    let failed = |error: io::Error| Error::failed(folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if ours && entry.file_type().map_err(failed)?.is_file() {
            fs::remove_file(entry.path()).map_err(|error| Error::failed(&entry.path(), error))?;
        }
    }
    Ok(())
}

/// Streams a file into place: `fill` writes to a buffered temporary file in the same folder, which is flushed to the
/// disk and renamed only if `fill` succeeds. If it fails, nothing is left behind and an existing file stays as it was.
///
/// # Errors
/// As [`write_atomic`]; an error of `fill` is reported with the file's name.
pub fn write_atomic_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    if path.is_dir() {
        return Err(Error::input(path, "is a folder, not a file; choose another name for the output"));
    }
    if path.file_name().is_none() {
        return Err(Error::input(path, "does not name a file; choose a file name for the output"));
    }
    let folder = folder_of(path);
    create_folder(folder)?;
    let mut temporary = new_file_mode(tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX))
        .tempfile_in(folder)
        .map_err(|error| Error::input(path, format!("cannot be written ({error}); check the folder's permissions")))?;
    let failed = |error: io::Error| Error::failed(path, format!("writing failed ({error})"));
    let mut writer = BufWriter::new(temporary.as_file_mut());
    fill(&mut writer).map_err(failed)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Creates `folder` and its parents if they are missing.
///
/// # Errors
/// One sentence naming the folder, for instance when a file is in its place.
pub fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if folder.exists() {
        return Err(Error::input(folder, "is a file, but a folder is needed here; choose another output folder"));
    }
    fs::create_dir_all(folder)
        .map_err(|error| Error::input(folder, format!("the folder cannot be created ({error}); choose another one")))
}

/// Files that must not be written over, whatever path leads to them.
#[derive(Debug)]
pub struct Kept(HashSet<PathBuf>);

impl Kept {
    /// Those of these paths that are there.
    pub fn new<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self(paths.into_iter().filter_map(|path| path.as_ref().canonicalize().ok()).collect())
    }

    /// Whether a path leads to one of them.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| self.0.contains(&path))
    }
}

/// The folder that `path` lies in; the current folder for a bare file name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Temporary files are private by default; an output gets the permissions any new file would have.
fn new_file_mode<'b, 'n, 's>(builder: &'b mut tempfile::Builder<'n, 's>) -> &'b mut tempfile::Builder<'n, 's> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666))
    }
    #[cfg(not(unix))]
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_with_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn a_failed_writer_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        write_atomic(&path, b"old").unwrap();
        let error = write_atomic_with(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("the source ran dry"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("kept.txt") && error.to_string().contains("ran dry"), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        write_durable(&path, b"whole").unwrap();
        fs::write(folder.path().join(".wseg-Ab12.part"), "half").unwrap();
        fs::create_dir(folder.path().join(".wseg-folder.part")).unwrap();
        remove_parts(folder.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the file and the folder");
    }

    #[test]
    fn a_file_in_place_of_a_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write_atomic(&file, b"").unwrap();
        let error = write_atomic(&file.join("below.txt"), b"").unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
        assert_eq!(error.exit_code(), 2);
        assert_eq!(write_atomic(folder.path(), b"").unwrap_err().exit_code(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn an_output_is_as_readable_as_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_atomic(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
