//! Copies to the GPU while it computes: from memory that it reads by itself, on a stream of their own.

use std::sync::Arc;

use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, Device, Result, Shape, Storage, Tensor,
    cuda_backend::{
        CudaDType, WrapErr,
        cudarc::driver::{CudaEvent, CudaSlice, CudaStream, PinnedHostSlice},
    },
    op::BackpropOp,
};

/// Sends tensors to a GPU.
pub(crate) struct Uploader {
    device: CudaDevice,
    /// The stream of the copies; the device's own computes.
    copies: Arc<CudaStream>,
    free: Vec<Slot>,
}

/// Memory on both sides, as large as the largest tensor that went through it.
struct Slot {
    pinned: PinnedHostSlice<f32>,
    staged: CudaSlice<f32>,
    /// The device has taken what was staged.
    taken: Option<CudaEvent>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Its memory is given back on the stream of the copies, which does not know who reads it.
        if let Some(taken) = &self.taken {
            let _ = taken.synchronize();
        }
    }
}

/// A tensor on its way.
pub(crate) enum Sent {
    /// It is being copied.
    Copied { slot: Box<SentSlot>, shape: Shape },
    /// It is there.
    There(Tensor),
}

/// Where a tensor on its way is.
pub(crate) struct SentSlot {
    slot: Slot,
    copied: CudaEvent,
}

impl Uploader {
    /// # Errors
    /// If the device gives no stream.
    pub(crate) fn new(device: &CudaDevice) -> Result<Self> {
        let copies = device.cuda_stream().context().new_stream().w()?;
        Ok(Self { device: device.clone(), copies, free: Vec::new() })
    }

    /// Starts to send a tensor.
    ///
    /// # Errors
    /// If memory runs out.
    pub(crate) fn send(&mut self, tensor: &Tensor) -> Result<Sent> {
        let tensor = tensor.contiguous()?;
        let (storage, layout) = tensor.storage_and_layout();
        let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets())
        else {
            return Ok(Sent::There(tensor.to_device(&Device::Cuda(self.device.clone()))?));
        };
        let values = &values[start..end];
        let mut slot = match self.free.pop() {
            Some(slot) if slot.pinned.len() >= values.len() => slot,
            _ => self.slot(values.len())?,
        };
        // This waits for the copy that the memory was used for before.
        slot.pinned.as_mut_slice().w()?[..values.len()].copy_from_slice(values);
        if let Some(taken) = slot.taken.take() {
            self.copies.wait(&taken).w()?;
        }
        self.copies.memcpy_htod(&slot.pinned, &mut slot.staged).w()?;
        let copied = self.copies.record_event(None).w()?;
        Ok(Sent::Copied { slot: Box::new(SentSlot { slot, copied }), shape: layout.shape().clone() })
    }

    fn slot(&self, count: usize) -> Result<Slot> {
        let context = self.device.cuda_stream().context().clone();
        // SAFETY: numbers of this type have no invalid bits, and what is read was written before.
        let mut pinned = unsafe { context.alloc_pinned::<f32>(count) }.w()?;
        pinned.as_mut_slice().w()?.fill(0.0);
        // SAFETY: as above.
        let staged = unsafe { self.copies.alloc::<f32>(count) }.w()?;
        Ok(Slot { pinned, staged, taken: None })
    }

    /// The tensor on the device: whatever is computed with it from now on waits for the copy.
    ///
    /// # Errors
    /// If memory runs out.
    pub(crate) fn receive(&mut self, sent: Sent) -> Result<Tensor> {
        let (SentSlot { mut slot, copied }, shape) = match sent {
            Sent::There(tensor) => return Ok(tensor),
            Sent::Copied { slot, shape } => (*slot, shape),
        };
        let stream = self.device.cuda_stream();
        stream.wait(&copied).w()?;
        // SAFETY: the copy writes all of it.
        let mut own = unsafe { self.device.alloc::<f32>(shape.elem_count()) }?;
        self.device.memcpy_dtod(&slot.staged.slice(..shape.elem_count()), &mut own)?;
        slot.taken = Some(stream.record_event(None).w()?);
        self.free.push(slot);
        let storage: CudaStorage = f32::wrap_cuda_slice(own, self.device.clone());
        Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
    }
}
