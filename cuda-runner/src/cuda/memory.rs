//! Tensors in device memory.

use std::marker::PhantomData;

use candle_core::{
    CudaDevice, CudaStorage, DType, Layout, Result, Shape, Storage, Tensor,
    backend::{BackendDevice, BackendStorage},
    bail,
    cuda_backend::{
        CudaStorageSlice,
        cudarc::driver::{CudaSlice, DevicePtr},
    },
    op::BackpropOp,
};

/// The elements of a contiguous tensor in device memory, for as long as the tensor is borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    device: &'a CudaDevice,
    dtype: DType,
    pointer: u64,
    count: usize,
    tensor: PhantomData<&'a CudaStorage>,
}

impl<'a> Elements<'a> {
    /// The elements of storage.
    ///
    /// # Errors
    /// If they are not contiguous, or of another type than `f32`, `f64` and `bf16`. `name` is the operation's.
    pub(crate) fn new(name: &str, storage: &'a CudaStorage, layout: &Layout) -> Result<Self> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("{name} needs contiguous tensors, got strides {:?}", layout.stride())
        };
        let (dtype, base) = (storage.dtype(), pointer(name, storage)?);
        let pointer = base + (start * dtype.size_in_bytes()) as u64;
        Ok(Self { device: &storage.device, dtype, pointer, count: end - start, tensor: PhantomData })
    }

    /// Where they are.
    pub(crate) fn device(&self) -> &'a CudaDevice {
        self.device
    }

    /// Their type.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Their address on the device.
    pub(crate) fn pointer(&self) -> u64 {
        self.pointer
    }

    /// The same from element `first` on, `count` of them.
    ///
    /// # Errors
    /// If there are not so many.
    pub(crate) fn part(self, first: usize, count: usize) -> Result<Self> {
        if first.checked_add(count).is_none_or(|end| end > self.count) {
            bail!("elements {first}.. of {}, {count} of them", self.count);
        }
        Ok(Self { pointer: self.pointer + (first * self.dtype.size_in_bytes()) as u64, count, ..self })
    }
}

/// The address of storage on its device.
fn pointer(name: &str, storage: &CudaStorage) -> Result<u64> {
    fn of<T>(slice: &CudaSlice<T>) -> u64 {
        // One stream does everything: there is nothing to wait for, and nobody to tell.
        slice.device_ptr(slice.stream()).0
    }
    match &storage.slice {
        CudaStorageSlice::F32(slice) => Ok(of(slice)),
        CudaStorageSlice::F64(slice) => Ok(of(slice)),
        CudaStorageSlice::BF16(slice) => Ok(of(slice)),
        _ => bail!("{name} takes f32, f64 or bf16 tensors on a GPU, not {:?}", storage.dtype()),
    }
}

/// Calls `body` with the elements of contiguous tensors in device memory: `on_host` of the GPU.
///
/// # Errors
/// As [`Elements::new`], if a tensor lies elsewhere, and those of `body`.
pub(crate) fn on_device<const N: usize, R>(
    name: &str,
    tensors: [&Tensor; N],
    body: impl FnOnce([Elements<'_>; N]) -> Result<R>,
) -> Result<R> {
    let borrowed = tensors.map(Tensor::storage_and_layout);
    let mut found = Vec::with_capacity(N);
    for (storage, layout) in &borrowed {
        match &**storage {
            Storage::Cuda(storage) => found.push(Elements::new(name, storage, layout)?),
            _ => bail!("{name} has tensors on a GPU and elsewhere"),
        }
    }
    match found.try_into() {
        Ok(elements) => body(elements),
        Err(_) => bail!("{name} has {N} tensors"),
    }
}

/// Device memory that a kernel writes.
pub(crate) struct Output {
    storage: CudaStorage,
    pointer: u64,
    count: usize,
}

impl Output {
    /// Memory for `count` elements, with whatever is in it: the kernel must write all of them.
    ///
    /// # Errors
    /// If memory runs out.
    pub(crate) fn new(name: &str, device: &CudaDevice, dtype: DType, count: usize) -> Result<Self> {
        // SAFETY: every kernel writes all of its output; numbers of these types have no invalid bits anyway.
        // A driver may refuse to give no memory.
        let storage = unsafe { device.alloc_uninit(&Shape::from(count.max(1)), dtype) }?;
        Ok(Self { pointer: pointer(name, &storage)?, storage, count })
    }

    /// Its address on the device.
    pub(crate) fn pointer(&self) -> u64 {
        self.pointer
    }

    /// The result, to be read by further kernels.
    pub(crate) fn elements(&self) -> Elements<'_> {
        let (dtype, device) = (self.storage.dtype(), &self.storage.device);
        Elements { device, dtype, pointer: self.pointer, count: self.count, tensor: PhantomData }
    }

    /// The result as `cuda_fwd` gives it back.
    pub(crate) fn into_storage(self) -> CudaStorage {
        self.storage
    }

    /// The result as a tensor without gradient.
    ///
    /// # Errors
    /// If the shape has another number of elements.
    pub(crate) fn into_tensor(self, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        if shape.elem_count() != self.count {
            bail!("{} elements are no tensor of {:?}", self.count, shape.dims());
        }
        Ok(Tensor::from_storage(Storage::Cuda(self.storage), shape, BackpropOp::none(), false))
    }
}
