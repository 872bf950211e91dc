//! ResNet-18, -50 and -101 (He et al. 2016) in torchvision's layout, the last stage at stride 1: stride 16.

use candle_core::Tensor;

use super::{
    Backbone, Channels, Features,
    residual::{EXPANSION, Residual, conv_norm, run},
};
use crate::{
    Result,
    nn::{ConvConfig, ConvNorm, NormConfig, Pass, Scope},
    ops,
};

/// Channels of the stem.
const STEM: usize = 64;
/// Inner channels of the stages.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];
/// Strides of the stages: torchvision's, but for the last, which is 2 there. No dilation makes up for it.
const STRIDES: [usize; 4] = [1, 2, 2, 1];

/// A 7x7 convolution and a 3x3 maximum down to stride 4, then stages at strides 4 (the shallow feature), 8, 16 and 16
/// (the deep feature). The stem is fixed.
#[derive(Clone, Debug)]
pub(super) struct ResNet {
    stem: ConvNorm,
    stages: [Vec<Residual>; 4],
    channels: Channels,
}

impl ResNet {
    /// `blocks` blocks of two 3x3 convolutions in each stage: ResNet-18.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn basic(scope: &Scope, blocks: [usize; 4]) -> Result<Self> {
        let block =
            |scope: &Scope, from, width, stride| Residual::basic(scope, (from, width), stride, 1, NormConfig::FIXED);
        Self::new(scope, blocks, 1, block)
    }

    /// `blocks` bottlenecks in each stage: ResNet-50 and ResNet-101.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn bottlenecks(scope: &Scope, blocks: [usize; 4]) -> Result<Self> {
        let block =
            |scope: &Scope, from, width, stride| Residual::bottleneck(scope, (from, width), stride, NormConfig::FIXED);
        Self::new(scope, blocks, EXPANSION, block)
    }

    fn new(
        scope: &Scope,
        blocks: [usize; 4],
        expansion: usize,
        block: impl Fn(&Scope, usize, usize, usize) -> Result<Residual>,
    ) -> Result<Self> {
        let stem = ConvConfig::new(7).stride(2);
        let stem = conv_norm(&scope.frozen(), ("conv1", "bn1"), (3, STEM), stem, NormConfig::FIXED)?;
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

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let [first, deeper @ ..] = &self.stages;
        let stem = ops::max_pool2d(&self.stem.forward(images, pass)?, 3, 2, 1)?;
        let shallow = run(stem, first, pass)?;
        let deep = deeper.iter().try_fold(shallow.clone(), |x, blocks| run(x, blocks, pass))?;
        Ok(Features { shallow, deep })
    }
}
