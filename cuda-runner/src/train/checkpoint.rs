//! Checkpoints: a model's configuration and parameters in one safetensors file.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device};
use safetensors::{SafeTensors, tensor::TensorView};

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
/// If the device fails.
pub fn encode(model: &Model) -> Result<Vec<u8>> {
    let mut tensors = Vec::new();
    for (name, entry) in model.params.borrow().iter() {
        let tensor = entry.var.as_detached_tensor().to_dtype(DType::F32)?;
        let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name.to_owned(), tensor.dims().to_vec(), bytes));
    }
    let problem = |error: &dyn std::fmt::Display| Error::Training(format!("the checkpoint cannot be written: {error}"));
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).map_err(|e| problem(&e))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    let config = serde_json::to_string(&model.config).map_err(|e| problem(&e))?;
    safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), config)]))).map_err(|e| problem(&e))
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
