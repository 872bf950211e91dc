//! Xception-65 (Chollet 2017, as Chen et al. 2018 aligned it for DeepLabv3+) in timm's layout.

use candle_core::Tensor;

use super::{Backbone, Channels, Features, no_stride, residual::conv_norm};
use crate::{
    Result,
    nn::{ConvConfig, ConvNorm, NormConfig, Pass, Rectified, Scope, SeparableConv, Statistics},
};

/// Added to the variances: the published weights' choice, not PyTorch's.
const EPSILON: f64 = 1e-3;

/// Channels of the stem's convolutions.
const STEM: [usize; 2] = [32, 64];

/// What a block makes of its input: channels after each of its three convolutions, and stride of the last one.
struct Form {
    widths: [usize; 3],
    stride: usize,
}

/// The blocks but for those of the middle, which come before the last two, and keep the map and its 728 channels.
const FORMS: [Form; 5] = [
    Form { widths: [128; 3], stride: 2 },
    Form { widths: [256; 3], stride: 2 },
    Form { widths: [728; 3], stride: 2 },
    Form { widths: [728, 1024, 1024], stride: 2 },
    Form { widths: [1536, 1536, 2048], stride: 1 },
];
const MIDDLE: usize = 16;

/// All blocks.
fn forms() -> impl Iterator<Item = &'static Form> {
    const KEEPING: Form = Form { widths: [728; 3], stride: 1 };
    let (entry, exit) = FORMS.split_at(3);
    entry.iter().chain(std::iter::repeat_n(&KEEPING, MIDDLE)).chain(exit)
}

/// Stride and dilation of every block: a stride that would lead beyond the output stride is not taken, and the blocks
/// behind it are dilated instead.
fn steps(output_stride: usize) -> impl Iterator<Item = (usize, usize)> {
    let (mut reached, mut dilation) = (2, 1);
    forms().map(move |form| {
        let before = dilation;
        if reached * form.stride > output_stride {
            dilation *= form.stride;
            return (1, before);
        }
        reached *= form.stride;
        (form.stride, before)
    })
}

/// Three separable convolutions around a shortcut.
#[derive(Clone, Debug)]
struct Block {
    inner: [SeparableConv; 2],
    exit: SeparableConv,
    shortcut: Shortcut,
}

/// What is added to a block's result.
#[derive(Clone, Debug)]
enum Shortcut {
    Nothing,
    Input,
    Projection(Box<ConvNorm>),
}

impl Block {
    /// Creates `stack.conv1` to `stack.conv3`, and `shortcut` where the shape changes. The network's last block has no
    /// shortcut, and rectifies behind its convolutions and not before them.
    fn new(
        scope: &Scope,
        from: usize,
        form: &Form,
        (stride, dilation): (usize, usize),
        last: bool,
        norm: NormConfig,
    ) -> Result<Self> {
        let to = form.widths[2];
        let shortcut = match (last, form.stride != 1 || from != to) {
            (true, _) => Shortcut::Nothing,
            (false, false) => Shortcut::Input,
            (false, true) => {
                let (scope, geometry) = (scope.at("shortcut"), ConvConfig::new(1).stride(stride));
                let projection = conv_norm(&scope, ("conv", "bn"), (from, to), geometry, norm)?;
                Shortcut::Projection(Box::new(projection.linear()))
            }
        };
        let rectified = if last { Rectified::After } else { Rectified::Before };
        let layer = |index: usize, from: usize, stride: usize| {
            let scope = scope.at(format_args!("stack.conv{}", index + 1));
            let norms = if norm.statistics == Statistics::Fixed { scope.frozen() } else { scope.clone() };
            let geometry = ConvConfig::new(3).dilation(dilation).stride(stride);
            SeparableConv::new((&scope, &norms), from, form.widths[index], geometry, norm, rectified)
        };
        let [first, second, _] = form.widths;
        Ok(Self { inner: [layer(0, from, 1)?, layer(1, first, 1)?], exit: layer(2, second, stride)?, shortcut })
    }

