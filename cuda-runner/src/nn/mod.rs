//! Layers: one file a block.
//!
//! A layer is built in a [`Scope`], which names and initialises its parameters in a [`Params`] store, and run with a
//! [`Pass`], which says whether this is training and draws its random numbers.

mod aspp;
mod block;
mod conv;
mod decoder;
mod decoder_deeplab;
mod gci;
mod norm;
mod params;
mod pass;
mod record;
mod separable;
mod square;

pub use aspp::{Aspp, AsppConfig};
pub use block::ConvNorm;
pub use conv::{Conv, ConvConfig};
pub use decoder::{Decoder, Head, HeadConfig};
pub use decoder_deeplab::{DeepLabDecoder, DeepLabForm};
pub use gci::GlobalCue;
pub use norm::{BatchNorm, NormConfig, Statistics};
pub use params::{Entry, Fill, Init, Kind, Origin, Params, Scope};
pub use pass::Pass;
pub use record::{LayerRun, Map, Recording, graph_bytes};
pub use separable::{Rectified, SeparableConv};
