//! ResNet-18, -50 and -101 (He et al. 2016) in torchvision's layout, the last stage at stride 1: stride 16.
//!
//! At a stride that is asked for, the network is torchvision's to the number: where a stage keeps the map's size instead
//! of halving it, all convolutions behind are dilated, so that what the original computes is among what this one does.

use candle_core::Tensor;

use super::{
    Backbone, Channels, Features, a_trous, no_stride,
    residual::{EXPANSION, Residual, Stages, conv_norm, moved, run},
};
use crate::{
    Result,
    nn::{ConvConfig, ConvNorm, NormConfig, Pass, Scope, Statistics},
    ops,
};

/// Channels of the stem.
const STEM: usize = 64;
/// Inner channels of the stages.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];
/// Strides of the stages: torchvision's, but for the last, which is 2 there. No dilation makes up for it.
const STRIDES: [usize; 4] = [1, 2, 2, 1];
/// torchvision's strides.
const ORIGINAL: [usize; 4] = [1, 2, 2, 2];

/// A 7x7 convolution and a 3x3 maximum down to stride 4, then stages at strides 4 (the shallow feature), 8, 16 and 16
/// (the deep feature). The stem is fixed unless norms learn.
#[derive(Clone, Debug)]
pub(super) struct ResNet {
    stem: ConvNorm,
    stages: Stages,
    channels: Channels,
}

impl ResNet {
    /// `blocks` blocks of two 3x3 convolutions in each stage: ResNet-18.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn basic(scope: &Scope, blocks: [usize; 4], norm: NormConfig) -> Result<Self> {
        let block = |scope: &Scope, from, width, stride| Residual::basic(scope, (from, width), stride, 1, norm);
        Self::new(scope, blocks, 1, norm, block)
    }

    /// `blocks` bottlenecks in each stage: ResNet-50 and ResNet-101.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn bottlenecks(scope: &Scope, blocks: [usize; 4], norm: NormConfig) -> Result<Self> {
        let block = |scope: &Scope, from, width, stride| Residual::bottleneck(scope, (from, width), stride, norm);
        Self::new(scope, blocks, EXPANSION, norm, block)
    }

    fn new(
        scope: &Scope,
        blocks: [usize; 4],
        expansion: usize,
        norm: NormConfig,
        block: impl Fn(&Scope, usize, usize, usize) -> Result<Residual>,
    ) -> Result<Self> {
        let stem = ConvConfig::new(7).stride(2);
        let within = match norm.statistics {
            Statistics::Learned => scope.clone(),
            Statistics::Fixed => scope.frozen(),
        };
        let stem = conv_norm(&within, ("conv1", "bn1"), (3, STEM), stem, norm)?;
        let stage = |index: usize| {
            let scope = scope.at(format_args!("layer{}", index + 1));
            let (width, to) = (WIDTHS[index], expansion * WIDTHS[index]);
            let from = if index == 0 { STEM } else { expansion * WIDTHS[index - 1] };
            (0..blocks[index])
                .map(|number| match number {
                    0 => block(&scope.at(0), from, width, STRIDES[index]),
                    _ => block(&scope.at(number), to, width, 1),
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            stem,
            stages: [stage(0)?, stage(1)?, stage(2)?, stage(3)?],
            channels: Channels { shallow: expansion * WIDTHS[0], deep: expansion * WIDTHS[3] },
        })
    }
}

impl Backbone for ResNet {
    fn channels(&self) -> Channels {
        self.channels
    }

    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>> {
        // Wherever a stage takes a step, its channels change: a convolution is in the shortcut.
        match moved(&self.stages, a_trous(4, ORIGINAL, stride)) {
            Some(stages) if [8, 16, 32].contains(&stride) => Ok(Box::new(Self { stages, ..self.clone() })),
            _ => no_stride(stride, "8, 16 and 32"),
        }
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let [first, deeper @ ..] = &self.stages;
        let stem = ops::max_pool2d(&self.stem.forward(images, pass)?, 3, 2, 1)?;
        let shallow = run(stem, first, pass)?;
        let deep = deeper.iter().try_fold(shallow.clone(), |x, blocks| run(x, blocks, pass))?;
        Ok(Features { shallow, deep })
    }
}
