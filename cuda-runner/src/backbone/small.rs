//! A compact residual network that trains from scratch on a CPU: its batch norms learn.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    Backbone, Channels, Features, a_trous, no_stride,
    residual::{Residual, Stages, conv_norm, moved, run},
};
use crate::{
    Result,
    nn::{ConvConfig, ConvNorm, NormConfig, Pass, Scope},
};

/// How wide and how deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Channels of the stem's two convolutions and of the last three stages.
    pub widths: [usize; 5],
    /// Residual blocks of the four stages.
    pub blocks: [usize; 4],
}

impl Default for Size {
    fn default() -> Self {
        Self { widths: [16, 32, 64, 96, 128], blocks: [1, 2, 2, 1] }
    }
}

/// A stem of two convolutions down to stride 4, then stages at strides 4 (the shallow feature), 8, 8, and 8 dilated
/// (the deep feature).
#[derive(Clone, Debug)]
pub struct Small {
    stem: [ConvNorm; 2],
    stages: Stages,
    channels: Channels,
}

impl Small {
    /// Creates `conv1`, `bn1`, `conv2`, `bn2` and `layer1`..`layer4` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, Size { widths, blocks }: Size) -> Result<Self> {
        let norm = NormConfig::LEARNED;
        let [first, second, ..] = widths;
        let half = |index: usize, from, to| {
            let names = (format_args!("conv{index}"), format_args!("bn{index}"));
            conv_norm(scope, names, (from, to), ConvConfig::new(3).stride(2), norm)
        };
        let stage = |index: usize, stride, dilation| {
            let (scope, to) = (scope.at(format_args!("layer{index}")), widths[index]);
            let from = if index == 1 { to } else { widths[index - 1] };
            (0..blocks[index - 1])
                .map(|block| match block {
                    0 => Residual::basic(&scope.at(block), (from, to), stride, dilation, norm),
                    _ => Residual::basic(&scope.at(block), (to, to), 1, dilation, norm),
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

    /// Of its four stages the second and the last halve the map's size, the last only at stride 16.
    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>> {
        match moved(&self.stages, a_trous(4, [1, 2, 1, 2], stride)) {
            Some(stages) if [8, 16].contains(&stride) => Ok(Box::new(Self { stages, ..self.clone() })),
            _ => no_stride(stride, "8, and 16 if its last stage is wider or narrower than the one before"),
        }
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let [first, deeper @ ..] = &self.stages;
        let [half, quarter] = &self.stem;
        let shallow = run(quarter.forward(&half.forward(images, pass)?, pass)?, first, pass)?;
        let deep = deeper.iter().try_fold(shallow.clone(), |x, blocks| run(x, blocks, pass))?;
        Ok(Features { shallow, deep })
    }
}
