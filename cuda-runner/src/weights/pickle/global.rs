//! The functions and types that a state dict names. They are recognised, never looked up: there is nothing behind
//! them but the few lines in `build`.

use crate::weights::state_dict::Element;

/// What a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.Size`
    Size,
    /// `torch.FloatStorage` and its like
    Storage(Element),
    /// `torch.float32` and its like: an element type that is mentioned
    Dtype,
}

impl Global {
    /// The one with this name.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", "Size") => Some(Self::Size),
            ("torch", _) => match name.strip_suffix("Storage") {
                Some(kind) => storage(kind).map(Self::Storage),
                None => is_dtype(name).then_some(Self::Dtype),
            },
            _ => None,
        }
    }
}

fn storage(kind: &str) -> Option<Element> {
    Some(match kind {
        "Bool" => Element::Bool,
        "Byte" => Element::U8,
        "Char" => Element::I8,
        "Short" => Element::I16,
        "Int" => Element::I32,
        "Long" => Element::I64,
        "Half" => Element::F16,
        "BFloat16" => Element::Bf16,
        "Float" => Element::F32,
        "Double" => Element::F64,
        _ => return None,
    })
}

fn is_dtype(name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "uint8"
            | "int8"
            | "int16"
            | "int32"
            | "int64"
            | "float16"
            | "bfloat16"
            | "float32"
            | "float64"
            | "complex64"
            | "complex128"
    )
}
