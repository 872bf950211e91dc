//! The paper's network (METHOD.md, "Data flow of one training step").

use candle_core::Tensor;
use wseg_core::{
    Corners, Kernels as _, Tensor as _,
    activation::with_background,
    gate::{Gate, deterministic_gate, stochastic_gate},
    pooling::Pooling,
};

use super::{Architecture, Classified, Network, NetworkConfig};
use crate::{
    Result,
    backbone::Backbone,
    dense::Dense,
    nn::{Aspp, Decoder, GlobalCue, Head, Pass, Scope},
};

/// Backbone, pyramid, skip connection, global cue injection, stochastic gate and head.
#[derive(Debug)]
pub struct SingleStage {
    backbone: Box<dyn Backbone>,
    aspp: Aspp,
    decoder: Decoder,
    cue: GlobalCue,
    gate: Gate,
    head: Head,
    pooling: Pooling,
}

impl SingleStage {
    /// Creates the head on a backbone.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, backbone: Box<dyn Backbone>, config: &NetworkConfig) -> Result<Self> {
        let channels = backbone.channels();
        let Architecture { aspp, skip, width, psi, background, head, .. } = &config.architecture;
        Ok(Self {
            backbone,
            aspp: Aspp::new(&scope.at("aspp"), channels.deep, aspp, false)?,
            decoder: Decoder::new(scope, channels.shallow, aspp.width, *skip, *width)?,
            cue: GlobalCue::new(&scope.at("shallow_mask"), channels.shallow, *width)?,
            gate: Gate { psi: *psi },
            head: Head::new(scope, (*width, *width), config.classes.len(), *head, false)?,
            pooling: Pooling { background: *background, ..Pooling::default() },
        })
    }

    fn gate(&self, deep: Tensor, shallow: Tensor, pass: &Pass) -> Result<Dense> {
        let keep = match pass.is_training() {
            true => Some(pass.bernoulli(deep.dims4()?, 1.0 - self.gate.psi, deep.dtype(), deep.device())?),
            false => None,
        };
        let (deep, shallow) = (Dense::new(deep)?, Dense::new(shallow)?);
        match keep {
            Some(keep) => stochastic_gate(&deep, &shallow, &Dense::new(keep)?, self.gate),
            None => deterministic_gate(&deep, &shallow, self.gate),
        }
    }
}

impl Network for SingleStage {
    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Classified> {
        let features = self.backbone.forward(images, pass)?;
        let context = self.aspp.forward(&features.deep, pass)?;
        let deep = self.decoder.forward(&context, &features.shallow, pass)?;
        let shallow = self.cue.forward(&deep, &features.shallow, pass)?;
        let mixed = self.gate(deep, shallow, pass)?;
        let scores = Dense::new(self.head.forward(mixed.tensor(), pass)?)?;
        let classified = scores.classify(&self.pooling)?;
        let logits = with_background(&scores, self.pooling.background)?;
        Ok(Classified { scores: Some(classified.scores), masks: classified.masks, logits: Some(logits) })
    }

    fn masks_at(&self, classified: &Classified, h: usize, w: usize) -> Result<Dense> {
        classified.masks.resize(h, w, Corners::Aligned)
    }
}