    /// The same parameters with the step and the dilation of another output stride.
    fn moved(&self, (stride, dilation): (usize, usize)) -> Self {
        let shortcut = match &self.shortcut {
            Shortcut::Projection(projection) => Shortcut::Projection(Box::new(projection.moved(stride, 1))),
            other => other.clone(),
        };
        let inner = self.inner.each_ref().map(|layer| layer.moved(1, dilation));
        Self { inner, exit: self.exit.moved(stride, dilation), shortcut }
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let inner = self.inner.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, pass))?;
        match &self.shortcut {
            Shortcut::Nothing => self.exit.forward(&inner, pass),
            Shortcut::Input => self.exit.forward_onto(&inner, x, pass),
            Shortcut::Projection(projection) => self.exit.forward_onto(&inner, &projection.forward(x, pass)?, pass),
        }
    }
}

/// Two 3x3 convolutions down to stride 2, a block down to stride 4 (the shallow feature), blocks down to strides 8 and
/// 16, sixteen of 728 channels, and two that widen to 2048 (the deep feature). The stem is fixed where norms are.
#[derive(Clone, Debug)]
pub(super) struct Xception65 {
    stem: [ConvNorm; 2],
    blocks: Vec<Block>,
}

impl Xception65 {
    /// Creates `stem` and `blocks` in `scope`, for a deep feature at `output_stride`: 8, 16 or 32. Of the norm only what
    /// becomes of the statistics is a choice.
    ///
    /// # Errors
    /// If a name is taken.
    pub(super) fn new(scope: &Scope, output_stride: usize, norm: NormConfig) -> Result<Self> {
        let norm = NormConfig { epsilon: EPSILON, ..norm };
        let stem = |index: usize, from: usize, stride: usize| {
            let scope = if norm.statistics == Statistics::Fixed { scope.frozen() } else { scope.clone() };
            let geometry = ConvConfig::new(3).stride(stride);
            conv_norm(&scope.at("stem").at(index), ("conv", "bn"), (from, STEM[index]), geometry, norm)
        };
        let stem = [stem(0, 3, 2)?, stem(1, STEM[0], 1)?];
        let (mut blocks, mut from) = (Vec::new(), STEM[1]);
        let last = forms().count() - 1;
        for (index, (form, step)) in forms().zip(steps(output_stride)).enumerate() {
            blocks.push(Block::new(&scope.at("blocks").at(index), from, form, step, index == last, norm)?);
            from = form.widths[2];
        }
        Ok(Self { stem, blocks })
    }
}

impl Backbone for Xception65 {
    fn channels(&self) -> Channels {
        Channels { shallow: FORMS[0].widths[2], deep: FORMS[4].widths[2] }
    }

    fn at_stride(&self, stride: usize) -> Result<Box<dyn Backbone>> {
        if ![8, 16, 32].contains(&stride) {
            return no_stride(stride, "8, 16 and 32");
        }
        let blocks = self.blocks.iter().zip(steps(stride)).map(|(block, step)| block.moved(step)).collect();
        Ok(Box::new(Self { blocks, ..self.clone() }))
    }

    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Features> {
        let run = |x: Tensor, blocks: &[Block]| blocks.iter().try_fold(x, |x, block| block.forward(&x, pass));
        let stem = self.stem.iter().try_fold(images.clone(), |x, layer| layer.forward(&x, pass))?;
        let (first, deeper) = self.blocks.split_at(1);
        let shallow = run(stem, first)?;
        let deep = run(shallow.clone(), deeper)?;
        Ok(Features { shallow, deep })
    }
}

#[cfg(test)]
mod tests {
    use super::steps;

    /// Stride and dilation at the ends of runs of equal blocks.
    fn runs(output_stride: usize) -> Vec<(usize, (usize, usize))> {
        let mut runs: Vec<(usize, (usize, usize))> = Vec::new();
        for step in steps(output_stride) {
            match runs.last_mut() {
                Some((count, last)) if *last == step => *count += 1,
                _ => runs.push((1, step)),
            }
        }
        runs
    }

    #[test]
    fn dilation_takes_the_place_of_strides() {
        assert_eq!(runs(32), [(3, (2, 1)), (16, (1, 1)), (1, (2, 1)), (1, (1, 1))]);
        // The block that leaves out its stride still sees a dense map.
        assert_eq!(runs(16), [(3, (2, 1)), (17, (1, 1)), (1, (1, 2))]);
        assert_eq!(runs(8), [(2, (2, 1)), (1, (1, 1)), (17, (1, 2)), (1, (1, 4))]);
    }
}
