//! Whether the saved training in a folder is the one that is to go on.

use std::path::Path;

use wseg_cuda_runner::train::Saved;

use super::{
    folder::RECORD,
    watcher::{Memory, Note},
};
use crate::{
    Error, Result,
    console::Console,
    settings::{Settings, difference},
};

/// The settings as they are saved and compared.
pub(super) fn text(settings: &Settings) -> Result<String> {
    toml::to_string(settings).map_err(|error| Error::Failed(format!("the settings cannot be written: {error}")))
}

/// The saved training at `path`, which must be of the settings, the model and the data that `now` says.
///
/// # Errors
/// The file is damaged; or one sentence that names what has changed.
pub(super) fn read(path: &Path, now: &Note, console: &Console) -> Result<(Saved, Memory)> {
    let saved = Saved::read(path)?;
    let note: Note = serde_json::from_value(saved.note().clone())
        .map_err(|error| Error::input(path, format!("was not saved by this version of wseg ({error})")))?;
    let changed = |what: String| Err(Error::input(path, what));
    if note.model != now.model {
        return changed(format!("is the {} model, but {RECORD} says {}; put it back", note.model, now.model));
    }
    if note.settings != now.settings {
        let table = |text: &str| text.parse::<toml::Table>().map(toml::Value::Table);
        return match (table(&note.settings), table(&now.settings)) {
            (Ok(then), Ok(now)) => changed(match difference(&then, &now) {
                Some((key, then, now)) => format!(
                    "was trained with {key} = {then}, but {RECORD} says {now}; put it back, or start a new run with it"
                ),
                None => format!("was trained with other settings than {RECORD} has; start a new run with them"),
            }),
            _ => changed("holds settings that cannot be read; the file is damaged".to_owned()),
        };
    }
    if note.fingerprint != now.fingerprint {
        return changed(format!(
            "was trained on other data (names, sizes and image labels of the training split: fingerprint {}, now {}); \
             put them back, or start a new run",
            note.fingerprint.escape_debug(),
            now.fingerprint
        ));
    }
    if note.threads != now.threads {
        console.warn(format_args!(
            "{}: trained on {} threads so far, now on {}: the result will differ in its last digits",
            path.display(),
            note.threads,
            now.threads
        ));
    }
    Ok((saved, note.memory))
}

/// Completes an error about a file's content with its name.
pub(super) fn named<T>(path: &Path, result: wseg_cuda_runner::Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        wseg_cuda_runner::Error::Config(problem) => Error::input(path, problem),
        other => other.into(),
    })
}
