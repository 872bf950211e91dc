//! One pass through a network: its mode and its random numbers.

use std::cell::RefCell;

use candle_core::{DType, Device, Tensor, Var};
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::record::{Description, LayerRun, Recording};
use crate::{Result, ops};

/// Which parameters a pass ties to the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gradients {
    None,
    Trainable,
    All,
}

/// Mode and random numbers of one forward pass.
#[derive(Debug)]
pub struct Pass {
    training: bool,
    gradients: Gradients,
    rng: RefCell<ChaCha8Rng>,
    recording: Option<RefCell<Recording>>,
}

impl Pass {
    /// Training: batch statistics, dropout, random gate, gradients. The seed fixes every random number of the pass.
    #[must_use]
    pub fn training(seed: u64) -> Self {
        let rng = RefCell::new(ChaCha8Rng::seed_from_u64(seed));
        Self { training: true, gradients: Gradients::Trainable, rng, ..Self::evaluation() }
    }

    /// Evaluation: running statistics, no dropout, deterministic gate, no graph kept.
    #[must_use]
    pub fn evaluation() -> Self {
        let rng = RefCell::new(ChaCha8Rng::seed_from_u64(0));
        Self { training: false, gradients: Gradients::None, rng, recording: None }
    }

    /// Evaluation in which every layer leaves a note of what it did, see [`into_recording`](Self::into_recording).
    #[must_use]
    pub fn recording() -> Self {
        Self { recording: Some(RefCell::default()), ..Self::evaluation() }
    }

    /// Evaluation that keeps the graph, for gradients of a network in evaluation mode.
    #[must_use]
    pub fn evaluation_with_gradients() -> Self {
        Self { gradients: Gradients::Trainable, ..Self::evaluation() }
    }

    /// As [`evaluation_with_gradients`](Self::evaluation_with_gradients), for frozen parameters as well.
    #[must_use]
    pub fn evaluation_with_all_gradients() -> Self {
        Self { gradients: Gradients::All, ..Self::evaluation() }
    }

    /// Whether dropout, batch statistics and the random gate are on.
    #[must_use]
    pub const fn is_training(&self) -> bool {
        self.training
    }

    /// The layers that ran in this pass; none unless it is a [`recording`](Self::recording) one.
    #[must_use]
    pub fn into_recording(self) -> Recording {
        self.recording.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Notes the run of a layer, if this pass wants it noted.
    pub(super) fn note(
        &self,
        layer: impl FnOnce() -> Description,
        input: &Tensor,
        residual: Option<&Tensor>,
        output: &Tensor,
    ) {
        if let Some(recording) = &self.recording {
            recording.borrow_mut().runs.push(LayerRun::new(layer(), input, residual, output));
        }
    }

    /// The values of a parameter, tied to the graph only where a gradient is wanted.
    #[must_use]
    pub fn value(&self, var: &Var, trainable: bool) -> Tensor {
        match (self.gradients, trainable) {
            (Gradients::All, _) | (Gradients::Trainable, true) => var.as_tensor().clone(),
            (Gradients::None, _) | (Gradients::Trainable, false) => var.as_detached_tensor(),
        }
    }

    /// Independent draws, 1 with probability `keep`, else 0.
    ///
    /// # Errors
    /// If the device is out of memory.
    pub fn bernoulli(
        &self,
        shape: (usize, usize, usize, usize),
        keep: f64,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        // Sixteen bits a draw: the rates in use are multiples of 1/20, and the error is below 1e-5.
        let limit = (keep * 65536.0).round() as u32;
        #[cfg(feature = "cuda")]
        if let Device::Cuda(device) = device {
            // A map's worth of numbers would take longer to draw and to copy than to use.
            let key = self.rng.borrow_mut().next_u64();
            return Ok(ops::cuda::random::bernoulli(device, shape, (key, limit), dtype)?);
        }
        let count = shape.0 * shape.1 * shape.2 * shape.3;
        let mut bits = vec![0u8; count.next_multiple_of(4) * 2];
        self.rng.borrow_mut().fill_bytes(&mut bits);
        let draws: Vec<f32> = bits
            .chunks_exact(2)
            .take(count)
            .map(|pair| if u32::from(u16::from_le_bytes([pair[0], pair[1]])) < limit { 1.0 } else { 0.0 })
            .collect();
        Ok(Tensor::from_vec(draws, shape, device)?.to_dtype(dtype)?)
    }

    /// Inverted dropout of single elements; the identity outside training.
    ///
    /// # Errors
    /// If the device is out of memory.
    pub fn dropout(&self, x: &Tensor, rate: f64) -> Result<Tensor> {
        let shape = x.dims4()?;
        self.dropout_shaped(x, rate, shape)
    }

    /// Inverted dropout of whole channels (PyTorch's `Dropout2d`); the identity outside training.
    ///
    /// # Errors
    /// If the device is out of memory.
    pub fn dropout_channels(&self, x: &Tensor, rate: f64) -> Result<Tensor> {
        let (n, c, _, _) = x.dims4()?;
        self.dropout_shaped(x, rate, (n, c, 1, 1))
    }

    fn dropout_shaped(&self, x: &Tensor, rate: f64, shape: (usize, usize, usize, usize)) -> Result<Tensor> {
        if !self.training || rate <= 0.0 {
            return Ok(x.clone());
        }
        let keep = (1.0 - rate).max(0.0);
        let mask = self.bernoulli(shape, keep, x.dtype(), x.device())?.affine(1.0 / keep.max(1e-9), 0.0)?;
        Ok(ops::dropout(x, &mask)?)
    }
}
