//! The baseline: class activation maps of a classifier (METHOD.md, "Baseline CAM").

use candle_core::Tensor;
use wseg_core::{Axes, Corners, Kernels as _, Tensor as _, cam::Cam};

use super::{Classified, Network, NetworkConfig};
use crate::{
    Result,
    backbone::Backbone,
    dense::Dense,
    nn::{Conv, ConvConfig, Pass, Scope},
};

/// Backbone, channel dropout, global average pooling, one linear layer.
#[derive(Debug)]
pub struct CamNet {
    backbone: Box<dyn Backbone>,
    classifier: Conv,
    dropout: f64,
    cam: Cam,
}

impl CamNet {
    /// Creates `fc8` on a backbone.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, backbone: Box<dyn Backbone>, config: &NetworkConfig) -> Result<Self> {
        let classifier =
            Conv::scores(&scope.at("fc8"), backbone.channels().deep, config.classes.len(), ConvConfig::new(1))?;
        Ok(Self { backbone, classifier, dropout: 0.5, cam: Cam::default() })
    }
}

impl Network for CamNet {
    /// The masks are the raw activations: their normalisation belongs to image size, see
    /// [`masks_at`](Network::masks_at).
    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Classified> {
        let features = self.backbone.forward(images, pass)?;
        let (_, _, h, w) = features.deep.dims4()?;
        // Pooling and the linear layer commute; pooling first is what the reference does, dropout included.
        let dropped = Dense::new(pass.dropout_channels(&features.deep, self.dropout)?)?;
        let pooled = dropped.sum(Axes::Spatial)?.affine(1.0 / (h * w) as f64, 0.0)?;
        let scores = Dense::new(self.classifier.forward(pooled.tensor(), pass)?)?;
        let activations = self.classifier.forward(&features.deep.detach(), pass)?.detach();
        Ok(Classified { scores: Some(scores), masks: Dense::new(activations)?, logits: None })
    }

    fn masks_at(&self, classified: &Classified, h: usize, w: usize) -> Result<Dense> {
        classified.masks.resize(h, w, Corners::Aligned)?.cam_masks(&self.cam)
    }
}
