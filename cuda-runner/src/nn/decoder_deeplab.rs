//! DeepLabv3+'s decoder (Chen et al., ECCV 2018): the pyramid's feature beside a narrow projection of the shallow one.

use candle_core::Tensor;
use wseg_core::Corners;

use super::{ConvConfig, ConvNorm, Head, HeadConfig, NormConfig, Pass, Scope};
use crate::{Result, ops};

/// Form of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeepLabForm {
    /// Channels of the shallow feature.
    pub shallow: usize,
    /// Channels of the pyramid's feature.
    pub deep: usize,
    /// Channels of the projected shallow feature.
    pub skip: usize,
    /// Channels of the two 3x3 convolutions.
    pub width: usize,
    /// Channels of the scores, the background's among them.
    pub channels: usize,
    /// Whether the two are separable.
    pub separable: bool,
}

/// Joins both features at the shallow one's size; two 3x3 convolutions make scores of them.
#[derive(Clone, Debug)]
pub struct DeepLabDecoder {
    skip: ConvNorm,
    head: Head,
}

impl DeepLabDecoder {
    /// Creates `conv1`, `bn1` and `last_conv` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, form: DeepLabForm, head: HeadConfig) -> Result<Self> {
        let DeepLabForm { shallow, deep, skip, width, channels, separable } = form;
        let names = (&scope.at("conv1"), &scope.at("bn1"));
        Ok(Self {
            skip: ConvNorm::new(names, shallow, skip, ConvConfig::new(1), NormConfig::LEARNED)?,
            head: Head::new(scope, (deep + skip, width), channels, head, separable)?,
        })
    }

    /// Scores at the shallow feature's size.
    ///
    /// # Shapes
    /// deep `[n, deep, h', w']`, shallow `[n, shallow, h, w]` -> `[n, channels, h, w]`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, deep: &Tensor, shallow: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (_, _, h, w) = shallow.dims4()?;
        let deep = ops::resize(deep, h, w, Corners::Aligned)?;
        let skip = self.skip.forward(shallow, pass)?;
        self.head.forward(&Tensor::cat(&[deep, skip], 1)?, pass)
    }
}
