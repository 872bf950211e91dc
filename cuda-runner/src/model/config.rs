//! The description of a network: enough to build it again from a checkpoint.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    backbone::BackboneConfig,
    infer::Inference,
    nn::{AsppConfig, HeadConfig},
};

/// Which of the method's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// The paper's model.
    SingleStage,
    /// The baseline: class activation maps.
    Cam,
    /// DeepLabv3+, the second stage.
    #[serde(rename = "deeplab")]
    DeepLab,
}

/// What a network learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// Which classes an image shows.
    ImageLabels,
    /// The class of each pixel.
    Masks,
}

impl ModelKind {
    /// What it learns from.
    #[must_use]
    pub const fn supervision(self) -> Supervision {
        match self {
            Self::SingleStage | Self::Cam => Supervision::ImageLabels,
            Self::DeepLab => Supervision::Masks,
        }
    }
}

impl std::fmt::Display for ModelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SingleStage => "single-stage",
            Self::Cam => "cam",
            Self::DeepLab => "deeplab",
        })
    }
}

/// What a DeepLab has beside the parts of its encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepLabConfig {
    /// Stride of the deep feature in training; the pyramid's dilations are for it.
    pub output_stride: usize,
    /// Stride of the deep feature at prediction: half of it sees finer, at four times the work.
    pub prediction_stride: usize,
    /// Whether the 3x3 convolutions behind the backbone, the pyramid's and the decoder's, are separable.
    #[serde(default)]
    pub separable: bool,
}

impl Default for DeepLabConfig {
    /// The published one on ResNets; on Xception it is separable.
    fn default() -> Self {
        Self { output_stride: 16, prediction_stride: 16, separable: false }
    }
}

/// Layers and widths of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// The backbone.
    pub backbone: BackboneConfig,
    /// The pyramid.
    pub aspp: AsppConfig,
    /// Channels of the projected shallow feature.
    pub skip: usize,
    /// Channels of the decoder.
    pub width: usize,
    /// The stochastic gate's rate; no other network than the single-stage one reads it.
    #[serde(default = "default_psi")]
    pub psi: f64,
    /// The constant background score `y_0`; no other network than the single-stage one reads it.
    #[serde(default = "default_background")]
    pub background: f64,
    /// The head's dropout.
    pub head: HeadConfig,
    /// What a DeepLab has beside these; no other network reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deeplab: Option<DeepLabConfig>,
}

fn default_psi() -> f64 {
    wseg_core::gate::Gate::default().psi
}

fn default_background() -> f64 {
    wseg_core::pooling::Pooling::default().background
}

impl Architecture {
    /// The paper's head on a backbone.
    #[must_use]
    pub fn paper(backbone: BackboneConfig) -> Self {
        Self {
            backbone,
            aspp: AsppConfig::default(),
            skip: 48,
            width: 256,
            psi: default_psi(),
            background: default_background(),
            head: HeadConfig::default(),
            deeplab: None,
        }
    }

    /// The published DeepLabv3+ on a backbone.
    #[must_use]
    pub fn deeplab(backbone: BackboneConfig) -> Self {
        let aspp = AsppConfig { dilations: [6, 12, 18], fixed_statistics: false, ..AsppConfig::default() };
        Self { aspp, deeplab: Some(DeepLabConfig::default()), ..Self::paper(backbone) }
    }
}

/// A network, described: what a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Which network.
    pub model: ModelKind,
    /// Names of the object classes; the background, channel 0 of every mask, is not among them.
    pub classes: Vec<String>,
    /// Layers and widths.
    pub architecture: Architecture,
    /// Side of the training crops, in pixels.
    pub crop: usize,
    /// How photos are predicted unless asked otherwise.
    pub inference: Inference,
}

impl NetworkConfig {
    /// Refuses what cannot be built.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key and its range.
    pub fn check(&self) -> Result<()> {
        let bad = |key: &str, range: &str| Err(Error::Config(format!("`{key}` must be {range}")));
        let width = 1..=8192;
        let rate = 0.0..1.0;
        let Architecture { backbone, aspp, skip, width: decoder, psi, background, head, deeplab } = &self.architecture;
        let strides = deeplab.map_or([16; 2], |deeplab| [deeplab.output_stride, deeplab.prediction_stride]);
        let small = backbone.small.unwrap_or_default();
        match self {
            _ if self.classes.is_empty() || self.classes.len() > 254 => bad("classes", "1 to 254 names"),
            _ if !width.contains(decoder) => bad("width", "1 to 8192"),
            _ if !width.contains(skip) => bad("skip", "1 to 8192"),
            _ if !width.contains(&aspp.width) => bad("aspp.width", "1 to 8192"),
            _ if aspp.dilations.iter().any(|d| !(1..=512).contains(d)) => bad("aspp.dilations", "1 to 512"),
            _ if small.widths.iter().any(|w| !width.contains(w)) => bad("backbone.small.widths", "1 to 8192"),
            _ if small.blocks.iter().any(|b| !(1..=64).contains(b)) => bad("backbone.small.blocks", "1 to 64"),
            _ if strides.iter().any(|stride| ![8, 16, 32].contains(stride)) => {
                bad("deeplab.output_stride` and `deeplab.prediction_stride", "8, 16 or 32")
            }
            _ if !(-100.0..=100.0).contains(background) => bad("background", "-100 to 100"),
            _ if !rate.contains(psi) => bad("psi", "at least 0 and below 1"),
            _ if !rate.contains(&aspp.dropout) => bad("aspp.dropout", "at least 0 and below 1"),
            _ if !rate.contains(&head.first_dropout) => bad("head.first_dropout", "at least 0 and below 1"),
            _ if !rate.contains(&head.second_dropout) => bad("head.second_dropout", "at least 0 and below 1"),
            _ => self.inference.check(),
        }
    }
}
