//! Batch normalisation in the three ways the method uses it.

use candle_core::{Tensor, Var};

use super::{Init, Kind, Pass, Scope, record::Description};
use crate::{Result, ops};

/// What happens to the statistics of a batch norm in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The batch's are used and the running ones follow: the decoder, and backbones trained from scratch.
    Learned,
    /// The running ones are used and stay as they are: pretrained backbones, and the reference's ASPP.
    Fixed,
}

/// Behaviour of a batch norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormConfig {
    /// What happens to the statistics.
    pub statistics: Statistics,
    /// Whether there are a scale and a shift.
    pub affine: bool,
    /// Share of the batch's statistics in the running ones at each step.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl NormConfig {
    /// Learned statistics, scale and shift, PyTorch's momentum and epsilon.
    pub const LEARNED: Self = Self { statistics: Statistics::Learned, affine: true, momentum: 0.1, epsilon: 1e-5 };

    /// Statistics that stay as loaded.
    pub const FIXED: Self = Self { statistics: Statistics::Fixed, ..Self::LEARNED };

    /// The same without scale and shift.
    #[must_use]
    pub const fn without_affine(self) -> Self {
        Self { affine: false, ..self }
    }
}

/// A batch norm, optionally fused with the ReLU that follows it.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    scale: Option<Var>,
    shift: Option<Var>,
    mean: Var,
    variance: Var,
    config: NormConfig,
    trainable: bool,
}

impl BatchNorm {
    /// Creates `weight`, `bias`, `running_mean` and `running_var` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, channels: usize, config: NormConfig) -> Result<Self> {
        let affine = |name, kind, value| {
            config.affine.then(|| scope.parameter(name, channels, kind, Init::Constant(value))).transpose()
        };
        Ok(Self {
            scale: affine("weight", Kind::Weight, 1.0)?,
            shift: affine("bias", Kind::Bias, 0.0)?,
            mean: scope.parameter("running_mean", channels, Kind::Buffer, Init::Constant(0.0))?,
            variance: scope.parameter("running_var", channels, Kind::Buffer, Init::Constant(1.0))?,
            config,
            trainable: scope.is_trainable(),
        })
    }

    /// Normalises, and cuts at 0 if `relu`.
    ///
    /// # Shapes
    /// x `[n, c, h, w]` -> `[n, c, h, w]`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, x: &Tensor, relu: bool, pass: &Pass) -> Result<Tensor> {
        if let Some((slope, offset)) = self.folded(pass)? {
            let y = ops::scale_shift(x, &slope, &offset, relu)?;
            pass.note(|| self.description(relu), x, None, &y);
            return Ok(y);
        }
        let (scale, shift) = self.affine(pass)?;
        let normalised = ops::batch_norm_train(x, &scale, &shift, self.config.epsilon, relu)?;
        self.follow(x, &normalised.mean, &normalised.variance)?;
        Ok(normalised.output)
    }

    /// The scale and shift of each channel that the norm amounts to, `[c]` each: nothing where it takes the statistics
    /// of the batch.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn folded(&self, pass: &Pass) -> Result<Option<(Tensor, Tensor)>> {
        if pass.is_training() && self.config.statistics == Statistics::Learned {
            return Ok(None);
        }
        // (x - mean) / sqrt(variance + epsilon) * scale + shift, as one scale and one shift a channel.
        let (scale, shift) = self.affine(pass)?;
        let mean = self.mean.as_detached_tensor();
        let variance = self.variance.as_detached_tensor();
        let inverse = variance.affine(1.0, self.config.epsilon)?.sqrt()?.recip()?;
        let slope = scale.mul(&inverse)?;
        let offset = shift.sub(&mean.mul(&slope)?)?;
        Ok(Some((slope, offset)))
    }

    /// Scale and shift as they are trained; 1 and 0 where there are none.
    fn affine(&self, pass: &Pass) -> Result<(Tensor, Tensor)> {
        let mean = self.mean.as_detached_tensor();
        let scale = match &self.scale {
            Some(scale) => pass.value(scale, self.trainable),
            None => mean.ones_like()?,
        };
        let shift = match &self.shift {
            Some(shift) => pass.value(shift, self.trainable),
            None => mean.zeros_like()?,
        };
        Ok((scale, shift))
    }

    /// Of the norm as a layer of its own.
    pub(super) fn description(&self, relu: bool) -> Description {
        let parameters = [&self.scale, &self.shift].into_iter().flatten().map(|var| var.elem_count()).sum();
        Description {
            kind: if relu { "norm + relu" } else { "norm" }.to_owned(),
            parameter: self.mean.id(),
            parameters,
            trainable: if self.trainable { parameters } else { 0 },
            products: 1,
        }
    }

    /// Moves the running statistics towards the batch's; the running variance is the unbiased one, as PyTorch's.
    fn follow(&self, x: &Tensor, mean: &Tensor, variance: &Tensor) -> Result<()> {
        let (n, _, h, w) = x.dims4()?;
        let samples = (n * h * w) as f64;
        let momentum = self.config.momentum;
        let unbiased = momentum * samples / (samples - 1.0).max(1.0);
        let running = self.mean.affine(1.0 - momentum, 0.0)?.add(&mean.detach().affine(momentum, 0.0)?)?;
        self.mean.set(&running.detach())?;
        let running = self.variance.affine(1.0 - momentum, 0.0)?.add(&variance.detach().affine(unbiased, 0.0)?)?;
        Ok(self.variance.set(&running.detach())?)
    }
}
