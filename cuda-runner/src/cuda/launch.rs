//! Running a kernel.

use candle_core::{
    CudaDevice, DType, Error, Result, bail,
    cuda_backend::cudarc::driver::{LaunchConfig, PushKernelArg},
};

use super::{
    memory::{Elements, Output},
    modules::Module,
};

/// Threads of a block, where a kernel has no wish of its own.
pub(crate) const THREADS: u32 = 256;
/// Most blocks along the first axis of a grid over elements. With more elements, threads take several: such kernels
/// step by the number of threads.
const MOST_BLOCKS: u32 = 1 << 16;

/// The blocks of a launch, and the threads of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Along x, y and z.
    pub blocks: (u32, u32, u32),
    /// Along x, y and z.
    pub threads: (u32, u32, u32),
    /// Bytes of shared memory that the kernel asks for at launch.
    pub shared: u32,
}

impl Grid {
    /// About one thread for each of so many elements. The kernel steps by the number of all threads.
    pub(crate) fn over(count: usize) -> Self {
        let blocks = count.div_ceil(THREADS as usize).min(MOST_BLOCKS as usize) as u32;
        Self { blocks: (blocks, 1, 1), threads: (THREADS, 1, 1), shared: 0 }
    }

    /// One block of `threads` threads for each of so many items: reductions.
    ///
    /// # Errors
    /// If there are more items than a grid has blocks.
    pub(crate) fn each(items: usize, threads: u32) -> Result<Self> {
        match i32::try_from(items) {
            Ok(items) => Ok(Self { blocks: (items as u32, 1, 1), threads: (threads, 1, 1), shared: 0 }),
            Err(_) => bail!("{items} items are more than a GPU's grid has blocks"),
        }
    }
}

/// An argument of a kernel: its bits, in the order in which a little-endian machine has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Argument(u64);

impl From<&Elements<'_>> for Argument {
    fn from(elements: &Elements<'_>) -> Self {
        Self(elements.pointer())
    }
}

impl From<&Option<Elements<'_>>> for Argument {
    /// A null pointer stands for none.
    fn from(elements: &Option<Elements<'_>>) -> Self {
        Self(elements.as_ref().map_or(0, Elements::pointer))
    }
}

impl From<&mut Output> for Argument {
    fn from(output: &mut Output) -> Self {
        Self(output.pointer())
    }
}

impl From<&mut Option<Output>> for Argument {
    /// A null pointer stands for none.
    fn from(output: &mut Option<Output>) -> Self {
        Self(output.as_ref().map_or(0, Output::pointer))
    }
}

impl From<i32> for Argument {
    fn from(value: i32) -> Self {
        Self(u64::from(value as u32))
    }
}

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self(u64::from(value))
    }
}

/// As `long long`: extents and counts.
impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self(value as u64)
    }
}

/// As `unsigned long long`.
impl From<u64> for Argument {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

/// As `int`, 0 or 1.
impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self(u64::from(value))
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self(u64::from(value.to_bits()))
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

/// The arguments of a kernel, in its order.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => { &[$($crate::cuda::launch::Argument::from($value)),*] };
}
pub(crate) use arguments;

/// The name of a kernel for an element type: `relu_f32`.
pub(crate) fn typed(name: &str, dtype: DType) -> String {
    format!("{name}_{}", dtype.as_str())
}

/// Runs the kernel `function` of a module, which is loaded at its first use. It has run when the device has come to
/// it; its errors show then.
///
/// # Safety
/// The arguments must be those of the kernel, in number, order and type, and it must stay within the memory they point
/// to.
///
/// # Errors
/// If the driver refuses the kernel or its grid.
pub(crate) unsafe fn launch(
    device: &CudaDevice,
    module: &Module,
    function: &str,
    grid: Grid,
    arguments: &[Argument],
) -> Result<()> {
    let Grid { blocks, threads, shared } = grid;
    if blocks.0 == 0 || blocks.1 == 0 || blocks.2 == 0 {
        // Nothing to do, which the driver would refuse.
        return Ok(());
    }
    let told = |what: &str, error: &dyn std::fmt::Display| {
        Error::Cuda(format!("the kernel `{function}` cannot be {what}: {error}").into())
    };
    let kernel = device
        .get_or_load_custom_func(function, module.name, module.ptx)
        .map_err(|error| told("loaded (is the driver as new as the CUDA toolkit that built this?)", &error))?;
    let mut builder = kernel.builder();
    for Argument(bits) in arguments {
        builder.arg(bits);
    }
    let configuration = LaunchConfig { grid_dim: blocks, block_dim: threads, shared_mem_bytes: shared };
    // SAFETY: the caller's.
    unsafe { builder.launch(configuration) }.map_err(|error| told("launched", &error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_cover_what_they_are_over() {
        assert_eq!(Grid::over(0).blocks, (0, 1, 1));
        assert_eq!(Grid::over(1).blocks, (1, 1, 1));
        assert_eq!(Grid::over(257).blocks, (2, 1, 1));
        assert_eq!(Grid::over(usize::MAX).blocks, (MOST_BLOCKS, 1, 1));
        assert_eq!(Grid::each(7, 128).unwrap().blocks, (7, 1, 1));
        assert!(Grid::each(usize::MAX, 128).is_err());
    }

    #[test]
    fn arguments_are_bits() {
        assert_eq!(Argument::from(-1i32), Argument(0xFFFF_FFFF));
        assert_eq!(Argument::from(1.0f32), Argument(0x3F80_0000));
        assert_eq!(Argument::from(1.0f64), Argument(0x3FF0_0000_0000_0000));
        assert_eq!(typed("relu", DType::BF16), "relu_bf16");
    }
}
