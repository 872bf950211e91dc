//! WideResNet-38 (Wu et al. 2016, model A1): wide pre-activation blocks at stride 8, as the reference has it.

use candle_core::Tensor;

use super::{Backbone, Channels, Features, no_stride, residual::conv_norm};
use crate::{
    Result,
    nn::{BatchNorm, Conv, ConvConfig, ConvNorm, NormConfig, Pass, Scope},
};

/// The statistics of every norm are those of the pretrained network.
const NORM: NormConfig = NormConfig::FIXED;

/// A pre-activation block: norm and ReLU come first, and where the shape changes the shortcut starts behind them.
///
/// The inner convolutions are `conv_branch2a` and `conv_branch2b1`; bottlenecks have a third, `conv_branch2b2`. Each
/// is followed by the next one's norm and ReLU (and dropout of whole channels in bottlenecks), the last by none.
#[derive(Clone, Debug)]
struct Block {
    entry: BatchNorm,
    body: Vec<ConvNorm>,
    exit: Conv,
    shortcut: Option<Conv>,
    dropout: f64,
}

impl Block {
    /// `widths` are the channels before the first and after each convolution, `geometries` the convolutions.
    fn new(scope: &Scope, widths: &[usize], geometries: &[ConvConfig], dropout: f64) -> Result<Self> {
        const BRANCHES: [&str; 3] = ["branch2a", "branch2b1", "branch2b2"];
        let last = geometries.len() - 1;
        let (from, to, stride) = (widths[0], widths[geometries.len()], geometries[0].stride);
        let body = (0..last).map(|index| {
            let names = (format_args!("conv_{}", BRANCHES[index]), format_args!("bn_{}", BRANCHES[index + 1]));
            conv_norm(scope, names, (widths[index], widths[index + 1]), geometries[index], NORM)
        });
        let shortcut = || Conv::new(&scope.at("conv_branch1"), from, to, ConvConfig::new(1).stride(stride));
        Ok(Self {
            entry: BatchNorm::new(&scope.at("bn_branch2a").frozen(), from, NORM)?,
            body: body.collect::<Result<Vec<_>>>()?,
            exit: Conv::new(&scope.at(format_args!("conv_{}", BRANCHES[last])), widths[last], to, geometries[last])?,
            shortcut: (stride != 1 || from != to).then(shortcut).transpose()?,
            dropout,
        })
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let active = self.entry.forward(x, true, pass)?;
        let shortcut = match &self.shortcut {
            Some(projection) => projection.forward(&active, pass)?,
            None => x.clone(),
        };
        let inner = |x: Tensor, layer: &ConvNorm| pass.dropout_channels(&layer.forward(&x, pass)?, self.dropout);
        let residual = self.exit.forward(&self.body.iter().try_fold(active, inner)?, pass)?;
        Ok(residual.add(&shortcut)?)
    }
}

/// A stage of equal blocks but for the first, which changes the shape.
struct Stage {
    name: &'static str,
    blocks: usize,
    /// Channels before, inside and after the first block.
    widths: [usize; 3],
    stride: usize,
    /// Dilation of the first block's first convolution, then of all others.
    dilations: [usize; 2],
    /// Whether training leaves it alone.
    fixed: bool,
}

const STAGES: [Stage; 4] = [
    Stage { name: "b2", blocks: 3, widths: [64, 128, 128], stride: 2, dilations: [1, 1], fixed: true },
    Stage { name: "b3", blocks: 3, widths: [128, 256, 256], stride: 2, dilations: [1, 1], fixed: false },
    Stage { name: "b4", blocks: 6, widths: [256, 512, 512], stride: 2, dilations: [1, 1], fixed: false },
    Stage { name: "b5", blocks: 3, widths: [512, 512, 1024], stride: 1, dilations: [1, 2], fixed: false },
];

/// Channels of the deep feature.
const DEEP: usize = 4096;

/// `conv1a`, the stages `b2` to `b5`, the bottlenecks `b6` and `b7`, and the norm `bn7` with ReLU, whose output is the
/// deep feature. The shallow feature is the third stage's output. `conv1a` and `b2` are fixed.
#[derive(Clone, Debug)]
pub(super) struct ResNet38 {
    stem: Conv,
    fine: Vec<Block>,
    coarse: Vec<Block>,
    exit: BatchNorm,
}

impl ResNet38 {
    /// Creates the layers in `scope`.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn new(scope: &Scope) -> Result<Self> {
        let [second, third, fourth, fifth] = &STAGES;
        let bottleneck = |name: &str, from: usize, to: usize, dropout| {
            let square = ConvConfig::new(3).dilation(4);
            let geometries = [ConvConfig::new(1), square, ConvConfig::new(1)];
            Block::new(&scope.at(name), &[from, to / 4, to / 2, to], &geometries, dropout)
        };
        let stem = Conv::new(&scope.at("conv1a").frozen(), 3, second.widths[0], ConvConfig::new(3))?;
        let fine = [stage(scope, second)?, stage(scope, third)?].concat();
        let mut coarse = [stage(scope, fourth)?, stage(scope, fifth)?].concat();
        coarse.push(bottleneck("b6", fifth.widths[2], DEEP / 2, 0.3)?);
        coarse.push(bottleneck("b7", DEEP / 2, DEEP, 0.5)?);
        Ok(Self { stem, fine, coarse, exit: BatchNorm::new(&scope.at("bn7").frozen(), DEEP, NORM)? })
    }
}

/// The blocks `name`, `name_1`, `name_2`, ...
fn stage(scope: &Scope, stage: &Stage) -> Result<Vec<Block>> {
    let &Stage { name, blocks, widths: [from, inner, to], stride, dilations: [first, dilation], fixed } = stage;
    let scope = if fixed { scope.frozen() } else { scope.clone() };
    let square = |dilation| ConvConfig::new(3).dilation(dilation);
    (0..blocks)
        .map(|index| match index {
            0 => {
                let geometries = [square(first).stride(stride), square(dilation)];
                Block::new(&scope.at(name), &[from, inner, to], &geometries, 0.0)
            }
            _ => Block::new(&scope.at(format_args!("{name}_{index}")), &[to, inner, to], &[square(dilation); 2], 0.0),
        })
        .collect()
}

impl Backbone for ResNet38 {
    fn channels(&self) -> Channels {
        Channels { shallow: STAGES[1].widths[2], deep: DEEP }
    }

    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>> {
        match stride {
            8 => Ok(Box::new(self.clone())),
            _ => no_stride(stride, "8"),
        }
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let run = |x: Tensor, blocks: &[Block]| blocks.iter().try_fold(x, |x, block| block.forward(&x, pass));
        let shallow = run(self.stem.forward(images, pass)?, &self.fine)?;
        let deep = self.exit.forward(&run(shallow.clone(), &self.coarse)?, true, pass)?;
        Ok(Features { shallow, deep })
    }
}
