//! The arithmetic of a convolution of given shapes, whatever operation it is a part of.

use candle_core::{Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    super::{lanes::Lanes, scratch::Pooled},
    correlate::Correlate,
    finish::Finish,
    frame::{Frame, Pass, Reach, Wish, banded},
    gather::Gather,
    winograd::{self, Cost, Plan},
};

/// How a convolution's kernel moves over the map; the same along rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Distance between neighbouring outputs, in input pixels.
    pub stride: usize,
    /// Zeros around the map.
    pub padding: usize,
    /// Distance between neighbouring kernel taps, in input pixels.
    pub dilation: usize,
}

impl Default for Conv2d {
    /// Stride 1, no padding, no dilation.
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1 }
    }
}

impl Conv2d {
    /// Output extent along one axis; nothing if the kernel does not fit the padded map.
    #[must_use]
    pub fn output(&self, extent: usize, kernel: usize) -> Option<usize> {
        let span = self.dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
        let room = extent.checked_add(self.padding.checked_mul(2)?)?.checked_sub(span)?;
        room.checked_div(self.stride).map(|steps| steps + 1)
    }
}

/// A convolution of given shapes.
#[derive(Clone, Copy)]
pub(super) struct Convolution {
    pub p: Conv2d,
    pub images: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: (usize, usize),
    pub from: (usize, usize),
    /// Rows and columns of the output.
    pub to: (usize, usize),
}

impl Convolution {
    pub(super) fn new(x: &Tensor, weight: &Tensor, p: Conv2d) -> Result<Self> {
        let (images, inputs, h, w) = x.dims4()?;
        let (outputs, channels, kh, kw) = weight.dims4()?;
        if inputs != channels {
            bail!("a convolution of {channels} channels (weight {:?}) on a map of {:?}", weight.dims(), x.dims());
        }
        if x.elem_count() == 0 || weight.elem_count() == 0 {
            bail!("a convolution with weight {:?} on a map of {:?}: nothing to do", weight.dims(), x.dims());
        }
        match (p.output(h, kh), p.output(w, kw)) {
            (Some(rows), Some(columns)) if p.dilation > 0 => {
                Ok(Self { p, images, inputs, outputs, kernel: (kh, kw), from: (h, w), to: (rows, columns) })
            }
            _ => bail!("a convolution {p:?} with weight {:?} does not fit a map of {:?}", weight.dims(), x.dims()),
        }
    }

    /// Shape of the output.
    pub(super) fn output_shape(&self) -> Shape {
        Shape::from((self.images, self.outputs, self.to.0, self.to.1))
    }

    fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    /// Offset of every kernel tap from the pixel `stride * output`.
    fn reaches(&self) -> impl Iterator<Item = Reach> + '_ {
        let offset = |tap: usize| (tap * self.p.dilation) as isize - self.p.padding as isize;
        (0..self.taps()).map(move |weight| Reach {
            weight,
            dy: offset(weight / self.kernel.1),
            dx: offset(weight % self.kernel.1),
        })
    }

    /// The outputs over the input: one grid.
    fn wish(&self) -> Wish {
        (self.to, (0, 0), 1, self.reaches().collect())
    }

    /// The forward pass over the framed input.
    fn forward_plan(&self) -> (Frame, Vec<Pass>) {
        Frame::new(self.from, self.p.stride, banded(self.from, self.p.stride, vec![self.wish()]))
    }

    /// The weight gradient over the framed input: one pass.
    fn weight_plan(&self) -> (Frame, Vec<Pass>) {
        Frame::new(self.from, self.p.stride, vec![self.wish()])
    }

    /// The input gradient over the framed output gradient: input pixel `stride * i + phase` took part in output
    /// `i + (phase - offset) / stride` through every tap whose offset leaves that whole.
    fn backward_plan(&self) -> (Frame, Vec<Pass>) {
        let stride = self.p.stride;
        let mut wishes: Vec<Wish> = Vec::new();
        for (y, x) in (0..stride * stride).map(|phase| (phase / stride, phase % stride)) {
            let size = (self.from.0.saturating_sub(y).div_ceil(stride), self.from.1.saturating_sub(x).div_ceil(stride));
            if size.0 == 0 || size.1 == 0 {
                continue;
            }
            let steps = |phase: usize, offset: isize| {
                let distance = phase as isize - offset;
                (distance % stride as isize == 0).then_some(distance / stride as isize)
            };
            let reaches = self
                .reaches()
                .filter_map(|r| Some(Reach { weight: r.weight, dy: steps(y, r.dy)?, dx: steps(x, r.dx)? }))
                .collect();
            wishes.push((size, (y, x), stride, reaches));
        }
        Frame::new(self.to, 1, banded(self.to, 1, wishes))
    }

    /// The plan of [`winograd`] if that is faster at this cost: outputs from inputs, or gradients of inputs from those of
    /// outputs.
    fn winograd(&self, turned: bool, cost: &Cost) -> Option<Plan> {
        if self.kernel != (3, 3) || self.p.stride != 1 {
            return None;
        }
        let (mut channels, mut maps, mut padding) = ((self.inputs, self.outputs), [self.from, self.to], self.p.padding);
        if turned {
            channels = (self.outputs, self.inputs);
            maps = [self.to, self.from];
            padding = (2 * self.p.dilation).checked_sub(self.p.padding)?;
        }
        // The plain sum leaves out taps that do not see the map.
        let (_, passes) = if turned { self.backward_plan() } else { self.forward_plan() };
        let products = passes.iter().map(|pass| pass.taps.len() * pass.size.0 * pass.size.1).sum();
        Plan::new([self.images, channels.0, channels.1], maps, padding, self.p.dilation, products, cost)
    }

    /// The output, with the weights of each output times its scale.
    pub(super) fn forward<T: Lanes + Pooled>(
        &self,
        x: &[T],
        weight: &[T],
        scale: Option<&[T]>,
        finish: Finish<'_, T>,
    ) -> Vec<T> {
        let taps = self.taps();
        let weight = |output: usize, input: usize, tap: usize| {
            weight[(output * self.inputs + input) * taps + tap] * scale.map_or(T::one(), |scale| scale[output])
        };
        if let Some(plan) = &self.winograd(false, &winograd::FORWARD) {
            return winograd::Forward { plan, inputs: x, weight, finish }.run();
        }
        let (frame, passes) = self.forward_plan();
        let framed = (!frame.is_direct()).then(|| frame.fill(x, self.images * self.inputs));
        Gather {
            frame: &frame,
            passes: &passes,
            inputs: framed.as_deref().unwrap_or(x),
            images: self.images,
            channels: self.inputs,
            outputs: self.outputs,
            map: self.to,
            weight,
            finish,
        }
        .run()
    }

    /// The gradient of the input, with the weights of each output times its scale.
    pub(super) fn input_gradient<T: Lanes + Pooled>(&self, weight: &[T], scale: Option<&[T]>, dy: &[T]) -> Vec<T> {
        let taps = self.taps();
        let weight = |input: usize, output: usize, tap: usize| {
            weight[(output * self.inputs + input) * taps + tap] * scale.map_or(T::one(), |scale| scale[output])
        };
        if let Some(plan) = &self.winograd(true, &winograd::FORWARD) {
            let turned = |input: usize, output: usize, tap: usize| weight(input, output, taps - 1 - tap);
            return winograd::Forward { plan, inputs: dy, weight: turned, finish: Finish::default() }.run();
        }
        let (frame, passes) = self.backward_plan();
        let framed = (!frame.is_direct()).then(|| frame.fill(dy, self.images * self.outputs));
        Gather {
            frame: &frame,
            passes: &passes,
            inputs: framed.as_deref().unwrap_or(dy),
            images: self.images,
            channels: self.outputs,
            outputs: self.inputs,
            map: self.from,
            weight,
            finish: Finish::default(),
        }
        .run()
    }

    /// The gradient of the weights; a scale is not among its factors.
    pub(super) fn weight_gradient<T: Lanes + Pooled>(&self, x: &[T], dy: &[T]) -> Vec<T> {
        if let Some(plan) = &self.winograd(false, &winograd::WEIGHT) {
            return winograd::Weight { plan, inputs: x, gradients: dy }.run();
        }
        let (frame, passes) = self.weight_plan();
        let framed = (!frame.is_direct()).then(|| frame.fill(x, self.images * self.inputs));
        Correlate {
            frame: &frame,
            pass: &passes[0],
            inputs: framed.as_deref().unwrap_or(x),
            gradients: dy,
            images: self.images,
            channels: self.inputs,
            outputs: self.outputs,
            kernel: self.taps(),
        }
        .run()
    }

    /// The gradient of what is added to each output.
    pub(super) fn bias_gradient<T: Lanes>(&self, dy: &[T]) -> Vec<T> {
        let pixels = self.to.0 * self.to.1;
        let planes: Vec<f64> = dy.par_chunks(pixels).map(|dy| dy.iter().map(|dy| dy.to_f64()).sum::<f64>()).collect();
        (0..self.outputs).map(|output| T::from_f64(planes.iter().skip(output).step_by(self.outputs).sum())).collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// Batch, channels, outputs, extent, kernel, dilation.
    fn chosen([images, from, to, extent, kernel, dilation]: [usize; 6]) -> [bool; 3] {
        let zeros = |shape: (usize, usize, usize, usize)| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let (x, weight) = (zeros((images, from, extent, extent)), zeros((to, from, kernel, kernel)));
        let p = Conv2d { stride: 1, padding: dilation * (kernel / 2), dilation };
        let convolution = Convolution::new(&x, &weight, p).unwrap();
        let ways = [(false, winograd::FORWARD), (true, winograd::FORWARD), (false, winograd::WEIGHT)];
        ways.map(|(turned, cost)| convolution.winograd(turned, &cost).is_some())
    }

    #[test]
    fn wide_layers_are_filtered_and_narrow_ones_are_not() {
        for layer in [
            [2, 304, 256, 81, 3, 1],
            [1, 512, 512, 41, 3, 1],
            [1, 1024, 2048, 41, 3, 4],
            // What the tests of wide convolutions look at.
            [2, 170, 180, 41, 3, 1],
            [2, 180, 180, 41, 3, 4],
        ] {
            assert_eq!(chosen(layer), [true; 3], "{layer:?}");
        }
        // Few channels, no 3x3, and dilations that leave the map: filtering would take more.
        for layer in [[16, 32, 32, 24, 3, 1], [2, 512, 512, 41, 1, 1], [2, 2048, 256, 21, 3, 24]] {
            assert_eq!(chosen(layer), [false; 3], "{layer:?}");
        }
    }
}
