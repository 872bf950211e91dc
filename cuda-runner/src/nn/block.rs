//! Convolution, batch norm and ReLU: the block that everything else is made of.

use candle_core::Tensor;

use super::{BatchNorm, Conv, ConvConfig, NormConfig, Pass, Scope, record::Description};
use crate::{Result, ops};

/// Convolution, batch norm, and ReLU unless switched off: one operation unless the norm takes the batch's statistics.
#[derive(Clone, Debug)]
pub struct ConvNorm {
    conv: Conv,
    norm: BatchNorm,
    relu: bool,
}

impl ConvNorm {
    /// Creates the convolution in one scope and the norm in another, as checkpoints name them.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(
        (conv, norm): (&Scope, &Scope),
        from: usize,
        to: usize,
        geometry: ConvConfig,
        statistics: NormConfig,
    ) -> Result<Self> {
        Ok(Self { conv: Conv::new(conv, from, to, geometry)?, norm: BatchNorm::new(norm, to, statistics)?, relu: true })
    }

    /// Creates the layers as entries `index` and `index + 1` of a sequence.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn in_sequence(
        scope: &Scope,
        index: usize,
        from: usize,
        to: usize,
        geometry: ConvConfig,
        statistics: NormConfig,
    ) -> Result<Self> {
        Self::new((&scope.at(index), &scope.at(index + 1)), from, to, geometry, statistics)
    }

    /// The same without ReLU.
    #[must_use]
    pub fn linear(self) -> Self {
        Self { relu: false, ..self }
    }

    /// The same parameters with another step and distance of the taps; the map's size is kept but for the step.
    #[must_use]
    pub(crate) fn moved(&self, stride: usize, dilation: usize) -> Self {
        Self { conv: self.conv.moved(stride, dilation), ..self.clone() }
    }

    /// Side of the convolution's kernel.
    pub(crate) const fn kernel(&self) -> usize {
        self.conv.kernel()
    }

    /// Runs the block.
    ///
    /// # Shapes
    /// x `[n, from, h, w]` -> `[n, to, h', w']`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let Some((scale, shift)) = self.folded(pass)? else {
            return self.norm.forward(&self.conv.forward(x, pass)?, self.relu, pass);
        };
        let (weight, geometry) = (self.conv.weight(pass), self.conv.geometry());
        let y = ops::conv2d_affine(x, &weight, &scale, &shift, self.relu, geometry)?;
        pass.note(|| self.description(" + norm"), x, None, &y);
        Ok(y)
    }

    /// Runs the block, with `residual` added before the ReLU: the end of a residual block.
    ///
    /// # Shapes
    /// x `[n, from, h, w]`, residual `[n, to, h', w']` -> `[n, to, h', w']`
    ///
    /// # Errors
    /// If the shapes do not match or memory runs out.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor, pass: &Pass) -> Result<Tensor> {
        let Some((scale, shift)) = self.folded(pass)? else {
            let sum = self.norm.forward(&self.conv.forward(x, pass)?, false, pass)?.add(residual)?;
            return if self.relu { Ok(ops::relu(&sum)?) } else { Ok(sum) };
        };
        let (weight, geometry) = (self.conv.weight(pass), self.conv.geometry());
        let y = ops::conv2d_affine_onto(x, &weight, &scale, &shift, residual, self.relu, geometry)?;
        pass.note(|| self.description(" + norm + residual"), x, Some(residual), &y);
        Ok(y)
    }

    fn description(&self, between: &str) -> Description {
        let (conv, norm) = (self.conv.description(), self.norm.description(self.relu));
        Description {
            kind: format!("{}{between}{}", conv.kind, if self.relu { " + relu" } else { "" }),
            parameters: conv.parameters + norm.parameters,
            trainable: conv.trainable + norm.trainable,
            ..conv
        }
    }

    /// The norm as scale and shift of the bare convolution, if it is that.
    fn folded(&self, pass: &Pass) -> Result<Option<(Tensor, Tensor)>> {
        let Some((scale, shift)) = self.norm.folded(pass)? else { return Ok(None) };
        let shift = match self.conv.bias(pass) {
            Some(bias) => shift.add(&bias.mul(&scale)?)?,
            None => shift,
        };
        Ok(Some((scale, shift)))
    }
}
