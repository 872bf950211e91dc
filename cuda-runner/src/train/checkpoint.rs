//! Checkpoints: a model's configuration and parameters in one safetensors file.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use candle_core::{DType, Device, Tensor};
use safetensors::{SafeTensors, tensor::TensorView};

use crate::{
    Error, Result,
    model::{Model, NetworkConfig},
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

/// The model in a checkpoint file.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, is no wseg checkpoint, or lacks or misshapes a parameter.
pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Model> {
    let problem = |problem: String| Error::File { path: path.to_owned(), problem };
    let bytes = std::fs::read(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    decode(&bytes, dtype, device).map_err(|error| match error {
        Error::Config(text) => problem(text),
        other => other,
    })
}

/// The model in a checkpoint's bytes.
///
/// # Errors
/// [`Error::Config`] if the bytes are no wseg checkpoint, or lack or misshape a parameter.
pub fn decode(bytes: &[u8], dtype: DType, device: &Device) -> Result<Model> {
    let foreign = || {
        Error::Config(
            "is not a wseg checkpoint; weights from elsewhere need --preset, the name of their network".to_owned(),
        )
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|_| foreign())?;
    let config = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(foreign)?;
    let config: NetworkConfig = serde_json::from_str(config)
        .map_err(|error| Error::Config(format!("describes a network this version cannot build: {error}")))?;
    let file = SafeTensors::deserialize(bytes).map_err(|_| foreign())?;
    let mut values = BTreeMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != safetensors::Dtype::F32 {
            return Err(Error::Config(format!("has `{name}` as {:?}; checkpoints hold F32", view.dtype())));
        }
        let numbers: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        values.insert(name, Tensor::from_vec(numbers, view.shape(), device)?.to_dtype(dtype)?);
    }
    Model::from_values(config, values, dtype, device)
}
