//! Named tensors as they lie in a file.

use std::{collections::BTreeMap, fmt};

use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};

use super::{problem, shown};
use crate::Result;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON header and bytes.
    Safetensors,
    /// What `torch.save` has written since PyTorch 1.6.
    Zip,
    /// What `torch.save` wrote before.
    Legacy,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Zip => "PyTorch zip",
            Self::Legacy => "PyTorch legacy pickle",
        })
    }
}

/// Types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Element {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether it is a floating-point number.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }
}

/// Elements in row-major order, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTensor {
    element: Element,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl RawTensor {
    /// A tensor of these bytes.
    ///
    /// # Errors
    /// If the bytes are not as many as the shape wants.
    pub fn new(element: Element, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Self> {
        match byte_count(element, &shape) {
            Some(wanted) if wanted == bytes.len() => Ok(Self { element, shape, bytes }),
            _ => Err(problem(format!("has {} bytes for {shape:?} elements of type {element:?}", bytes.len()))),
        }
    }

    /// The type of its elements.
    #[must_use]
    pub const fn element(&self) -> Element {
        self.element
    }

    /// Its extents; none for a single number.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The numbers as a tensor of candle's.
    ///
    /// # Errors
    /// If they are not floating-point numbers, or the device is out of memory.
    pub fn to_tensor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = self.shape.as_slice();
        let tensor = match dtype {
            DType::F64 => Tensor::from_vec(self.to_f64()?, shape, device)?,
            _ => Tensor::from_vec(self.to_f32()?, shape, device)?,
        };
        Ok(tensor.to_dtype(dtype)?)
    }

    /// The same numbers as [`Element::F16`] or [`Element::F32`]; what is no floating-point number stays as it is.
    ///
    /// # Errors
    /// If a number is beyond what the type can hold, or the type is another one.
    pub fn cast(self, element: Element) -> Result<Self> {
        if !self.element.is_float() || self.element == element {
            return Ok(self);
        }
        let beyond = |from: f64, to: f64| match from.is_finite() && !to.is_finite() {
            true => Err(problem(format!("holds {from:e}, which {element:?} cannot"))),
            false => Ok(()),
        };
        let numbers = self.to_f64()?;
        let mut bytes = Vec::with_capacity(numbers.len() * element.size());
        for number in numbers {
            match element {
                Element::F16 => {
                    let rounded = f16::from_f64(number);
                    beyond(number, rounded.to_f64())?;
                    bytes.extend(rounded.to_le_bytes());
                }
                Element::F32 => {
                    let rounded = number as f32;
                    beyond(number, f64::from(rounded))?;
                    bytes.extend(rounded.to_le_bytes());
                }
                other => return Err(problem(format!("cannot be converted to {other:?}"))),
            }
        }
        Ok(Self { element, bytes, shape: self.shape })
    }

    fn to_f32(&self) -> Result<Vec<f32>> {
        match self.element {
            Element::F32 => Ok(self.chunks().map(f32::from_le_bytes).collect()),
            Element::F16 => Ok(self.chunks().map(|chunk| f16::from_le_bytes(chunk).to_f32()).collect()),
            Element::Bf16 => Ok(self.chunks().map(|chunk| bf16::from_le_bytes(chunk).to_f32()).collect()),
            Element::F64 => Ok(self.chunks().map(|chunk| f64::from_le_bytes(chunk) as f32).collect()),
            other => Err(problem(format!("is of type {other:?}, which is no floating-point number"))),
        }
    }

    fn to_f64(&self) -> Result<Vec<f64>> {
        match self.element {
            Element::F64 => Ok(self.chunks().map(f64::from_le_bytes).collect()),
            _ => Ok(self.to_f32()?.into_iter().map(f64::from).collect()),
        }
    }

    fn chunks<const N: usize>(&self) -> impl Iterator<Item = [u8; N]> {
        self.bytes.as_chunks().0.iter().copied()
    }
}

/// Bytes of that many elements; `None` if no machine has as many.
pub(super) fn byte_count(element: Element, shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(element.size(), |product, &extent| product.checked_mul(extent))
}

/// Named tensors, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDict {
    format: Format,
    tensors: BTreeMap<String, RawTensor>,
}

impl StateDict {
    /// A state dict of these tensors. If all their names start with `module.`, as `DataParallel` writes them, they
    /// lose it.
    ///
    /// # Errors
    /// If there are none, or two of one name.
    pub fn new(format: Format, tensors: impl IntoIterator<Item = (String, RawTensor)>) -> Result<Self> {
        const PREFIX: &str = "module.";
        let mut named = BTreeMap::new();
        for (name, tensor) in tensors {
            let text = shown(&name);
            if named.insert(name, tensor).is_some() {
                return Err(problem(format!("has two tensors called `{text}`")));
            }
        }
        if named.is_empty() {
            return Err(problem("holds no tensors"));
        }
        // A name is never all prefix: something must be left of it.
        let prefix = |name: &String| {
            let mut rest = name.as_str();
            while let Some(shorter) = rest.strip_prefix(PREFIX).filter(|shorter| !shorter.is_empty()) {
                rest = shorter;
            }
            name.len() - rest.len()
        };
        let common = named.keys().map(prefix).min().unwrap_or(0);
        if common > 0 {
            named = named.into_iter().map(|(name, tensor)| (name[common..].to_owned(), tensor)).collect();
        }
        Ok(Self { format, tensors: named })
    }

    /// The format it was read from.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The tensors with their names, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensors with their names, sorted by name, taken out one by one.
    pub fn into_tensors(self) -> impl Iterator<Item = (String, RawTensor)> {
        self.tensors.into_iter()
    }

    /// The tensor called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawTensor> {
        self.tensors.get(name)
    }

    /// How many tensors there are; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Bytes of all tensors together.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.bytes.len()).sum()
    }

    /// The same tensors, floating-point numbers as [`Element::F16`] or [`Element::F32`].
    ///
    /// # Errors
    /// Names the first tensor with a number beyond what the type can hold.
    pub fn cast(self, element: Element) -> Result<Self> {
        let cast = |(name, tensor): (String, RawTensor)| match tensor.cast(element) {
            Ok(tensor) => Ok((name, tensor)),
            Err(error) => Err(problem(format!("`{}` {error}", shown(&name)))),
        };
        let tensors = self.tensors.into_iter().map(cast).collect::<Result<_>>()?;
        Ok(Self { format: self.format, tensors })
    }
}
