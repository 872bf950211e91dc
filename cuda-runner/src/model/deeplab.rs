//! DeepLabv3+ (Chen et al., ECCV 2018): the second stage of the two-stage setting, and the fully supervised bound.

use candle_core::Tensor;
use wseg_core::{Corners, Kernels as _, Tensor as _};

use super::{Architecture, Classified, DeepLabConfig, Network, NetworkConfig};
use crate::{
    Error, Result,
    backbone::Backbone,
    dense::Dense,
    nn::{Aspp, DeepLabDecoder, DeepLabForm, Pass, Scope},
};

/// Backbone, pyramid and decoder. Two backbones of the same parameters look at the photo at two strides: one in training,
/// one at prediction.
#[derive(Debug)]
pub struct DeepLab {
    training: Encoder,
    prediction: Encoder,
    decoder: DeepLabDecoder,
    config: DeepLabConfig,
    /// The pyramid's dilations at the training stride.
    dilations: [usize; 3],
}

/// Backbone and pyramid at one stride.
#[derive(Debug)]
struct Encoder {
    backbone: Box<dyn Backbone>,
    aspp: Aspp,
}

impl DeepLab {
    /// Creates `aspp` and `decoder` on a backbone.
    ///
    /// # Errors
    /// [`Error::Config`] if the backbone has no such strides, or without [`Architecture::deeplab`]; if a name is taken.
    pub fn new(scope: &Scope, backbone: &dyn Backbone, config: &NetworkConfig) -> Result<Self> {
        let Architecture { aspp, skip, width, head, .. } = &config.architecture;
        let deeplab = config.architecture.deeplab.ok_or_else(lacking)?;
        let channels = backbone.channels();
        let pyramid = Aspp::new(&scope.at("aspp"), channels.deep, aspp, deeplab.separable)?;
        let encoder = |stride: usize| {
            let aspp = pyramid.dilated(deeplab.dilations(aspp.dilations, stride));
            Ok::<_, Error>(Encoder { backbone: backbone.at_stride(stride)?, aspp })
        };
        let form = DeepLabForm {
            shallow: channels.shallow,
            deep: aspp.width,
            skip: *skip,
            width: *width,
            channels: 1 + config.classes.len(),
            separable: deeplab.separable,
        };
        Ok(Self {
            training: encoder(deeplab.output_stride)?,
            prediction: encoder(deeplab.prediction_stride)?,
            decoder: DeepLabDecoder::new(&scope.at("decoder"), form, *head)?,
            config: deeplab,
            dilations: aspp.dilations,
        })
    }
}

/// What is said of settings without a section for this network.
fn lacking() -> Error {
    Error::Config("`network.deeplab` must say the strides of a DeepLab".to_owned())
}

impl DeepLabConfig {
    /// Dilations of the pyramid at a stride, of those at the training stride: in pixels of the photo they are the same.
    #[must_use]
    pub fn dilations(&self, dilations: [usize; 3], stride: usize) -> [usize; 3] {
        dilations.map(|dilation| (dilation * self.output_stride / stride.max(1)).max(1))
    }
}

impl Network for DeepLab {
    /// No score of the image as a whole: every pixel is judged by itself.
    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Classified> {
        let Encoder { backbone, aspp } = if pass.is_training() { &self.training } else { &self.prediction };
        let features = backbone.forward(images, pass)?;
        let context = aspp.forward(&features.deep, pass)?;
        let logits = Dense::new(self.decoder.forward(&context, &features.shallow, pass)?)?;
        let masks = logits.detach().softmax()?;
        Ok(Classified { scores: None, masks, logits: Some(logits) })
    }

    fn set_prediction_stride(&mut self, stride: usize) -> Result<()> {
        let Encoder { backbone, aspp } = &self.training;
        let aspp = aspp.dilated(self.config.dilations(self.dilations, stride));
        self.prediction = Encoder { backbone: backbone.at_stride(stride)?, aspp };
        Ok(())
    }

    /// Scores are brought to the image's size, as they are for the loss, and become masks there.
    fn masks_at(&self, classified: &Classified, h: usize, w: usize) -> Result<Dense> {
        match &classified.logits {
            Some(logits) => logits.resize(h, w, Corners::Aligned)?.softmax(),
            None => classified.masks.resize(h, w, Corners::Aligned),
        }
    }
}
