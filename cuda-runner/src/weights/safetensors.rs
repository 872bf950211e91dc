//! The safetensors format: a JSON header, then the tensors' bytes.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{Element, Format, RawTensor, StateDict, damaged, problem, shown};
use crate::Result;

/// Largest header that is parsed, in bytes. A tensor takes about a hundred.
pub(super) const MAX_HEADER_BYTES: u64 = 16 << 20;

/// The tensors of a safetensors file.
pub(super) fn parse(bytes: &[u8]) -> Result<StateDict> {
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let tensors = file.iter().map(|(name, view)| {
        let element = element(view.dtype()).ok_or_else(|| {
            problem(format!("has `{}` as {:?}, a type that is not supported", shown(name), view.dtype()))
        })?;
        Ok((name.to_owned(), RawTensor::new(element, view.shape().to_vec(), view.data().to_vec())?))
    });
    StateDict::new(Format::Safetensors, tensors.collect::<Result<Vec<_>>>()?)
}

/// A safetensors file of these tensors. The same tensors give the same bytes.
///
/// # Errors
/// If the names take more than a header can hold.
pub fn encode(state: &StateDict) -> Result<Vec<u8>> {
    let failed = |error| problem(format!("cannot be written as safetensors: {error}"));
    let views = state
        .iter()
        .map(|(name, tensor)| {
            Ok((name, TensorView::new(dtype(tensor.element()), tensor.shape().to_vec(), tensor.bytes())?))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    safetensors::serialize(views, None).map_err(failed)
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::U8,
        Dtype::U16 => Element::U16,
        Dtype::U32 => Element::U32,
        Dtype::U64 => Element::U64,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        _ => return None,
    })
}

const fn dtype(element: Element) -> Dtype {
    match element {
        Element::Bool => Dtype::BOOL,
        Element::U8 => Dtype::U8,
        Element::U16 => Dtype::U16,
        Element::U32 => Dtype::U32,
        Element::U64 => Dtype::U64,
        Element::I8 => Dtype::I8,
        Element::I16 => Dtype::I16,
        Element::I32 => Dtype::I32,
        Element::I64 => Dtype::I64,
        Element::F16 => Dtype::F16,
        Element::Bf16 => Dtype::BF16,
        Element::F32 => Dtype::F32,
        Element::F64 => Dtype::F64,
    }
}
