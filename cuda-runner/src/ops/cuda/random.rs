//! Random masks, drawn where they are used.

use candle_core::{CudaDevice, DType, Result, Tensor};

use crate::cuda::{Grid, Output, arguments, launch, modules, typed};

/// Independent draws, 1 with the probability `limit / 65536`, else 0. They follow from the key.
pub(crate) fn bernoulli(
    device: &CudaDevice,
    shape: (usize, usize, usize, usize),
    (key, limit): (u64, u32),
    dtype: DType,
) -> Result<Tensor> {
    let count = shape.0 * shape.1 * shape.2 * shape.3;
    let mut y = Output::new("bernoulli", device, dtype, count)?;
    let arguments = arguments![&mut y, count, key, limit];
    // SAFETY: the kernel writes as many elements as it is told, eight a thread.
    unsafe { launch(device, &modules::RANDOM, &typed("bernoulli", dtype), Grid::over(count.div_ceil(8)), arguments) }?;
    y.into_tensor(shape)
}
