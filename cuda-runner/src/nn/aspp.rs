//! Atrous spatial pyramid pooling: context at several distances, and of the whole image.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{ConvConfig, ConvNorm, NormConfig, Pass, Scope, square::Square};
use crate::Result;

/// Size of the pyramid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsppConfig {
    /// Channels of each branch and of the result.
    pub width: usize,
    /// Dilations of the three 3x3 branches, in pixels of the deep feature.
    pub dilations: [usize; 3],
    /// Dropout of the result.
    pub dropout: f64,
    /// Whether the norms keep their initial statistics, as the reference's do, or learn them.
    pub fixed_statistics: bool,
}

impl Default for AsppConfig {
    /// The reference's.
    fn default() -> Self {
        Self { width: 256, dilations: [12, 24, 36], dropout: 0.5, fixed_statistics: true }
    }
}

/// The pyramid: 1x1, three dilated 3x3, global average, concatenated and mixed.
#[derive(Clone, Debug)]
pub struct Aspp {
    point: ConvNorm,
    squares: [Square; 3],
    global: ConvNorm,
    mix: ConvNorm,
    dropout: f64,
}

impl Aspp {
    /// Creates `aspp1`..`aspp4`, `global_avg_pool`, `conv1` and `bn1` in `scope`; the 3x3 branches are separable if asked.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(scope: &Scope, from: usize, config: &AsppConfig, separable: bool) -> Result<Self> {
        let norm = if config.fixed_statistics { NormConfig::FIXED } else { NormConfig::LEARNED };
        let width = config.width;
        let point = scope.at("aspp1");
        let point = (&point.at("atrous_conv"), &point.at("bn"));
        let square = |index: usize, dilation| {
            let scope = scope.at(format_args!("aspp{index}"));
            let plain = (&scope.at("atrous_conv"), &scope.at("bn"));
            Square::new(plain, &scope, separable, (from, width), dilation, norm)
        };
        let [near, middle, far] = config.dilations;
        Ok(Self {
            point: ConvNorm::new(point, from, width, ConvConfig::new(1), norm)?,
            squares: [square(2, near)?, square(3, middle)?, square(4, far)?],
            global: ConvNorm::in_sequence(&scope.at("global_avg_pool"), 1, from, width, ConvConfig::new(1), norm)?,
            mix: ConvNorm::new((&scope.at("conv1"), &scope.at("bn1")), 5 * width, width, ConvConfig::new(1), norm)?,
            dropout: config.dropout,
        })
    }

    /// The same parameters with other dilations of the 3x3 branches.
    #[must_use]
    pub fn dilated(&self, dilations: [usize; 3]) -> Self {
        let squares = std::array::from_fn(|index| self.squares[index].dilated(dilations[index]));
        Self { squares, ..self.clone() }
    }

    /// Runs the pyramid.
    ///
    /// # Shapes
    /// x `[n, from, h, w]` -> `[n, width, h, w]`
    ///
    /// # Errors
    /// If the channels do not match or memory runs out.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let mut context = Vec::with_capacity(5);
        context.push(self.point.forward(x, pass)?);
        for square in &self.squares {
            context.push(square.forward(x, pass)?);
        }
        let global = self.global.forward(&x.mean_keepdim(3)?.mean_keepdim(2)?, pass)?;
        let (n, c, _, _) = global.dims4()?;
        context.push(global.broadcast_as((n, c, h, w))?.contiguous()?);
        let mixed = self.mix.forward(&Tensor::cat(&context, 1)?, pass)?;
        pass.dropout(&mixed, self.dropout)
    }
}
