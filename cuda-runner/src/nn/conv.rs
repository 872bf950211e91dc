//! Convolution with its parameters.

use candle_core::{Tensor, Var};

use super::{Init, Kind, Pass, Scope, record::Description};
use crate::{Result, ops};

/// Geometry of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvConfig {
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step, in pixels of the input.
    pub stride: usize,
    /// Distance of the taps, in pixels of the input.
    pub dilation: usize,
    /// Zeros around the input. [`ConvConfig::new`] keeps the size.
    pub padding: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl ConvConfig {
    /// A convolution that keeps the map's size, without bias.
    #[must_use]
    pub const fn new(kernel: usize) -> Self {
        Self { kernel, stride: 1, dilation: 1, padding: kernel / 2, bias: false }
    }

    /// With a step of `stride`.
    #[must_use]
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// With taps `dilation` apart, padded to keep the size.
    #[must_use]
    pub const fn dilation(self, dilation: usize) -> Self {
        Self { dilation, padding: dilation * (self.kernel / 2), ..self }
    }

    /// With a bias.
    #[must_use]
    pub const fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }
}

/// A convolution layer.
#[derive(Clone, Debug)]
pub struct Conv {
    weight: Var,
    bias: Option<Var>,
    config: ConvConfig,
    trainable: bool,
}

impl Conv {
    /// Creates `weight` (and `bias`) in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, from: usize, to: usize, config: ConvConfig) -> Result<Self> {
        Self::starting(scope, from, to, config, Init::HeNormal)
    }

    /// The 1x1 convolution that makes class scores; it starts small.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn scores(scope: &Scope, from: usize, classes: usize, config: ConvConfig) -> Result<Self> {
        Self::starting(scope, from, classes, config, Init::Normal(0.01))
    }

    fn starting(scope: &Scope, from: usize, to: usize, config: ConvConfig, init: Init) -> Result<Self> {
        let shape = (to, from, config.kernel, config.kernel);
        Ok(Self {
            weight: scope.parameter("weight", shape, Kind::Weight, init)?,
            bias: config.bias.then(|| scope.parameter("bias", to, Kind::Bias, Init::Constant(0.0))).transpose()?,
            config,
            trainable: scope.is_trainable(),
        })
    }

    /// The same parameters with another step and distance of the taps; the map's size is kept but for the step.
    #[must_use]
    pub(crate) fn moved(&self, stride: usize, dilation: usize) -> Self {
        Self { config: self.config.stride(stride).dilation(dilation), ..self.clone() }
    }

    /// Side of the kernel.
    pub(crate) const fn kernel(&self) -> usize {
        self.config.kernel
    }

    /// Convolves.
    ///
    /// # Shapes
    /// x `[n, from, h, w]` -> `[n, to, h', w']`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let bias = self.bias(pass);
        let y = ops::conv2d(x, &self.weight(pass), bias.as_ref(), self.geometry())?;
        pass.note(|| self.description(), x, None, &y);
        Ok(y)
    }

    /// The kernels `[to, from, kernel, kernel]`.
    pub(super) fn weight(&self, pass: &Pass) -> Tensor {
        pass.value(&self.weight, self.trainable)
    }

    /// What is added to each output, `[to]`.
    pub(super) fn bias(&self, pass: &Pass) -> Option<Tensor> {
        self.bias.as_ref().map(|bias| pass.value(bias, self.trainable))
    }

    /// How the kernels move.
    pub(super) const fn geometry(&self) -> ops::Conv2d {
        let ConvConfig { stride, padding, dilation, .. } = self.config;
        ops::Conv2d { stride, padding, dilation }
    }

    pub(super) fn description(&self) -> Description {
        let ConvConfig { kernel, stride, dilation, .. } = self.config;
        let mut kind = format!("conv {kernel}x{kernel}");
        for (name, value) in [("stride", stride), ("dilation", dilation)] {
            if value != 1 {
                kind.push_str(&format!(" {name} {value}"));
            }
        }
        let weights = self.weight.elem_count();
        let parameters = weights + self.bias.as_ref().map_or(0, |bias| bias.elem_count());
        Description {
            kind,
            parameter: self.weight.id(),
            parameters,
            trainable: if self.trainable { parameters } else { 0 },
            products: weights / self.weight.dims().first().copied().unwrap_or(1).max(1),
        }
    }
}
