//! From backbone features to scores: the skip connection and the head.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use wseg_core::Corners;

use super::{Conv, ConvConfig, ConvNorm, NormConfig, Pass, Scope, square::Square};
use crate::{Result, ops};

/// Joins the deep feature, upsampled, with a narrow projection of the shallow one (METHOD.md, step 3).
#[derive(Clone, Debug)]
pub struct Decoder {
    skip: ConvNorm,
    fuse: ConvNorm,
}

impl Decoder {
    /// Creates `fc8_skip` and `fc8_x` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, shallow: usize, deep: usize, skip: usize, width: usize) -> Result<Self> {
        let norm = NormConfig::LEARNED;
        Ok(Self {
            skip: ConvNorm::in_sequence(&scope.at("fc8_skip"), 0, shallow, skip, ConvConfig::new(1), norm)?,
            fuse: ConvNorm::in_sequence(&scope.at("fc8_x"), 0, deep + skip, width, ConvConfig::new(3), norm)?,
        })
    }

    /// Joins the two features at the shallow one's size.
    ///
    /// # Shapes
    /// deep `[n, deep, h', w']`, shallow `[n, shallow, h, w]` -> `[n, width, h, w]`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, deep: &Tensor, shallow: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (_, _, h, w) = shallow.dims4()?;
        let deep = ops::resize(deep, h, w, Corners::Aligned)?;
        let skip = self.skip.forward(shallow, pass)?;
        self.fuse.forward(&Tensor::cat(&[deep, skip], 1)?, pass)
    }
}

/// Dropout of the head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// After the first 3x3 convolution.
    pub first_dropout: f64,
    /// After the second.
    pub second_dropout: f64,
}

impl Default for HeadConfig {
    /// The reference's.
    fn default() -> Self {
        Self { first_dropout: 0.5, second_dropout: 0.1 }
    }
}

/// Two 3x3 convolutions and the scores (METHOD.md, step 6).
#[derive(Clone, Debug)]
pub struct Head {
    first: Square,
    second: Square,
    scores: Conv,
    config: HeadConfig,
}

impl Head {
    /// Creates `last_conv` in `scope`; the 3x3 convolutions are separable if asked.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(
        scope: &Scope,
        (from, width): (usize, usize),
        classes: usize,
        config: HeadConfig,
        separable: bool,
    ) -> Result<Self> {
        let scope = scope.at("last_conv");
        let block = |index: usize, from| {
            let (at, norm) = (scope.at(index), NormConfig::LEARNED);
            Square::new((&at, &scope.at(index + 1)), &at, separable, (from, width), 1, norm)
        };
        Ok(Self {
            first: block(0, from)?,
            second: block(4, width)?,
            scores: Conv::scores(&scope.at(8), width, classes, ConvConfig::new(1).with_bias())?,
            config,
        })
    }

    /// Scores of every class at every position.
    ///
    /// # Shapes
    /// x `[n, from, h, w]` -> `[n, classes, h, w]`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let x = pass.dropout(&self.first.forward(x, pass)?, self.config.first_dropout)?;
        let x = pass.dropout(&self.second.forward(&x, pass)?, self.config.second_dropout)?;
        self.scores.forward(&x, pass)
    }
}
