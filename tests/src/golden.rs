//! Golden files: inputs, parameters and expected outputs of one computation, in one safetensors file.
//!
//! Inputs are called `in.*`, expected outputs `out.*`; the header's `__metadata__` holds the parameters as JSON
//! values and, under `op`, the computation's name. What is read is bounded and checked: a file made by anyone may
//! be given to `wseg verify`, and the worst it gets is one sentence.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use safetensors::{
    Dtype, SafeTensors,
    tensor::{Metadata, TensorInfo},
};
use serde_json::Value;
use wseg_core::Shape;

/// Largest file that is read, in bytes. The largest golden case of the project is about 2 MB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// Largest header that is parsed, in bytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Bytes before a safetensors header: its length.
const LENGTH_BYTES: usize = 8;

/// Why a golden file cannot be used. Every message is one sentence that starts with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file cannot be opened or read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// One array of a golden file, its elements converted to f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents as written in the file, at most four.
    pub extents: Vec<usize>,
    /// Elements in row-major order.
    pub values: Vec<f64>,
}

impl Array {
    /// The extents as a rank-four shape, missing ones 1 at the end: `[n, c]` becomes `[n, c, 1, 1]`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let extent = |axis: usize| self.extents.get(axis).copied().unwrap_or(1);
        Shape::new(extent(0), extent(1), extent(2), extent(3))
    }
}

/// A golden file, its header checked and its arrays still in bytes.
#[derive(Clone, Debug)]
pub struct Golden {
    path: PathBuf,
    op: String,
    parameters: BTreeMap<String, Value>,
    metadata: Metadata,
    /// The bytes after the header.
    data: Vec<u8>,
}

impl Golden {
    /// Reads a golden file.
    ///
    /// # Errors
    /// [`GoldenError`] if the file cannot be read, is larger than [`MAX_FILE_BYTES`] or is not a golden file.
    pub fn read(path: &Path) -> Result<Self, GoldenError> {
        let failed = |source| GoldenError::Read { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        // The bound is on what is read, not on what the file system claims: a pipe or device has no length.
        File::open(path).map_err(failed)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::from_bytes(path, bytes)
    }

    /// A golden file already in memory; `path` is the name that errors use.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if the bytes are not a golden file.
    pub fn from_bytes(path: &Path, mut bytes: Vec<u8>) -> Result<Self, GoldenError> {
        let refuse = |reason: String| GoldenError::Content { path: path.to_path_buf(), reason };
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(refuse(format!("is larger than the {MAX_FILE_BYTES} bytes a golden file may have")));
        }
        if let Some(length) = bytes.first_chunk::<LENGTH_BYTES>().map(|length| u64::from_le_bytes(*length))
            && length > MAX_HEADER_BYTES
        {
            return Err(refuse(format!(
                "is not a safetensors file: its header claims {length} bytes, more than the {MAX_HEADER_BYTES} allowed"
            )));
        }
        let (header, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| refuse(format!("is not a safetensors file: {error}")))?;
        let data = bytes.split_off(LENGTH_BYTES + header);
        let mut parameters: BTreeMap<String, Value> = metadata
            .metadata()
            .iter()
            .flatten()
            // Names (`op`, `backbone`) are written as they are, without quotes.
            .map(|(key, text)| {
                (key.clone(), serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
            })
            .collect();
        let Some(Value::String(op)) = parameters.remove("op") else {
            return Err(refuse("is not a golden file: its metadata does not name the `op`".to_owned()));
        };
        Ok(Self { path: path.to_path_buf(), op, parameters, metadata, data })
    }

    /// The file's name, as given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The computation's name.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.op
    }

    /// Bytes of all arrays together.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Names of the expected outputs, sorted, without their `out.`.
    #[must_use]
    pub fn outputs(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.metadata.offset_keys().iter().filter_map(|key| key.strip_prefix("out.").map(str::to_owned)).collect();
        names.sort();
        names
    }

    /// Whether the file holds an array of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The array called `name`, such as `in.logits`.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if there is none, it is empty, or its rank or element type is not supported.
    pub fn array(&self, name: &str) -> Result<Array, GoldenError> {
        let (info, bytes) = self.bytes(name)?;
        let values = match info.dtype {
            Dtype::U8 => bytes.iter().map(|&byte| f64::from(byte)).collect(),
            Dtype::F32 => bytes.as_chunks().0.iter().map(|chunk| f64::from(f32::from_le_bytes(*chunk))).collect(),
            Dtype::F64 => bytes.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect(),
            other => {
                return Err(self.refuse(format!("`{name}` has element type {other:?}, expected U8, F32 or F64")));
            }
        };
        Ok(Array { extents: info.shape.clone(), values })
    }

