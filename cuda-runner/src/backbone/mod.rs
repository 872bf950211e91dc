//! Backbones: what looks at the photo first. A new one is a file here and a line in [`build`].

pub mod small;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    nn::{Pass, Scope},
};

/// What a backbone hands on.
#[derive(Clone, Debug)]
pub struct Features {
    /// `conv3`: fine, stride 4, `[n, shallow, h/4, w/4]`.
    pub shallow: Tensor,
    /// `conv6`: deep, `[n, deep, h', w']`.
    pub deep: Tensor,
}

/// Channels of the two features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Of the shallow feature.
    pub shallow: usize,
    /// Of the deep feature.
    pub deep: usize,
}

/// A network from photo to features.
pub trait Backbone: std::fmt::Debug {
    /// Channels of the features.
    fn channels(&self) -> Channels;

    /// Runs the backbone.
    ///
    /// # Shapes
    /// images `[n, 3, h, w]`, normalised
    ///
    /// # Errors
    /// If memory runs out.
    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features>;
}

/// Which backbone, and its size where that is free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneConfig {
    /// The backbone's name, one of [`NAMES`].
    pub name: String,
    /// `small` only: channels of the stem's two convolutions and of the last three stages.
    #[serde(default = "small::default_widths")]
    pub widths: [usize; 5],
    /// `small` only: residual blocks of the four stages.
    #[serde(default = "small::default_blocks")]
    pub blocks: [usize; 4],
}

/// Names of the backbones.
pub const NAMES: &[&str] = &["small"];

/// Builds the backbone that `config` names.
///
/// # Errors
/// If the name is unknown.
pub fn build(scope: &Scope, config: &BackboneConfig) -> Result<Box<dyn Backbone>> {
    match config.name.as_str() {
        "small" => Ok(Box::new(small::Small::new(scope, config.widths, config.blocks)?)),
        name => Err(Error::Config(format!("there is no backbone `{name}`; known: {}", NAMES.join(", ")))),
    }
}
