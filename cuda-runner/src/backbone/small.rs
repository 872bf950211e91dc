//! A compact residual network that trains from scratch on a CPU: its batch norms learn.

use candle_core::Tensor;

use super::{Backbone, Channels, Features};
use crate::{
    Result,
    nn::{ConvConfig, ConvNorm, NormConfig, Pass, Scope},
    ops,
};

/// Channels of stem and stages when nothing else is asked for.
#[must_use]
pub const fn default_widths() -> [usize; 4] {
    [16, 32, 64, 96]
}

/// Blocks of the stages when nothing else is asked for.
#[must_use]
pub const fn default_blocks() -> [usize; 3] {
    [2, 2, 2]
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

/// Stem at stride 2, then stages at strides 4 (the shallow feature), 8, and 8 dilated (the deep feature).
#[derive(Clone, Debug)]
pub struct Small {
    stem: ConvNorm,
    stages: [Vec<Block>; 3],
    channels: Channels,
}

impl Small {
    /// Creates `conv1`, `bn1` and `layer1`..`layer3` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, widths: [usize; 4], blocks: [usize; 3]) -> Result<Self> {
        let [stem, first, second, third] = widths;
        let stage = |index: usize, from, to, stride, dilation| {
            let scope = scope.at(format_args!("layer{}", index + 1));
            (0..blocks[index])
                .map(|block| match block {
                    0 => Block::new(&scope.at(block), from, to, stride, dilation),
                    _ => Block::new(&scope.at(block), to, to, 1, dilation),
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            stem: ConvNorm::new(
                (&scope.at("conv1"), &scope.at("bn1")),
                3,
                stem,
                ConvConfig::new(3).stride(2),
                NormConfig::LEARNED,
            )?,
            stages: [stage(0, stem, first, 2, 1)?, stage(1, first, second, 2, 1)?, stage(2, second, third, 1, 2)?],
            channels: Channels { shallow: first, deep: third },
        })
    }
}

impl Backbone for Small {
    fn channels(&self) -> Channels {
        self.channels
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let run = |x: Tensor, blocks: &[Block]| blocks.iter().try_fold(x, |x, block| block.forward(&x, pass));
        let [first, second, third] = &self.stages;
        let shallow = run(self.stem.forward(images, pass)?, first)?;
        let deep = run(run(shallow.clone(), second)?, third)?;
        Ok(Features { shallow, deep })
    }
}