    /// The unsigned bytes of the array called `name`.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if there is none, it is empty or has another element type.
    pub fn bytes_of(&self, name: &str) -> Result<Vec<u8>, GoldenError> {
        let (info, bytes) = self.bytes(name)?;
        match info.dtype {
            Dtype::U8 => Ok(bytes.to_vec()),
            other => Err(self.refuse(format!("`{name}` has element type {other:?}, expected U8"))),
        }
    }

    fn bytes(&self, name: &str) -> Result<(&TensorInfo, &[u8]), GoldenError> {
        let info = self.metadata.info(name).ok_or_else(|| self.refuse(format!("has no array `{name}`")))?;
        if info.shape.len() > 4 {
            return Err(self.refuse(format!("`{name}` has {} axes, expected at most 4", info.shape.len())));
        }
        if info.shape.contains(&0) {
            return Err(self.refuse(format!("`{name}` is empty")));
        }
        let (start, end) = info.data_offsets;
        let bytes = self.data.get(start..end).ok_or_else(|| self.refuse(format!("`{name}` leaves the file")))?;
        Ok((info, bytes))
    }

    /// The parameter called `key`, a finite number.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if it is missing or is something else.
    pub fn number(&self, key: &str) -> Result<f64, GoldenError> {
        let number = self.parameter(key)?.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.not(key, "a finite number"))
    }

    /// The parameter called `key`, an integer in `0..=limit`.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if it is missing or is something else.
    pub fn integer(&self, key: &str, limit: usize) -> Result<usize, GoldenError> {
        let wanted = || self.not(key, &format!("an integer up to {limit}"));
        index(self.parameter(key)?, limit).ok_or_else(wanted)
    }

    /// The parameter called `key`, a list of integers in `0..=limit`.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if it is missing or is something else.
    pub fn integers(&self, key: &str, limit: usize) -> Result<Vec<usize>, GoldenError> {
        let wanted = || self.not(key, &format!("a list of integers up to {limit}"));
        let list = self.parameter(key)?.as_array().ok_or_else(wanted)?;
        list.iter().map(|value| index(value, limit)).collect::<Option<_>>().ok_or_else(wanted)
    }

    /// How many values the parameter called `key`, a list, has.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if it is missing or not a list.
    pub fn list_len(&self, key: &str) -> Result<usize, GoldenError> {
        self.parameter(key)?.as_array().map(Vec::len).ok_or_else(|| self.not(key, "a list"))
    }

    /// The parameter called `key`, true or false.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if it is missing or is something else.
    pub fn flag(&self, key: &str) -> Result<bool, GoldenError> {
        self.parameter(key)?.as_bool().ok_or_else(|| self.not(key, "true or false"))
    }

    /// The parameter called `key`, a text.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if it is missing or is something else.
    pub fn text(&self, key: &str) -> Result<&str, GoldenError> {
        self.parameter(key)?.as_str().ok_or_else(|| self.not(key, "a text"))
    }

    /// The parameter called `key`, a list of texts.
    ///
    /// # Errors
    /// [`GoldenError::Content`] if it is missing or is something else.
    pub fn texts(&self, key: &str) -> Result<Vec<&str>, GoldenError> {
        let wanted = || self.not(key, "a list of texts");
        let list = self.parameter(key)?.as_array().ok_or_else(wanted)?;
        list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wanted)
    }

    fn parameter(&self, key: &str) -> Result<&Value, GoldenError> {
        self.parameters.get(key).ok_or_else(|| self.refuse(format!("has no parameter `{key}`")))
    }

    fn not(&self, key: &str, wanted: &str) -> GoldenError {
        self.refuse(format!("parameter `{key}` is not {wanted}"))
    }

    /// An error about this file's content.
    #[must_use]
    pub fn refuse(&self, reason: String) -> GoldenError {
        GoldenError::Content { path: self.path.clone(), reason }
    }
}

/// A JSON value as an integer in `0..=limit`; 3.0 counts as 3.
fn index(value: &Value, limit: usize) -> Option<usize> {
    let number = value.as_f64()?;
    let whole = number >= 0.0 && number.fract() == 0.0 && number <= limit as f64;
    // In range and whole, so that the conversion is exact.
    whole.then_some(number as usize)
}
