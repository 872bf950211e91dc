//! A compact residual network that trains from scratch on a CPU: its batch norms learn.

use candle_core::Tensor;

use super::{Backbone, Channels, Features};
use crate::{
    Result,
    nn::{ConvConfig, ConvNorm, NormConfig, Pass, Scope},
    ops,
};

/// Channels of the stem's convolutions and of the last three stages when nothing else is asked for.
#[must_use]
pub const fn default_widths() -> [usize; 5] {
    [16, 32, 64, 96, 128]
}

/// Blocks of the stages when nothing else is asked for.
#[must_use]
pub const fn default_blocks() -> [usize; 4] {
    [1, 2, 2, 1]
}

/// Two 3x3 convolutions around a shortcut (He et al. 2016).
#[derive(Clone, Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl Block {
    fn new(scope: &Scope, from: usize, to: usize, stride: usize, dilation: usize) -> Result<Self> {
        let norm = NormConfig::LEARNED;
        let first = ConvConfig::new(3).dilation(dilation).stride(stride);
        let second = ConvConfig::new(3).dilation(dilation);
        let projected = stride != 1 || from != to;
        let shortcut = || {
            let geometry = ConvConfig::new(1).stride(stride);
            ConvNorm::in_sequence(&scope.at("downsample"), 0, from, to, geometry, norm).map(ConvNorm::linear)
        };
        Ok(Self {
            first: ConvNorm::new((&scope.at("conv1"), &scope.at("bn1")), from, to, first, norm)?,
            second: ConvNorm::new((&scope.at("conv2"), &scope.at("bn2")), to, to, second, norm)?.linear(),
            shortcut: projected.then(shortcut).transpose()?,
        })
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let residual = self.second.forward(&self.first.forward(x, pass)?, pass)?;
        let shortcut = match &self.shortcut {
            Some(projection) => projection.forward(x, pass)?,
            None => x.clone(),
        };
        Ok(ops::relu(&residual.add(&shortcut)?)?)
    }
}

/// A stem of two convolutions down to stride 4, then stages at strides 4 (the shallow feature), 8, 8, and 8 dilated
/// (the deep feature).
#[derive(Clone, Debug)]
pub struct Small {
    stem: [ConvNorm; 2],
    stages: [Vec<Block>; 4],
    channels: Channels,
}

impl Small {
    /// Creates `conv1`, `bn1`, `conv2`, `bn2` and `layer1`..`layer4` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, widths: [usize; 5], blocks: [usize; 4]) -> Result<Self> {
        let [first, second, ..] = widths;
        let half = |index: usize, from, to| {
            let (conv, norm) = (scope.at(format_args!("conv{index}")), scope.at(format_args!("bn{index}")));
            ConvNorm::new((&conv, &norm), from, to, ConvConfig::new(3).stride(2), NormConfig::LEARNED)
        };
        let stage = |index: usize, stride, dilation| {
            let (scope, to) = (scope.at(format_args!("layer{index}")), widths[index]);
            let from = if index == 1 { to } else { widths[index - 1] };
            (0..blocks[index - 1])
                .map(|block| match block {
                    0 => Block::new(&scope.at(block), from, to, stride, dilation),
                    _ => Block::new(&scope.at(block), to, to, 1, dilation),
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            stem: [half(1, 3, first)?, half(2, first, second)?],
            stages: [stage(1, 1, 1)?, stage(2, 2, 1)?, stage(3, 1, 1)?, stage(4, 1, 2)?],
            channels: Channels { shallow: second, deep: widths[4] },
        })
    }
}

impl Backbone for Small {
    fn channels(&self) -> Channels {
        self.channels
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let run = |x: Tensor, blocks: &[Block]| blocks.iter().try_fold(x, |x, block| block.forward(&x, pass));
        let [first, deeper @ ..] = &self.stages;
        let [half, quarter] = &self.stem;
        let shallow = run(quarter.forward(&half.forward(images, pass)?, pass)?, first)?;
        let deep = deeper.iter().try_fold(shallow.clone(), |x, blocks| run(x, blocks))?;
        Ok(Features { shallow, deep })
    }
}
