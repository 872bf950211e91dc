//! The device's memory as the driver lends it out.

use candle_core::{
    CudaDevice,
    cuda_backend::cudarc::driver::{
        DriverError, result,
        sys::{CUmemPool_attribute, CUmemoryPool},
    },
};

fn pool(device: &CudaDevice) -> Result<CUmemoryPool, DriverError> {
    let stream = device.cuda_stream();
    stream.context().bind_to_thread()?;
    // SAFETY: the number is that of a device that is open.
    unsafe { result::device::get_default_mem_pool(stream.context().cu_device()) }
}

fn set(device: &CudaDevice, attribute: CUmemPool_attribute, mut value: u64) -> Result<(), DriverError> {
    // SAFETY: the attributes set here are 64 bits wide.
    unsafe { result::mem_pool::set_attribute(pool(device)?, attribute, (&raw mut value).cast()) }
}

/// Keeps what was given back for the next who asks: every step asks for the same again. Without this the driver takes it
/// back from the process whenever the process waits for the device.
///
/// # Errors
/// If the driver has no such pool.
pub(crate) fn keep(device: &CudaDevice) -> Result<(), DriverError> {
    set(device, CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX)
}

/// The most bytes that were in use at once since the last call; the count begins anew.
///
/// # Errors
/// If the driver has no such pool.
pub(crate) fn take_peak(device: &CudaDevice) -> Result<u64, DriverError> {
    let high = CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    let mut bytes = 0_u64;
    // SAFETY: the attribute is 64 bits wide.
    unsafe { result::mem_pool::get_attribute(pool(device)?, high, (&raw mut bytes).cast()) }?;
    set(device, high, 0)?;
    Ok(bytes)
}
