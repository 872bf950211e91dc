//! Checkpoints: a model's configuration and parameters in one safetensors file.

use std::{borrow::Cow, collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use safetensors::{SafeTensors, View};

use crate::{
    Error, Result,
    model::{Model, NetworkConfig},
    weights::{self, Format, StateDict},
};

/// Metadata key under which the network's configuration stands, as JSON. The only key: several would be written in
/// random order, and the same model must give the same bytes.
const KEY: &str = "wseg";

/// The checkpoint's bytes: parameters and statistics in float32, by name.
///
/// # Errors
/// [`Error::Training`] naming a parameter with a value that is not finite; else if the device fails.
pub fn encode(model: &Model) -> Result<Vec<u8>> {
    let mut parts = Vec::new();
    for (name, entry) in model.params.borrow().iter() {
        parts.push((name.to_owned(), Part::new(name, &entry.var.as_detached_tensor())?));
    }
    let config = serde_json::to_string(&model.config).map_err(unwritable)?;
    write(parts, KEY, config)
}

/// A safetensors file of these tensors, with one entry of metadata.
pub(super) fn write(parts: Vec<(String, Part)>, key: &str, metadata: String) -> Result<Vec<u8>> {
    safetensors::serialize(parts, Some(HashMap::from([(key.to_owned(), metadata)]))).map_err(unwritable)
}

/// The error of a checkpoint that cannot be made.
pub(super) fn unwritable(error: impl std::fmt::Display) -> Error {
    Error::Training(format!("the checkpoint cannot be written: {error}"))
}

/// A tensor of a checkpoint. Its bytes are made when it is written: half a gigabyte of weights is not held twice.
#[derive(Debug)]
pub(super) struct Part(Tensor);

impl Part {
    /// A tensor in float32.
    ///
    /// # Errors
    /// If one of its values is not finite: nothing could be done with such a checkpoint.
    pub(super) fn new(name: &str, tensor: &Tensor) -> Result<Self> {
        let tensor = tensor.to_dtype(DType::F32)?;
        match tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()) {
            true => Ok(Self(tensor)),
            false => Err(Error::Training(format!(
                "the parameter `{name}` is no longer finite; a lower learning rate or a warm-up usually helps"
            ))),
        }
    }
}

impl View for Part {
    fn dtype(&self) -> safetensors::Dtype {
        safetensors::Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.dims()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // Read once already, when it was checked.
        let values = self.0.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).unwrap_or_default();
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        4 * self.0.elem_count()
    }
}

/// The model in a checkpoint file; none if the file holds weights that come without a description of their network.
///
/// # Errors
/// [`Error::File`](crate::Error::File) if the file cannot be read, holds no weights, or is a damaged checkpoint.
pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Option<Model>> {
    // The file's bytes are gone before the network is built: both may take half a gigabyte.
    let build = |contents: Option<_>| contents.map(|(config, state)| build(config, state, dtype, device)).transpose();
    weights::at(path, weights::read_bytes(path).and_then(|bytes| contents(&bytes)).and_then(build))
}

/// The model in a checkpoint's bytes; none if they are weights without a description of their network.
///
/// # Errors
/// [`Error::Config`] if the bytes hold no weights, or lack or misshape a parameter.
pub fn decode(bytes: &[u8], dtype: DType, device: &Device) -> Result<Option<Model>> {
    contents(bytes)?.map(|(config, state)| build(config, state, dtype, device)).transpose()
}

/// What a checkpoint says of its network, and its tensors.
fn contents(bytes: &[u8]) -> Result<Option<(NetworkConfig, StateDict)>> {
    if weights::sniff(bytes)? != Format::Safetensors {
        return Ok(None);
    }
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(weights::damaged)?;
    let Some(config) = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)) else { return Ok(None) };
    let config = serde_json::from_str(config)
        .map_err(|error| Error::Config(format!("describes a network this version cannot build: {error}")))?;
    Ok(Some((config, weights::parse(bytes)?)))
}

fn build(config: NetworkConfig, state: StateDict, dtype: DType, device: &Device) -> Result<Model> {
    let (model, report) = weights::model(state, config, dtype, device)?;
    match report.left_over.first().or(report.unneeded.first()) {
        None => Ok(model),
        Some(name) => Err(Error::Config(format!("has a parameter `{name}` that its network does not"))),
    }
}
