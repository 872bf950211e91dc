//! VGG-16 (Simonyan & Zisserman 2015) made fully convolutional, at stride 8, as the reference has it.

use candle_core::Tensor;

use super::{Backbone, Channels, Features, no_stride};
use crate::{
    Result,
    nn::{Conv, ConvConfig, Pass, Scope},
    ops,
};

/// Channels and convolutions of the five stages.
const STAGES: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];
/// Strides of the 3x3 maxima after the first four stages.
const POOLS: [usize; 4] = [2, 2, 2, 1];
/// Channels of `fc6` and `fc7`.
const DEEP: usize = 1024;
/// Dropout of whole channels after `fc6`.
const DROPOUT: f64 = 0.5;

/// Five stages of convolutions, `conv1_1` to `conv5_3`, then `fc6` and `fc7` as convolutions, a ReLU after each. The
/// shallow feature is the third stage, the deep one `fc7`. The first stage is fixed.
#[derive(Clone, Debug)]
pub(super) struct Vgg16 {
    stages: [Vec<Conv>; 5],
    fc6: Conv,
    fc7: Conv,
}

impl Vgg16 {
    /// Creates the convolutions in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn new(scope: &Scope) -> Result<Self> {
        let stage = |index: usize, dilation| {
            let (to, convolutions) = STAGES[index];
            let before = if index == 0 { 3 } else { STAGES[index - 1].0 };
            let scope = if index == 0 { scope.frozen() } else { scope.clone() };
            let geometry = ConvConfig::new(3).dilation(dilation).with_bias();
            (1..=convolutions)
                .map(|number| {
                    let scope = scope.at(format_args!("conv{}_{number}", index + 1));
                    Conv::new(&scope, if number == 1 { before } else { to }, to, geometry)
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            stages: [stage(0, 1)?, stage(1, 1)?, stage(2, 1)?, stage(3, 1)?, stage(4, 2)?],
            fc6: Conv::new(&scope.at("fc6"), STAGES[4].0, DEEP, ConvConfig::new(3).with_bias())?,
            fc7: Conv::new(&scope.at("fc7"), DEEP, DEEP, ConvConfig::new(1).with_bias())?,
        })
    }
}

impl Backbone for Vgg16 {
    fn channels(&self) -> Channels {
        Channels { shallow: STAGES[2].0, deep: DEEP }
    }

    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>> {
        match stride {
            8 => Ok(Box::new(self.clone())),
            _ => no_stride(stride, "8"),
        }
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let rectified = |conv: &Conv, x: &Tensor| Ok::<_, crate::Error>(ops::relu(&conv.forward(x, pass)?)?);
        let run = |x: Tensor, stage: &[Conv]| stage.iter().try_fold(x, |x, conv| rectified(conv, &x));
        let pool = |x: &Tensor, stride| ops::max_pool2d(x, 3, stride, 1);
        let [first, second, third, fourth, fifth] = &self.stages;
        let half = pool(&run(images.clone(), first)?, POOLS[0])?;
        let quarter = pool(&run(half, second)?, POOLS[1])?;
        let shallow = run(quarter, third)?;
        let eighth = run(pool(&shallow, POOLS[2])?, fourth)?;
        let deep = run(pool(&eighth, POOLS[3])?, fifth)?;
        let deep = pass.dropout_channels(&rectified(&self.fc6, &deep)?, DROPOUT)?;
        Ok(Features { shallow, deep: rectified(&self.fc7, &deep)? })
    }
}
