//! A 3x3 convolution with norm and ReLU, plain or separable: what DeepLab is made of behind its backbone.

use candle_core::Tensor;

use super::{ConvConfig, ConvNorm, NormConfig, Pass, Rectified, Scope, SeparableConv};
use crate::Result;

/// The convolution.
#[derive(Clone, Debug)]
pub(super) enum Square {
    /// Of all channels at once.
    Plain(ConvNorm),
    /// Of each channel by itself, then of all at each pixel: a ninth of the work and less.
    Separable(SeparableConv),
}

impl Square {
    /// Creates a plain one in the scopes of its convolution and its norm, or a separable one in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn new(
        plain: (&Scope, &Scope),
        scope: &Scope,
        separable: bool,
        (from, to): (usize, usize),
        dilation: usize,
        norm: NormConfig,
    ) -> Result<Self> {
        let geometry = ConvConfig::new(3).dilation(dilation);
        Ok(match separable {
            false => Self::Plain(ConvNorm::new(plain, from, to, geometry, norm)?),
            true => Self::Separable(SeparableConv::new((scope, scope), from, to, geometry, norm, Rectified::After)?),
        })
    }

    /// The same parameters at another dilation.
    #[must_use]
    pub(super) fn dilated(&self, dilation: usize) -> Self {
        match self {
            Self::Plain(layer) => Self::Plain(layer.moved(1, dilation)),
            Self::Separable(layer) => Self::Separable(layer.moved(1, dilation)),
        }
    }

    /// Runs the convolution.
    ///
    /// # Shapes
    /// x `[n, from, h, w]` -> `[n, to, h, w]`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        match self {
            Self::Plain(layer) => layer.forward(x, pass),
            Self::Separable(layer) => layer.forward(x, pass),
        }
    }
}
