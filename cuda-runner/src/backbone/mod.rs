//! Backbones: what looks at the photo first. A new one is a file here and a line in `BACKBONES`.
//!
//! Parameters have the names of the published checkpoints: torchvision's, timm's for `xception65`, and for `resnet38`
//! and `vgg16` those of the reference. Batch norms of pretrained backbones are frozen altogether: statistics, scale and
//! shift; unless `train_norms` says otherwise, where there is such a thing.

mod photos;
mod residual;
mod resnet;
mod resnet38;
pub mod small;
mod squeezenet;
mod vgg16;
mod xception65;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

pub use photos::{Normalisation, for_photos};

use crate::{
    Error, Result,
    nn::{NormConfig, Pass, Scope},
};

/// What a backbone hands on.
#[derive(Clone, Debug)]
pub struct Features {
    /// `conv3`: fine, about a quarter of the photo's size, `[n, shallow, h/4, w/4]`.
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

    /// How photos were normalised that the published weights learned from.
    fn photos(&self) -> Normalisation {
        Normalisation::IMAGENET
    }

    /// The same parameters as a network whose deep feature is at another stride: convolutions behind a step that is not
    /// taken are dilated instead.
    ///
    /// # Errors
    /// [`Error::Config`] naming the strides there are.
    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>>;

    /// Runs the backbone.
    ///
    /// # Shapes
    /// images `[n, 3, h, w]`, normalised as [`photos`](Self::photos) says
    ///
    /// # Errors
    /// If the images are too small or memory runs out.
    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features>;
}

/// Which backbone, and its size where that is free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneConfig {
    /// The backbone's name, one of [`NAMES`].
    pub name: String,
    /// Size of `small`, the usual one if absent; no other backbone reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<small::Size>,
    /// Whether the batch norms of a pretrained backbone learn, and its first layer with them, instead of staying as they
    /// are loaded. Those of `small` always do; backbones that have none read nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_norms: Option<bool>,
}

impl BackboneConfig {
    /// The backbone called `name`, in its usual size.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), small: None, train_norms: None }
    }

    /// How the batch norms of a pretrained backbone behave.
    const fn norm(&self) -> NormConfig {
        match self.train_norms {
            Some(true) => NormConfig::LEARNED,
            _ => NormConfig::FIXED,
        }
    }
}

/// How a stage moves over the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Step of its first convolution larger than 1x1.
    stride: usize,
    /// Dilation of that convolution, and of those behind it.
    dilations: [usize; 2],
}

/// Steps of stages whose own strides are `strides`, behind a stem at stride `stem`, so that the last is at stride `target`:
/// a step that would lead beyond it is not taken, and all that follows is dilated by as much.
fn a_trous<const N: usize>(stem: usize, strides: [usize; N], target: usize) -> [Step; N] {
    let (mut reached, mut dilation) = (stem, 1);
    strides.map(|stride| {
        let before = dilation;
        if reached * stride <= target {
            reached *= stride;
            return Step { stride, dilations: [before; 2] };
        }
        dilation *= stride;
        Step { stride: 1, dilations: [before, dilation] }
    })
}

/// Refuses a stride.
fn no_stride<T>(stride: usize, known: &str) -> Result<T> {
    Err(Error::Config(format!("this backbone has no deep feature at stride {stride}; it has {known}")))
}

/// Makes a backbone's layers and their parameters.
type Builder = fn(&Scope, &BackboneConfig) -> Result<Box<dyn Backbone>>;

/// The backbones.
const BACKBONES: &[(&str, Builder)] = &[
    ("small", |scope, config| boxed(small::Small::new(scope, config.small.unwrap_or_default()))),
    ("vgg16", |scope, _| boxed(vgg16::Vgg16::new(scope))),
    ("resnet38", |scope, _| boxed(resnet38::ResNet38::new(scope))),
    ("resnet50", |scope, config| boxed(resnet::ResNet::bottlenecks(scope, [3, 4, 6, 3], config.norm()))),
    ("resnet101", |scope, config| boxed(resnet::ResNet::bottlenecks(scope, [3, 4, 23, 3], config.norm()))),
    ("resnet18", |scope, config| boxed(resnet::ResNet::basic(scope, [2, 2, 2, 2], config.norm()))),
    ("squeezenet1_0", |scope, _| boxed(squeezenet::SqueezeNet::new(scope))),
    ("xception65", |scope, config| boxed(xception65::Xception65::new(scope, 16, config.norm()))),
];

/// Names of the backbones.
pub const NAMES: [&str; BACKBONES.len()] = {
    let mut names = [""; BACKBONES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = BACKBONES[index].0;
        index += 1;
    }
    names
};

fn boxed<B: Backbone + 'static>(backbone: Result<B>) -> Result<Box<dyn Backbone>> {
    Ok(Box::new(backbone?))
}

/// Builds the backbone that `config` names.
///
/// # Errors
/// If the name is unknown.
pub fn build(scope: &Scope, config: &BackboneConfig) -> Result<Box<dyn Backbone>> {
    match BACKBONES.iter().find(|(name, _)| *name == config.name) {
        Some((_, build)) => build(scope, config),
        None => Err(Error::Config(format!("there is no backbone `{}`; known: {}", config.name, NAMES.join(", ")))),
    }
}
