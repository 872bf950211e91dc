//! Photos as published weights know them: most learned with ImageNet's mean and deviation, some from values in -1..=1.

use candle_core::Tensor;

use super::{Backbone, Channels, Features};
use crate::{
    Result,
    model::{IMAGE_MEAN, IMAGE_STD},
    nn::Pass,
};

/// `(photo - mean) / deviation` for the colours of a photo in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted from red, green and blue.
    pub mean: [f32; 3],
    /// What they are divided by.
    pub deviation: [f32; 3],
}

impl Normalisation {
    /// ImageNet's mean and deviation: what networks are given here.
    pub const IMAGENET: Self = Self { mean: IMAGE_MEAN, deviation: IMAGE_STD };

    /// Values in -1..=1.
    pub const SYMMETRIC: Self = Self { mean: [0.5; 3], deviation: [0.5; 3] };

    /// Factor and summand for each colour that make images of `given` of those of this.
    fn to(&self, given: &Self) -> [[f64; 3]; 2] {
        let of = |values: fn(&Self) -> [f32; 3]| [self, given].map(|norm| values(norm).map(f64::from));
        let ([mean, wanted_mean], [deviation, wanted_deviation]) = (of(|norm| norm.mean), of(|norm| norm.deviation));
        let factor = std::array::from_fn(|colour| deviation[colour] / wanted_deviation[colour]);
        let summand = std::array::from_fn(|colour| (mean[colour] - wanted_mean[colour]) / wanted_deviation[colour]);
        [factor, summand]
    }
}

/// The backbone for images that are normalised as [`Normalisation::IMAGENET`], whatever its weights know: what it gets is
/// exactly what they learned from, zeros of the padding included, and the weights stay as they were published.
#[must_use]
pub fn for_photos(backbone: Box<dyn Backbone>) -> Box<dyn Backbone> {
    match backbone.photos() {
        Normalisation::IMAGENET => backbone,
        _ => Box::new(Renormalised(backbone)),
    }
}

/// A backbone of other photos.
#[derive(Debug)]
struct Renormalised(Box<dyn Backbone>);

impl Backbone for Renormalised {
    fn channels(&self) -> Channels {
        self.0.channels()
    }

    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>> {
        Ok(Box::new(Self(self.0.at_stride(stride)?)))
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let colours = |values: [f64; 3]| Tensor::new(&values, images.device())?.reshape((1, 3, 1, 1));
        let [factor, summand] = Normalisation::IMAGENET.to(&self.0.photos());
        let [factor, summand] =
            [colours(factor)?.to_dtype(images.dtype())?, colours(summand)?.to_dtype(images.dtype())?];
        self.0.forward(&images.broadcast_mul(&factor)?.broadcast_add(&summand)?, pass)
    }
}
