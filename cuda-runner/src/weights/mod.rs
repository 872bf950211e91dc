//! Weights from elsewhere: what `torch.save` and safetensors write, as named tensors.
//!
//! # Rooms
//! | module | holds |
//! |---|---|
//! | `state_dict` | [`StateDict`] and [`RawTensor`]: names and little-endian bytes |
//! | `safetensors` | that format, read and written |
//! | `pickle` | a machine that reads pickles and executes nothing |
//! | `zip`, `legacy` | the two files that `torch.save` has written around a pickle: since 1.6, and before |
//! | `torch` | what both have in common: which of the pickle's values is the state dict |
//! | `view` | a storage's elements behind offset, extents and strides |
//! | `load` | a state dict put into a network's parameters |
//!
//! # Foreign files
//! A file is what its content says, whatever it is called. It may be damaged or hostile: nothing in it is executed,
//! no length it claims is believed before it is held against the bytes that are there, and what is copied out of it
//! is bounded by its own length. What cannot be read is one sentence.

mod bytes;
mod legacy;
mod load;
mod pickle;
mod safetensors;
mod state_dict;
mod torch;
mod view;
mod zip;

use std::{fs::File, io::Read as _, path::Path};

pub use load::{Report, load, load_file, model};
pub use safetensors::encode;
pub use state_dict::{Element, Format, RawTensor, StateDict};

use crate::{Error, Result};

/// Largest file that is read. The largest network of the method has about half a gigabyte.
pub const MAX_FILE_BYTES: u64 = 8 << 30;

/// Bytes from which a format is told.
const HEAD_BYTES: usize = 64;

/// The state dict in a file: safetensors, or what `torch.save` writes.
///
/// # Errors
/// [`Error::File`] if the file cannot be read or is none of these.
pub fn read(path: &Path) -> Result<StateDict> {
    at(path, read_bytes(path).and_then(|bytes| parse(&bytes)))
}

/// The state dict in a file's bytes.
///
/// # Errors
/// [`Error::Config`] if the bytes are in none of the formats, or damaged.
pub fn parse(bytes: &[u8]) -> Result<StateDict> {
    match sniff(bytes)? {
        Format::Safetensors => safetensors::parse(bytes),
        Format::Zip => zip::parse(bytes),
        Format::Legacy => legacy::parse(bytes),
    }
}

/// The format that a file's first bytes promise.
pub(crate) fn sniff(head: &[u8]) -> Result<Format> {
    // A safetensors file starts with its header's length, and a header is a JSON object. The length may start with any
    // byte; those of the others make a length that no header has.
    let header = head.first_chunk().is_some_and(|length| u64::from_le_bytes(*length) <= safetensors::MAX_HEADER_BYTES);
    match head {
        [] => Err(problem("is empty; get the file again")),
        [_, _, _, _, _, _, _, _, b'{', ..] if header => Ok(Format::Safetensors),
        [b'P', b'K', 3, 4, ..] => Ok(Format::Zip),
        [pickle::PROTOCOL, ..] => Ok(Format::Legacy),
        _ => Err(problem("is neither a safetensors file nor one that PyTorch writes (.pth, .pt)")),
    }
}

/// A file's bytes, if its first ones promise something.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| problem(format!("cannot be read: {error}"));
    // Asked before it is opened: a pipe would wait for its writer, and a device may have no end.
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(problem("is not a file; name the file that holds the weights"));
    }
    if about.len() > MAX_FILE_BYTES {
        return Err(problem(format!("has {} bytes, more than the {MAX_FILE_BYTES} that are read", about.len())));
    }
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    (&file).take(HEAD_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
    sniff(&bytes)?;
    let rest = usize::try_from(about.len()).unwrap_or(usize::MAX).saturating_sub(bytes.len());
    bytes.try_reserve_exact(rest).map_err(|_| problem("does not fit into memory"))?;
    (&file).take(rest as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The error of a safetensors file that cannot be parsed.
pub(crate) fn damaged(error: ::safetensors::SafeTensorError) -> Error {
    problem(format!("is a damaged safetensors file ({error}); get the file again"))
}

/// An error about a file's content, to be completed with its name.
fn problem(text: impl Into<String>) -> Error {
    Error::Config(text.into())
}

/// Completes an error about a file's content with its name.
pub(crate) fn at<T>(path: &Path, result: Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        Error::Config(problem) => Error::File { path: path.to_owned(), problem },
        other => other,
    })
}

/// A name out of a foreign file, fit to be printed: on one line, without control characters, not too long.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = name.chars().take(LONGEST).collect::<String>().escape_debug().to_string();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
