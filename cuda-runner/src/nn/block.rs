//! Convolution, batch norm and ReLU: the block that everything else is made of.

use candle_core::Tensor;

use super::{BatchNorm, Conv, ConvConfig, NormConfig, Pass, Scope};
use crate::Result;

/// Convolution without bias, batch norm, and ReLU unless switched off.
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

    /// Runs the block.
    ///
    /// # Shapes
    /// x `[n, from, h, w]` -> `[n, to, h', w']`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(x, pass)?, self.relu, pass)
    }
}
