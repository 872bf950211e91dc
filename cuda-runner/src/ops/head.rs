//! The classification head on a GPU, fused: masks and class scores in two launches, each gradient in one or two.
//!
//! On the CPU its definition is as fast: these operations answer there with an error.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use wseg_core::pooling::Pooling;

use super::kernels::head::{self, Head};
use crate::cuda::{Gpu, Memory, on_device};

/// Masks `[n, c + 1, h, w]` and class scores `[n, c, 1, 1]` of a score map `[n, c, h, w]`.
///
/// # Errors
/// If the map is empty or not on a GPU.
///
/// # Reference
/// [`wseg_core::pooling::classify`] is the definition.
pub(crate) fn classify(x: &Tensor, pooling: &Pooling) -> Result<(Tensor, Tensor)> {
    let (n, classes, h, w) = x.dims4()?;
    let x = x.contiguous()?;
    let head = Head { n, classes, pixels: h * w, pooling: *pooling };
    let made = Arc::new(Made { scores: Mutex::new(None), sums: OnceLock::new() });
    // One operation has one result. The first makes both; its masks are a constant to the second, whose gradient runs
    // through the masks all the same.
    let masks = x.apply_op1(Masks { head, made: made.clone() })?;
    let scores = x.apply_op2(&masks.detach(), Scores { head, made })?;
    Ok((masks, scores))
}

/// What the forward pass of the masks leaves.
struct Made {
    /// For the forward pass of the scores.
    scores: Mutex<Option<CudaStorage>>,
    /// For the backward passes.
    sums: OnceLock<Tensor>,
}

struct Masks {
    head: Head,
    made: Arc<Made>,
}

struct Scores {
    head: Head,
    made: Arc<Made>,
}

fn gpu_only<T>(name: &str) -> Result<T> {
    bail!("{name} is for a GPU; on the CPU its definition is used")
}

impl Made {
    fn sums(&self) -> Result<&Tensor> {
        match self.sums.get() {
            Some(sums) => Ok(sums),
            None => bail!("the classification head: no sums from the forward pass"),
        }
    }
}

impl CustomOp1 for Masks {
    fn name(&self) -> &'static str {
        "head_masks"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        gpu_only(self.name())
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, classes, h, w) = layout.shape().dims4()?;
        let x = Memory::new(self.name(), storage, layout)?;
        let made = self.head.forward(&Gpu::new(storage), &x)?;
        *self.made.scores.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.scores.into_storage()?);
        let _ = self.made.sums.set(made.sums.into_tensor((n, classes, 2))?);
        Ok((made.masks.into_storage()?, Shape::from((n, classes + 1, h, w))))
    }

    fn bwd(&self, x: &Tensor, masks: &Tensor, dmasks: &Tensor) -> Result<Option<Tensor>> {
        let sums = self.made.sums()?;
        on_device(self.name(), [x, masks, sums, &dmasks.contiguous()?], |tensors| {
            let gpu = Gpu::of(&tensors[0]);
            let [on_gpu, masks, sums, dmasks] = tensors.map(Memory::from);
            let dx = self.head.backward(&gpu, &on_gpu, [&masks, &sums], Some(&dmasks), None)?;
            Ok(Some(dx.into_tensor(x.shape())?))
        })
    }
}

impl CustomOp2 for Scores {
    fn name(&self) -> &'static str {
        "head_scores"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        gpu_only(self.name())
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        let made = self.made.scores.lock().unwrap_or_else(PoisonError::into_inner).take();
        match made {
            Some(scores) => Ok((scores, Shape::from((self.head.n, self.head.classes, 1, 1)))),
            None => bail!("the classification head: no scores from the masks' forward pass"),
        }
    }

    fn bwd(
        &self,
        x: &Tensor,
        masks: &Tensor,
        _scores: &Tensor,
        dscores: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sums = self.made.sums()?;
        on_device(self.name(), [x, masks, sums, &dscores.contiguous()?], |tensors| {
            let gpu = Gpu::of(&tensors[0]);
            let [on_gpu, masks, sums, dscores] = tensors.map(Memory::from);
            let dx = self.head.backward(&gpu, &on_gpu, [&masks, &sums], None, Some(&dscores))?;
            Ok((Some(dx.into_tensor(x.shape())?), None))
        })
    }
}

/// The multi-label soft-margin loss of class scores against labels `[n, c, 1, 1]`, which are a constant to the
/// gradient.
///
/// # Errors
/// If the shapes differ or are empty, or they are not on a GPU.
///
/// # Reference
/// [`wseg_core::loss::soft_margin`] is the definition.
pub(crate) fn soft_margin(scores: &Tensor, labels: &Tensor) -> Result<Tensor> {
    if scores.shape() != labels.shape() {
        bail!("a loss of class scores {:?} against labels {:?}", scores.dims(), labels.dims());
    }
    scores.contiguous()?.apply_op2(&labels.detach().contiguous()?, SoftMargin)
}

struct SoftMargin;

impl CustomOp2 for SoftMargin {
    fn name(&self) -> &'static str {
        "soft_margin"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        gpu_only(self.name())
    }

    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        scores_layout: &Layout,
        labels: &CudaStorage,
        labels_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let scores = Memory::new(self.name(), storage, scores_layout)?;
        let labels = Memory::new(self.name(), labels, labels_layout)?;
        let loss = head::soft_margin(&Gpu::new(storage), &scores, &labels)?;
        Ok((loss.into_storage()?, Shape::from((1, 1, 1, 1))))
    }

    fn bwd(
        &self,
        scores: &Tensor,
        labels: &Tensor,
        _loss: &Tensor,
        d: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        on_device(self.name(), [scores, labels, &d.contiguous()?], |tensors| {
            let gpu = Gpu::of(&tensors[0]);
            let [on_gpu, labels, d] = tensors.map(Memory::from);
            let dscores = head::soft_margin_gradient(&gpu, [&on_gpu, &labels, &d])?;
            Ok((Some(dscores.into_tensor(scores.shape())?), None))
        })
    }
}
