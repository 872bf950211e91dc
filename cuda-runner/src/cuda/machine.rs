//! The GPU as what runs the launches of `ops::kernels`.

use candle_core::{
    CudaDevice, CudaStorage, DType, Error, Layout, Result, Shape, Tensor, bail,
    cuda_backend::cudarc::driver::{LaunchConfig, PushKernelArg},
};

use super::{
    memory::{Elements, Output},
    modules::{self, Module},
};
use crate::ops::kernels::{Argument, Grid, Machine};

/// A GPU.
pub(crate) struct Gpu<'a>(&'a CudaDevice);

impl<'a> Gpu<'a> {
    /// The one that storage lies on.
    pub(crate) fn new(storage: &'a CudaStorage) -> Self {
        Self(&storage.device)
    }

    /// The one that the elements lie on.
    pub(crate) fn of(elements: &Elements<'a>) -> Self {
        Self(elements.device())
    }
}

/// Elements in its memory: a tensor's, or the machine's own.
pub(crate) enum Memory<'a> {
    /// Of a tensor, for as long as it is borrowed.
    Given(Elements<'a>),
    /// Made by the machine.
    Made(Output),
}

impl<'a> From<Elements<'a>> for Memory<'a> {
    fn from(elements: Elements<'a>) -> Self {
        Self::Given(elements)
    }
}

impl<'a> Memory<'a> {
    /// The elements of storage.
    ///
    /// # Errors
    /// As [`Elements::new`].
    pub(crate) fn new(name: &str, storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        Ok(Self::Given(Elements::new(name, storage, layout)?))
    }

    fn pointer(&self) -> u64 {
        match self {
            Self::Given(elements) => elements.pointer(),
            Self::Made(output) => output.pointer(),
        }
    }

    /// A result.
    ///
    /// # Errors
    /// If it is a tensor's.
    pub(crate) fn made(self) -> Result<Output> {
        match self {
            Self::Made(output) => Ok(output),
            Self::Given(_) => bail!("a result is memory of its own"),
        }
    }

    /// A result as `cuda_fwd` gives it back.
    ///
    /// # Errors
    /// If it is a tensor's.
    pub(crate) fn into_storage(self) -> Result<CudaStorage> {
        Ok(self.made()?.into_storage())
    }

    /// A result as a tensor without gradient.
    ///
    /// # Errors
    /// If it is a tensor's already, or has another number of elements than the shape.
    pub(crate) fn into_tensor(self, shape: impl Into<Shape>) -> Result<Tensor> {
        self.made()?.into_tensor(shape)
    }
}

/// Bytes that an argument may have: a table of 32 pointers.
type Bits = [u64; 32];

fn single(bits: u64) -> Bits {
    let mut all = [0; 32];
    all[0] = bits;
    all
}

/// Up to 32 numbers of 8 bytes, one after the other.
fn table(values: impl ExactSizeIterator<Item = u64>) -> Result<Bits> {
    let mut all = [0; 32];
    if values.len() > all.len() {
        bail!("a table of {} values", values.len());
    }
    all.iter_mut().zip(values).for_each(|(place, value)| *place = value);
    Ok(all)
}

/// An argument's bytes, in the order in which a little-endian machine has them. A kernel takes as many as it needs.
fn bits(argument: Argument<'_, Memory<'_>>) -> Result<Bits> {
    // The sign of an `int` is in its lower half.
    let int = |value: i32| u64::from(value as u32);
    match argument {
        Argument::In(memory) | Argument::Out(memory) => Ok(single(memory.pointer())),
        Argument::NoIn(_) => Ok(single(0)),
        Argument::Int(value) => Ok(single(int(value))),
        Argument::Long(value) => Ok(single(value as u64)),
        Argument::Real(value) => Ok(single(value.to_bits())),
        Argument::Ins(memories) | Argument::Outs(memories) => table(memories.iter().map(|memory| memory.pointer())),
        Argument::Longs(values) => table(values.iter().map(|&value| value as u64)),
        Argument::Reals(values) => table(values.iter().map(|value| value.to_bits())),
        Argument::Ints(values) => {
            let pair = |pair: &[i32]| int(pair[0]) | pair.get(1).map_or(0, |&second| int(second) << 32);
            table(values.chunks(2).map(pair))
        }
    }
}

/// The file of kernels with that name.
fn module(name: &str) -> Result<&'static Module> {
    Ok(match name {
        "binary" => &modules::BINARY,
        "cross_entropy" => &modules::CROSS_ENTROPY,
        "depthwise" => &modules::DEPTHWISE,
        "head" => &modules::HEAD,
        "norm" => &modules::NORM,
        "pamr" => &modules::PAMR,
        "pool" => &modules::POOL,
        "pseudo" => &modules::PSEUDO,
        "resize" => &modules::RESIZE,
        "sgd" => &modules::SGD,
        "shift" => &modules::SHIFT,
        "softmax" => &modules::SOFTMAX,
        "unary" => &modules::UNARY,
        _ => bail!("there are no kernels `{name}`"),
    })
}

impl<'a> Machine for Gpu<'a> {
    type Memory = Memory<'a>;

    fn make(&self, dtype: DType, count: usize) -> Result<Memory<'a>> {
        Ok(Memory::Made(Output::new("a kernel", self.0, dtype, count)?))
    }

    fn dtype(memory: &Memory<'a>) -> DType {
        match memory {
            Memory::Given(elements) => elements.dtype(),
            Memory::Made(output) => output.elements().dtype(),
        }
    }

    fn count(memory: &Memory<'a>) -> usize {
        match memory {
            Memory::Given(elements) => elements.count(),
            Memory::Made(output) => output.elements().count(),
        }
    }

    unsafe fn launch(
        &self,
        module: &'static str,
        kernel: &str,
        grid: Grid,
        arguments: &[Argument<'_, Memory<'a>>],
    ) -> Result<()> {
        let told = |what: &str, error: &dyn std::fmt::Display| {
            Error::Cuda(format!("the kernel `{kernel}` cannot be {what}: {error}").into())
        };
        let module = self::module(module)?;
        let function = self
            .0
            .get_or_load_custom_func(kernel, module.name, module.ptx)
            .map_err(|error| told("loaded (is the driver as new as the CUDA toolkit that built this?)", &error))?;
        let bytes = arguments.iter().map(|&argument| bits(argument)).collect::<Result<Vec<_>>>()?;
        let mut builder = function.builder();
        for bytes in &bytes {
            builder.arg(bytes);
        }
        let [x, y, z] = grid.blocks;
        let configuration = LaunchConfig { grid_dim: (x, y, z), block_dim: (grid.threads, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the caller's; and every argument has at least as many bytes as any parameter.
        unsafe { builder.launch(configuration) }.map_err(|error| told("launched", &error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_bytes_as_a_kernel_has_them() {
        let first = |argument| bits(argument).unwrap()[..2].to_vec();
        assert_eq!(first(Argument::Int(-1)), [0xFFFF_FFFF, 0]);
        assert_eq!(first(Argument::Long(-1)), [u64::MAX, 0]);
        assert_eq!(first(Argument::Real(1.0)), [0x3FF0_0000_0000_0000, 0]);
        assert_eq!(first(Argument::NoIn(DType::F32)), [0, 0]);
        assert_eq!(first(Argument::Ints(&[1, -1, 2])), [0xFFFF_FFFF_0000_0001, 2]);
        assert_eq!(first(Argument::Reals(&[0.0, 1.0])), [0, 0x3FF0_0000_0000_0000]);
        assert!(bits(Argument::Longs(&[0; 33])).is_err());
    }
}
