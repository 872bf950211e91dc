//! SqueezeNet 1.0 (Iandola et al. 2016) in torchvision's layout, the last maximum at stride 1: stride 8.

use candle_core::Tensor;

use super::{Backbone, Channels, Features, no_stride};
use crate::{
    Error, Result,
    nn::{Conv, ConvConfig, Pass, Scope},
    ops,
};

/// A 1x1 convolution to few channels, then 1x1 and 3x3 side by side; a ReLU after each.
#[derive(Clone, Debug)]
struct Fire {
    squeeze: Conv,
    points: Conv,
    squares: Conv,
}

impl Fire {
    /// `squeezed` channels between, half of `to` from each of the two convolutions.
    fn new(scope: &Scope, from: usize, squeezed: usize, to: usize) -> Result<Self> {
        let (point, square) = (ConvConfig::new(1).with_bias(), ConvConfig::new(3).with_bias());
        Ok(Self {
            squeeze: Conv::new(&scope.at("squeeze"), from, squeezed, point)?,
            points: Conv::new(&scope.at("expand1x1"), squeezed, to / 2, point)?,
            squares: Conv::new(&scope.at("expand3x3"), squeezed, to / 2, square)?,
        })
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let squeezed = ops::relu(&self.squeeze.forward(x, pass)?)?;
        let expanded = [self.points.forward(&squeezed, pass)?, self.squares.forward(&squeezed, pass)?];
        Ok(ops::relu(&Tensor::cat(&expanded, 1)?)?)
    }
}

/// A fire module: its place in `features`, and its channels before, between and after.
type Module = (usize, usize, usize, usize);

/// The fire modules of the three groups.
const GROUPS: [&[Module]; 3] = [
    &[(3, STEM, 16, 128), (4, 128, 16, 128), (5, 128, 32, SHALLOW)],
    &[(7, SHALLOW, 32, 256), (8, 256, 48, 384), (9, 384, 48, 384), (10, 384, 64, DEEP)],
    &[(12, DEEP, 64, DEEP)],
];
/// Side of the smallest photo on which all windows have room: none is padded before stride 8.
const SMALLEST: usize = 17;
/// Channels of the first convolution.
const STEM: usize = 96;
/// Channels of the shallow feature.
const SHALLOW: usize = 256;
/// Channels of the deep feature.
const DEEP: usize = 512;

/// A 7x7 convolution and fire modules in three groups, each after a 3x3 maximum: at strides 4 (the shallow feature), 8
/// and 8 (the deep feature). The first convolution is fixed; torchvision's classifier is left out.
#[derive(Clone, Debug)]
pub(super) struct SqueezeNet {
    stem: Conv,
    groups: [Vec<Fire>; 3],
    /// Whether the last maximum halves the map's size, as torchvision's does.
    original: bool,
}

impl SqueezeNet {
    /// Creates `features.0` to `features.12` in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn new(scope: &Scope) -> Result<Self> {
        let scope = scope.at("features");
        // torchvision pads neither this convolution nor the first two maxima.
        let stem = ConvConfig { padding: 0, ..ConvConfig::new(7).stride(2).with_bias() };
        let group = |modules: &[Module]| {
            let fire = |&(place, from, squeezed, to): &Module| Fire::new(&scope.at(place), from, squeezed, to);
            modules.iter().map(fire).collect::<Result<Vec<_>>>()
        };
        let [fine, middle, coarse] = GROUPS;
        Ok(Self {
            stem: Conv::new(&scope.at(0).frozen(), 3, STEM, stem)?,
            groups: [group(fine)?, group(middle)?, group(coarse)?],
            original: false,
        })
    }
}

impl Backbone for SqueezeNet {
    fn channels(&self) -> Channels {
        Channels { shallow: SHALLOW, deep: DEEP }
    }

    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>> {
        let mut network = self.clone();
        let dilation = match stride {
            8 => 2,
            16 => 1,
            _ => return no_stride(stride, "8 and 16"),
        };
        network.original = stride == 16;
        let [_, _, coarse] = &mut network.groups;
        coarse.iter_mut().for_each(|fire| fire.squares = fire.squares.moved(1, dilation));
        Ok(Box::new(network))
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let (_, _, h, w) = images.dims4()?;
        if h.min(w) < SMALLEST {
            return Err(Error::Config(format!(
                "squeezenet1_0 needs photos of at least {SMALLEST}x{SMALLEST} pixels, this one has {h}x{w} at the \
                 scale it is looked at; use a larger one"
            )));
        }
        let run = |x: Tensor, fires: &[Fire]| fires.iter().try_fold(x, |x, fire| fire.forward(&x, pass));
        let [fine, middle, coarse] = &self.groups;
        let half = ops::relu(&self.stem.forward(images, pass)?)?;
        let shallow = run(ops::max_pool2d_ceil(&half, 3, 2, 0)?, fine)?;
        let eighth = run(ops::max_pool2d_ceil(&shallow, 3, 2, 0)?, middle)?;
        let pooled = match self.original {
            true => ops::max_pool2d_ceil(&eighth, 3, 2, 0)?,
            false => ops::max_pool2d(&eighth, 3, 1, 1)?,
        };
        let deep = run(pooled, coarse)?;
        Ok(Features { shallow, deep })
    }
}
