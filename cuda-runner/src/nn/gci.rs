//! Global cue injection: what the deep feature knows of the image modulates the shallow one.

use candle_core::Tensor;
use wseg_core::gate;

use super::{BatchNorm, Conv, ConvConfig, ConvNorm, NormConfig, Pass, Scope};
use crate::{Result, dense::Dense, ops};

/// Global cue injection (METHOD.md, step 4).
#[derive(Clone, Debug)]
pub struct GlobalCue {
    cue: ConvNorm,
    shallow: Conv,
    shallow_norm: BatchNorm,
    mix: ConvNorm,
    width: usize,
}

impl GlobalCue {
    /// Creates `fc_deep`, `fc_skip` and `fc_cls` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, shallow: usize, width: usize) -> Result<Self> {
        let pointwise = ConvConfig::new(1);
        let norm = NormConfig::LEARNED;
        Ok(Self {
            cue: ConvNorm::in_sequence(&scope.at("fc_deep"), 0, width, 2 * width, pointwise, norm)?,
            shallow: Conv::new(&scope.at("fc_skip.0"), shallow, width, pointwise)?,
            shallow_norm: BatchNorm::new(&scope.at("fc_skip.1"), width, norm.without_affine())?,
            mix: ConvNorm::in_sequence(&scope.at("fc_cls"), 0, width, width, pointwise, norm)?,
            width,
        })
    }

    /// The shallow feature with the deep one's global cue.
    ///
    /// # Shapes
    /// deep `[n, width, h, w]`, shallow `[n, c, h, w]` -> `[n, width, h, w]`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, deep: &Tensor, shallow: &Tensor, pass: &Pass) -> Result<Tensor> {
        let cue = ops::global_max_pool(&self.cue.forward(deep, pass)?)?;
        let gamma = Dense::new(cue.narrow(1, 0, self.width)?)?;
        let beta = Dense::new(cue.narrow(1, self.width, self.width)?)?;
        let values = self.shallow_norm.forward(&self.shallow.forward(shallow, pass)?, false, pass)?;
        let cued = gate::gci(&Dense::new(values)?, &gamma, &beta)?;
        self.mix.forward(cued.tensor(), pass)
    }
}
