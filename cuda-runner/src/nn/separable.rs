//! Depthwise separable convolution: a convolution of each channel by itself, then one of all channels at each pixel.

use candle_core::{Tensor, Var};

use super::{BatchNorm, ConvConfig, ConvNorm, Init, Kind, NormConfig, Pass, Scope, record::Description};
use crate::{Result, ops};

/// Where a separable convolution is rectified. A batch norm follows each of its two convolutions in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rectified {
    /// Its input alone: the blocks of Xception.
    Before,
    /// Behind each of the two norms: the last block of Xception, and DeepLabv3+.
    After,
}

/// Depthwise convolution, norm, pointwise convolution, norm.
#[derive(Clone, Debug)]
pub struct SeparableConv {
    depthwise: DepthwiseNorm,
    pointwise: ConvNorm,
}

impl SeparableConv {
    /// Creates `conv_dw` and `conv_pw` in one scope, `bn_dw` and `bn_pw` in another, as timm names them: twice the same
    /// scope, but for a norm that is frozen. The geometry is the depthwise convolution's; norms have shifts, so neither
    /// convolution has a bias.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(
        (convs, norms): (&Scope, &Scope),
        from: usize,
        to: usize,
        geometry: ConvConfig,
        norm: NormConfig,
        rectified: Rectified,
    ) -> Result<Self> {
        let depthwise =
            DepthwiseNorm::new((&convs.at("conv_dw"), &norms.at("bn_dw")), from, geometry, norm, rectified)?;
        let names = (&convs.at("conv_pw"), &norms.at("bn_pw"));
        let pointwise = ConvNorm::new(names, from, to, ConvConfig::new(1), norm)?;
        let pointwise = match rectified {
            Rectified::Before => pointwise.linear(),
            Rectified::After => pointwise,
        };
        Ok(Self { depthwise, pointwise })
    }

    /// The same parameters, the depthwise convolution with another step and distance of the taps.
    #[must_use]
    pub(crate) fn moved(&self, stride: usize, dilation: usize) -> Self {
        Self { depthwise: self.depthwise.moved(stride, dilation), ..self.clone() }
    }

    /// Runs the block.
    ///
    /// # Shapes
    /// x `[n, from, h, w]` -> `[n, to, h', w']`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.pointwise.forward(&self.depthwise.forward(x, pass)?, pass)
    }

    /// Runs the block, with `residual` added to the last norm: the end of a residual block.
    ///
    /// # Shapes
    /// x `[n, from, h, w]`, residual `[n, to, h', w']` -> `[n, to, h', w']`
    ///
    /// # Errors
    /// If the shapes do not match or memory runs out.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor, pass: &Pass) -> Result<Tensor> {
        self.pointwise.forward_onto(&self.depthwise.forward(x, pass)?, residual, pass)
    }
}

/// Depthwise convolution and batch norm: one operation unless the norm takes the batch's statistics.
#[derive(Clone, Debug)]
struct DepthwiseNorm {
    weight: Var,
    norm: BatchNorm,
    geometry: ops::Conv2d,
    rectified: Rectified,
    trainable: bool,
}

impl DepthwiseNorm {
    fn new(
        (conv, norm): (&Scope, &Scope),
        channels: usize,
        geometry: ConvConfig,
        statistics: NormConfig,
        rectified: Rectified,
    ) -> Result<Self> {
        let ConvConfig { kernel, stride, dilation, padding, .. } = geometry;
        Ok(Self {
            weight: conv.parameter("weight", (channels, 1, kernel, kernel), Kind::Weight, Init::HeNormal)?,
            norm: BatchNorm::new(norm, channels, statistics)?,
            geometry: ops::Conv2d { stride, padding, dilation },
            rectified,
            trainable: conv.is_trainable(),
        })
    }

    fn moved(&self, stride: usize, dilation: usize) -> Self {
        let kernel = self.weight.dims()[3];
        let ConvConfig { stride, dilation, padding, .. } = ConvConfig::new(kernel).stride(stride).dilation(dilation);
        Self { geometry: ops::Conv2d { stride, padding, dilation }, ..self.clone() }
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let weight = pass.value(&self.weight, self.trainable);
        let after = self.rectified == Rectified::After;
        let plain = ops::Rectify { input: !after, output: false };
        let Some((scale, shift)) = self.norm.folded(pass)? else {
            let sums = ops::depthwise_conv2d(x, &weight, None, plain, self.geometry)?;
            return self.norm.forward(&sums, after, pass);
        };
        // Kernels are small: their product with the scale, and its gradient, cost nothing beside the map's.
        let scaled = weight.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?;
        let rectify = ops::Rectify { output: after, ..plain };
        let y = ops::depthwise_conv2d(x, &scaled, Some(&shift), rectify, self.geometry)?;
        pass.note(|| self.description(), x, None, &y);
        Ok(y)
    }

    fn description(&self) -> Description {
        let ops::Conv2d { stride, dilation, .. } = self.geometry;
        let (channels, kernel) = (self.weight.dims()[0], self.weight.dims()[3]);
        let (before, after) = match self.rectified {
            Rectified::Before => ("relu + ", ""),
            Rectified::After => ("", " + relu"),
        };
        let mut kind = format!("{before}depthwise {kernel}x{kernel}");
        for (name, value) in [("stride", stride), ("dilation", dilation)] {
            if value != 1 {
                kind.push_str(&format!(" {name} {value}"));
            }
        }
        kind.push_str(" + norm");
        kind.push_str(after);
        let (weights, norm) = (self.weight.elem_count(), self.norm.description(false));
        Description {
            kind,
            parameter: self.weight.id(),
            parameters: weights + norm.parameters,
            trainable: norm.trainable + if self.trainable { weights } else { 0 },
            products: weights / channels.max(1),
        }
    }
}
