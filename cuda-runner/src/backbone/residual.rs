//! Residual blocks of convolutions with batch norm (He et al. 2016), as torchvision names them.

use std::fmt::Display;

use candle_core::Tensor;

use super::Step;
use crate::{
    Result,
    nn::{ConvConfig, ConvNorm, NormConfig, Pass, Scope, Statistics},
};

/// What a bottleneck's output has of its inner channels.
pub(super) const EXPANSION: usize = 4;

/// A convolution and its norm. Where the norm's statistics are fixed, so are its scale and shift.
pub(super) fn conv_norm(
    scope: &Scope,
    (conv, norm): (impl Display, impl Display),
    (from, to): (usize, usize),
    geometry: ConvConfig,
    config: NormConfig,
) -> Result<ConvNorm> {
    let norm = match config.statistics {
        Statistics::Learned => scope.at(norm),
        Statistics::Fixed => scope.at(norm).frozen(),
    };
    ConvNorm::new((&scope.at(conv), &norm), from, to, geometry, config)
}

/// Convolutions around a shortcut, which is added before the last one's ReLU.
#[derive(Clone, Debug)]
pub(super) struct Residual {
    inner: Vec<ConvNorm>,
    exit: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl Residual {
    /// Two 3x3 convolutions, the first with the stride: `conv1`, `bn1`, `conv2`, `bn2`, and `downsample` where the
    /// shape changes.
    pub(super) fn basic(
        scope: &Scope,
        (from, to): (usize, usize),
        stride: usize,
        dilation: usize,
        norm: NormConfig,
    ) -> Result<Self> {
        let square = ConvConfig::new(3).dilation(dilation);
        let layers = [(from, to, square.stride(stride)), (to, to, square)];
        Self::new(scope, &layers, stride, norm)
    }

    /// 1x1 to `width`, 3x3 with the stride, 1x1 to four times `width`: `conv1`, `bn1` to `conv3`, `bn3`, and
    /// `downsample` where the shape changes.
    pub(super) fn bottleneck(
        scope: &Scope,
        (from, width): (usize, usize),
        stride: usize,
        norm: NormConfig,
    ) -> Result<Self> {
        let (point, square) = (ConvConfig::new(1), ConvConfig::new(3).stride(stride));
        let layers = [(from, width, point), (width, width, square), (width, EXPANSION * width, point)];
        Self::new(scope, &layers, stride, norm)
    }

    fn new(scope: &Scope, layers: &[(usize, usize, ConvConfig)], stride: usize, norm: NormConfig) -> Result<Self> {
        let layer = |index: usize| {
            let names = (format_args!("conv{}", index + 1), format_args!("bn{}", index + 1));
            let (from, to, geometry) = layers[index];
            conv_norm(scope, names, (from, to), geometry, norm)
        };
        let last = layers.len() - 1;
        let (from, to) = (layers[0].0, layers[last].1);
        let shortcut = || {
            let geometry = ConvConfig::new(1).stride(stride);
            conv_norm(&scope.at("downsample"), (0, 1), (from, to), geometry, norm).map(ConvNorm::linear)
        };
        Ok(Self {
            inner: (0..last).map(layer).collect::<Result<_>>()?,
            exit: layer(last)?,
            shortcut: (stride != 1 || from != to).then(shortcut).transpose()?,
        })
    }

    /// The same block at another stride, its first 3x3 convolution at the first dilation and those after it at the second;
    /// `None` where the map's size would change and no convolution is in the shortcut to change it there.
    pub(super) fn moved(&self, Step { stride, dilations: [entry, inside] }: Step) -> Option<Self> {
        let shortcut = match &self.shortcut {
            Some(projection) => Some(projection.moved(stride, 1)),
            None if stride == 1 => None,
            None => return None,
        };
        let mut next = Some((stride, entry));
        let mut moved = |layer: &ConvNorm| match layer.kernel() {
            1 => layer.clone(),
            _ => {
                let (stride, dilation) = next.take().unwrap_or((1, inside));
                layer.moved(stride, dilation)
            }
        };
        Some(Self { inner: self.inner.iter().map(&mut moved).collect(), exit: moved(&self.exit), shortcut })
    }

    /// Runs the block.
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let inner = self.inner.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, pass))?;
        let shortcut = match &self.shortcut {
            Some(projection) => projection.forward(x, pass)?,
            None => x.clone(),
        };
        self.exit.forward_onto(&inner, &shortcut, pass)
    }
}

/// Stages of blocks.
pub(super) type Stages = [Vec<Residual>; 4];

/// The stages, moved: the first block of each does the step, those after it are dilated as the step leaves it. `None` as
/// for a block.
pub(super) fn moved(stages: &Stages, steps: [Step; 4]) -> Option<Stages> {
    let mut moved = stages.clone();
    for (blocks, step) in moved.iter_mut().zip(steps) {
        let [_, inside] = step.dilations;
        let after = Step { stride: 1, dilations: [inside; 2] };
        for (index, block) in blocks.iter_mut().enumerate() {
            *block = block.moved(if index == 0 { step } else { after })?;
        }
    }
    Some(moved)
}

/// Runs blocks one after the other.
///
/// # Errors
/// If the channels do not match or memory runs out.
pub(super) fn run(x: Tensor, blocks: &[Residual], pass: &Pass) -> Result<Tensor> {
    blocks.iter().try_fold(x, |x, block| block.forward(&x, pass))
}
