//! The kernels of a GPU and the launches that make operations of them.
//!
//! `NAME.cu` holds kernels, `NAME.rs` what to launch for a forward pass and for a gradient, on any [`Machine`]: a GPU
//! (feature `cuda`), or the CPU's emulation of one, on which the tests run kernels and launches without a GPU.
//! Element types are `f32` and `f64`, and where mixed precision needs it `bf16`, whose scales, statistics and weights
//! are `f32`. Extents are `int` on the machine: larger tensors are refused.

pub mod binary;
pub mod cross_entropy;
pub mod depthwise;
pub mod head;
pub mod norm;
pub mod pamr;
pub mod pool;
pub mod pseudo;
pub mod resize;
pub mod sgd;
pub mod shift;
pub mod softmax;
pub mod unary;

use candle_core::{DType, Result, bail};

/// Threads of a block, where a kernel has no wish of its own.
const THREADS: u32 = 256;
/// Most blocks of a grid over elements; beyond, threads take several elements.
const MOST_BLOCKS: usize = 1 << 16;
/// Most blocks along a grid's second and third axis.
const MOST_OTHERS: usize = u16::MAX as usize;

/// What runs kernels.
pub trait Machine {
    /// Elements in its memory.
    type Memory;

    /// Memory for `count` elements, with whatever is in it.
    ///
    /// # Errors
    /// If there is not enough.
    fn make(&self, dtype: DType, count: usize) -> Result<Self::Memory>;

    /// The type of elements.
    fn dtype(memory: &Self::Memory) -> DType;

    /// How many elements there are.
    fn count(memory: &Self::Memory) -> usize;

    /// Runs a kernel of the file `module`.
    ///
    /// # Errors
    /// If the machine refuses it.
    ///
    /// # Safety
    /// The arguments must be those of the kernel, in number, order and type, and it must stay within their memory.
    unsafe fn launch(
        &self,
        module: &'static str,
        kernel: &str,
        grid: Grid,
        arguments: &[Argument<'_, Self::Memory>],
    ) -> Result<()>;
}

/// An argument of a kernel.
#[derive(Debug)]
pub enum Argument<'a, M> {
    /// Memory that is read.
    In(&'a M),
    /// A null pointer, in place of memory of that type that is read.
    NoIn(DType),
    /// Memory that is written, all of it by the end of an operation.
    Out(&'a M),
    /// An `int`.
    Int(i32),
    /// A `long long`.
    Long(i64),
    /// A `double`.
    Real(f64),
    /// A table of memory that is read.
    Ins(&'a [&'a M]),
    /// A table of memory that is written.
    Outs(&'a [&'a M]),
    /// A table of `int`.
    Ints(&'a [i32]),
    /// A table of `long long`.
    Longs(&'a [i64]),
    /// A table of `double`.
    Reals(&'a [f64]),
}

impl<M> Clone for Argument<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

// Whatever the memory is, this refers to it.
impl<M> Copy for Argument<'_, M> {}

/// The blocks of a launch, and the threads of each, which lie along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Along x, y and z.
    pub blocks: [u32; 3],
    /// A multiple of 32.
    pub threads: u32,
}

impl Grid {
    /// About one thread for each of so many elements; the kernel steps by the number of all threads.
    fn over(count: usize) -> Self {
        let blocks = count.div_ceil(THREADS as usize).min(MOST_BLOCKS) as u32;
        Self { blocks: [blocks, 1, 1], threads: THREADS }
    }

    /// One block for each of so many items.
    fn each(items: usize) -> Result<Self> {
        Ok(Self { blocks: [int(items)? as u32, 1, 1], threads: THREADS })
    }

    /// One block.
    const ONE: Self = Self { blocks: [1, 1, 1], threads: THREADS };

    /// One thread for each of so many elements, in rows of blocks.
    fn rows(count: usize, rows: usize) -> Result<Self> {
        if rows > MOST_OTHERS {
            bail!("{rows} are more rows of blocks than a GPU has");
        }
        Ok(Self { blocks: [int(count.div_ceil(THREADS as usize))? as u32, rows as u32, 1], threads: THREADS })
    }
}

/// An extent as an `int`.
fn int(extent: usize) -> Result<i32> {
    match i32::try_from(extent) {
        Ok(extent) => Ok(extent),
        Err(_) => bail!("{extent} elements are more than a kernel can count"),
    }
}

/// The type that sums of elements are made in, and that scales, statistics and weights have.
#[must_use]
pub const fn arithmetic(dtype: DType) -> DType {
    match dtype {
        DType::BF16 => DType::F32,
        other => other,
    }
}

/// The arguments of a kernel: `in x`, `out y`, `int extent`, `long count`, `real number`.
macro_rules! arguments {
    ($($sort:ident $value:expr),* $(,)?) => { &[$(arguments!(@ $sort $value)),*] };
    (@ in $value:expr) => { $crate::ops::kernels::Argument::In($value) };
    (@ out $value:expr) => { $crate::ops::kernels::Argument::Out($value) };
    (@ int $value:expr) => { $crate::ops::kernels::Argument::Int($crate::ops::kernels::int($value)?) };
    (@ flag $value:expr) => { $crate::ops::kernels::Argument::Int(i32::from($value)) };
    (@ long $value:expr) => { $crate::ops::kernels::Argument::Long($value as i64) };
    (@ real $value:expr) => { $crate::ops::kernels::Argument::Real($value) };
}
use arguments;

/// Runs the kernel `name` for elements of type `dtype`; without blocks there is nothing to do.
///
/// # Safety
/// As [`Machine::launch`].
unsafe fn run<M: Machine>(
    machine: &M,
    module: &'static str,
    name: &str,
    dtype: DType,
    grid: Grid,
    arguments: &[Argument<'_, M::Memory>],
) -> Result<()> {
    if grid.blocks.contains(&0) {
        return Ok(());
    }
    // SAFETY: the caller's.
    unsafe { machine.launch(module, &format!("{name}_{}", dtype.as_str()), grid, arguments) }
}

/// Memory for as many elements of the same type.
fn like<M: Machine>(machine: &M, memory: &M::Memory) -> Result<M::Memory> {
    machine.make(M::dtype(memory), M::count(memory))
}

/// Fails unless memory holds so many elements of that type: kernels trust their extents.
fn expect<M: Machine>(what: &str, memory: &M::Memory, dtype: DType, count: usize) -> Result<()> {
    match (M::dtype(memory), M::count(memory)) {
        (found, elements) if found == dtype && elements == count => Ok(()),
        (found, elements) => bail!("{what} should be {count} of {dtype:?}, is {elements} of {found:?}"),
    }
}
