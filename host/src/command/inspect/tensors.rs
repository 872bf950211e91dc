//! The header of a safetensors file, read without its data: a file of any size takes a moment and little memory.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::json;

use crate::{Error, Result, data::reason};

/// Largest header that is read, in bytes: that of a network with a hundred thousand tensors.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// The key under which a checkpoint of wseg describes its network.
const CHECKPOINT: &str = "wseg";

/// What a file says of its tensors, and what else.
#[derive(Debug, Default)]
pub(super) struct Header {
    metadata: BTreeMap<String, String>,
    /// The tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor, described.
#[derive(Debug, Deserialize)]
pub(super) struct TensorInfo {
    /// Element type as the format calls it: `F32`.
    pub dtype: String,
    pub shape: Vec<u64>,
    /// Where its data starts and ends behind the header.
    data_offsets: [u64; 2],
}

impl Header {
    /// Whether the file is a checkpoint of wseg.
    pub(super) fn is_checkpoint(&self) -> bool {
        self.metadata.contains_key(CHECKPOINT)
    }

    pub(super) fn elements(&self) -> u64 {
        self.tensors.values().map(TensorInfo::elements).fold(0, u64::saturating_add)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.tensors.values().map(TensorInfo::bytes).fold(0, u64::saturating_add)
    }
}

impl TensorInfo {
    /// Elements. A shape that nothing can hold has as many as can be counted.
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |count: u64, &extent| count.saturating_mul(extent))
    }

    fn bytes(&self) -> u64 {
        self.data_offsets[1].saturating_sub(self.data_offsets[0])
    }

    pub(super) fn json(&self, name: &str) -> serde_json::Value {
        json!({
            "name": name,
            "type": self.dtype,
            "shape": self.shape,
            "elements": self.elements(),
            "bytes": self.bytes(),
        })
    }

    /// What is wrong with it in a file with `data` bytes behind the header.
    fn problem(&self, data: u64) -> Option<String> {
        let [start, end] = self.data_offsets;
        if start > end || end > data {
            return Some(format!("lies at bytes {start} to {end} of {data}"));
        }
        let width = match self.dtype.as_str() {
            "F64" | "I64" | "U64" | "C64" => 8,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" | "I16" | "U16" => 2,
            "I8" | "U8" | "BOOL" | "F8_E4M3" | "F8_E5M2" => 1,
            // A type that came after this program: its size is not known here.
            _ => return None,
        };
        let needed = self.elements().saturating_mul(width);
        (needed != self.bytes()).then(|| format!("needs {needed} bytes and has {}", self.bytes()))
    }
}

/// Reads the header of a file and checks it against the file's size.
///
/// # Errors
/// The file cannot be read, or is not a whole safetensors file.
pub(super) fn read(path: &Path) -> Result<Header> {
    let foreign = |what: &str| Error::input(path, format!("is neither a checkpoint nor a safetensors file: {what}"));
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => foreign("it ends within its header"),
        _ => Error::input(path, reason(&error)),
    };
    // Before it is opened: a pipe would wait for a writer.
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::input(path, "is not a file; give a checkpoint or another safetensors file"));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES {
        return Err(foreign(&format!("its header would have {length} bytes")));
    }
    let mut text = vec![0; usize::try_from(length).map_err(|_| foreign("its header is too long"))?];
    file.read_exact(&mut text).map_err(failed)?;
    let header: Header = serde_json::from_slice(&text).map_err(|error| foreign(&error.to_string()))?;
    let data = meta.len().saturating_sub(8 + length);
    for (name, tensor) in &header.tensors {
        if let Some(problem) = tensor.problem(data) {
            return Err(Error::input(path, format!("is damaged: the tensor `{}` {problem}", name.escape_debug())));
        }
    }
    if header.bytes() != data {
        let problem = format!("is damaged: its tensors have {} bytes, behind its header are {data}", header.bytes());
        return Err(Error::input(path, problem));
    }
    Ok(header)
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(name) = entries.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.metadata = entries.next_value()?;
                    } else if header.tensors.insert(name, entries.next_value()?).is_some() {
                        return Err(A::Error::custom("two tensors have one name"));
                    }
                }
                Ok(header)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
