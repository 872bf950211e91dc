//! Event files as TensorBoard reads them: records of protocol buffers, written by hand.
//!
//! A file is a sequence of [records](record), each of which holds one event: the file's version, the start of a
//! session, numbers, or a picture. Every record is handed to the system whole, so that a killed run leaves a file that
//! TensorBoard reads up to its last whole record.

mod message;
mod record;

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use image::{ImageFormat, RgbImage};

use crate::{Error, Result, data::reason, picture};
use message::Message;

/// What TensorBoard knows event files by.
const PREFIX: &str = "events.out.tfevents.";
/// What we know ours by; elsewhere the name of the machine is here.
const OURS: &str = ".wseg.";

/// An event file that is being written.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Starts a file in `folder`. TensorBoard reads the files of a folder in the order in which they were started, as one
    /// run. With `resumed`, everything that earlier files say of that step and later ones is forgotten.
    ///
    /// # Errors
    /// If the file cannot be made or written; the error names it.
    pub fn create(folder: &Path, resumed: Option<usize>) -> Result<Self> {
        let seconds = since_epoch().as_secs();
        // A run that is killed and resumed at once starts several files in one second: they are numbered.
        for number in 0..1_000_000 {
            let path = folder.join(format!("{PREFIX}{seconds:010}{OURS}{number:06}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut events = Self { path, file };
                    events.write(0, |event| event.bytes(message::FILE_VERSION, b"brain.Event:2"))?;
                    if let Some(step) = resumed {
                        let session = Message::new().integer(message::STATUS, message::STATUS_START);
                        events.write(step, |event| event.message(message::SESSION_LOG, session))?;
                    }
                    return Ok(events);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::failed(&path, reason(&error))),
            }
        }
        Err(Error::failed(folder, "holds a million event files of this second"))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes numbers of a step, by tag.
    ///
    /// # Errors
    /// If the file cannot be written; the error names it.
    pub fn scalars(&mut self, step: usize, scalars: &[(String, f64)]) -> Result<()> {
        let value = |(tag, value): &(String, f64)| {
            Message::new().bytes(message::TAG, tag.as_bytes()).float(message::SIMPLE_VALUE, *value as f32)
        };
        let summary =
            scalars.iter().fold(Message::new(), |summary, scalar| summary.message(message::VALUE, value(scalar)));
        self.write(step, |event| event.message(message::SUMMARY, summary))
    }

    /// Writes a picture of a step: the bytes of a PNG or JPEG file in colour, and its width and height.
    ///
    /// # Errors
    /// If the file cannot be written; the error names it.
    pub fn image(&mut self, step: usize, tag: &str, (width, height): (u32, u32), file: &[u8]) -> Result<()> {
        let image = Message::new()
            .integer(message::HEIGHT, u64::from(height))
            .integer(message::WIDTH, u64::from(width))
            .integer(message::COLOUR_SPACE, message::COLOUR_SPACE_RGB)
            .bytes(message::ENCODED, file);
        let value = Message::new().bytes(message::TAG, tag.as_bytes()).message(message::IMAGE, image);
        self.write(step, |event| event.message(message::SUMMARY, Message::new().message(message::VALUE, value)))
    }

    /// Writes a picture of a step, as JPEG: that takes a third of a PNG with photos.
    ///
    /// # Errors
    /// If the file cannot be written; the error names it.
    pub fn picture(&mut self, step: usize, tag: &str, picture: &RgbImage) -> Result<()> {
        let jpeg = picture::encode_photo(picture, ImageFormat::Jpeg)
            .map_err(|error| Error::Failed(format!("the picture `{tag}` cannot be encoded: {error}")))?;
        self.image(step, tag, picture.dimensions(), &jpeg)
    }

    fn write(&mut self, step: usize, fill: impl FnOnce(Message) -> Message) -> Result<()> {
        let event =
            Message::new().double(message::WALL_TIME, since_epoch().as_secs_f64()).integer(message::STEP, step as u64);
        let record = record::framed(&fill(event).into_bytes());
        self.file.write_all(&record).map_err(|error| Error::failed(&self.path, format!("cannot be written ({error})")))
    }
}

/// Removes the event files that [`EventFile::create`] made in `folder`; those of others stay.
///
/// # Errors
/// If a file cannot be removed; the error names it.
pub fn remove_all(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::failed(folder, reason(&error)))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::failed(folder, reason(&error)))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.contains(OURS) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|error| Error::failed(&path, reason(&error)))?;
        }
    }
    Ok(())
}

/// Time since 1970; a clock set before that is taken for it.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
