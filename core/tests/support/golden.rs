//! Golden files of the repository, for the tests of this crate.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use wseg_core::Shape;

/// A golden file.
pub(crate) struct Golden(Vec<u8>);

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name).with_extension("safetensors");
        Self(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// An array's elements, and its shape with missing extents 1 at the end.
    pub(crate) fn array(&self, name: &str) -> (Shape, Vec<f64>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let extent = |axis: usize| view.shape().get(axis).copied().unwrap_or(1);
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
            Dtype::F64 => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("{name}: {other:?}"),
        };
        (Shape::new(extent(0), extent(1), extent(2), extent(3)), values)
    }

    /// A parameter.
    pub(crate) fn number(&self, name: &str) -> f64 {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).unwrap();
        metadata.metadata().as_ref().unwrap()[name].parse().unwrap()
    }
}
