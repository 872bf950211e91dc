//! A backend with nothing but loops over a `Vec<f64>`: where a golden case fails here, the definition is wrong and
//! not a backend. Every `Kernels` method is the definition.

use wseg_core::{Axes, Corners, Kernels, Shape, ShapeError, Tensor};

use super::Bench;
use crate::failure::Failure;

/// A tensor that owns its elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Naive {
    shape: Shape,
    values: Vec<f64>,
}

/// All positions of a shape, in memory order.
fn positions(shape: Shape) -> impl Iterator<Item = [usize; 4]> {
    (0..shape.count()).map(move |index| {
        let (rest, x) = (index / shape.w, index % shape.w);
        let (rest, y) = (rest / shape.h, rest % shape.h);
        [rest / shape.c, rest % shape.c, y, x]
    })
}

impl Naive {
    /// A tensor of `shape` whose element at `[n, c, y, x]` is computed from that position.
    fn from_fn(shape: Shape, element: impl FnMut([usize; 4]) -> f64) -> Self {
        Self { shape, values: positions(shape).map(element).collect() }
    }

    /// The element at a position, which must lie inside.
    fn at(&self, [n, c, y, x]: [usize; 4]) -> f64 {
        self.values[((n * self.shape.c + c) * self.shape.h + y) * self.shape.w + x]
    }

    /// The element that broadcasting puts at a position.
    fn broadcast_at(&self, position: [usize; 4]) -> f64 {
        let mut own = position;
        for (index, extent) in own.iter_mut().zip(self.shape.extents()) {
            *index = if extent == 1 { 0 } else { *index };
        }
        self.at(own)
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape, values: self.values.iter().map(|&value| f(value)).collect() }
    }

    fn zip(&self, rhs: &Self, f: impl Fn(f64, f64) -> f64) -> Result<Self, ShapeError> {
        let shape = self.shape.broadcast(rhs.shape)?;
        Ok(Self::from_fn(shape, |position| f(self.broadcast_at(position), rhs.broadcast_at(position))))
    }

    fn fold(&self, axes: Axes, start: f64, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut reduced = Self::from_fn(self.shape.reduced(axes), |_| start);
        let to = reduced.shape;
        for ([n, c, y, x], &value) in positions(self.shape).zip(&self.values) {
            let index = ((n.min(to.n - 1) * to.c + c.min(to.c - 1)) * to.h + y.min(to.h - 1)) * to.w + x.min(to.w - 1);
            reduced.values[index] = f(reduced.values[index], value);
        }
        reduced
    }
}

/// The two source samples of an output sample along one axis, and the second one's share.
fn taps(index: usize, from: usize, to: usize, corners: Corners) -> (usize, usize, f64) {
    let position = match corners {
        Corners::Aligned if to == 1 => 0.0,
        Corners::Aligned => index as f64 * (from - 1) as f64 / (to - 1) as f64,
        Corners::HalfPixel => ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0),
    };
    let low = (position.floor() as usize).min(from - 1);
    (low, (low + 1).min(from - 1), position - low as f64)
}

impl Tensor for Naive {
    type Error = ShapeError;

    fn shape(&self) -> Shape {
        self.shape
    }

    fn fill(&self, shape: Shape, value: f64) -> Result<Self, ShapeError> {
        Ok(Self::from_fn(shape, |_| value))
    }

    fn affine(&self, mul: f64, add: f64) -> Result<Self, ShapeError> {
        Ok(self.map(|value| mul * value + add))
    }

    fn add(&self, rhs: &Self) -> Result<Self, ShapeError> {
        self.zip(rhs, |a, b| a + b)
    }

    fn sub(&self, rhs: &Self) -> Result<Self, ShapeError> {
        self.zip(rhs, |a, b| a - b)
    }

    fn mul(&self, rhs: &Self) -> Result<Self, ShapeError> {
        self.zip(rhs, |a, b| a * b)
    }

    fn div(&self, rhs: &Self) -> Result<Self, ShapeError> {
        self.zip(rhs, |a, b| a / b)
    }

    fn maximum(&self, rhs: &Self) -> Result<Self, ShapeError> {
        self.zip(rhs, f64::max)
    }

    fn gt(&self, rhs: &Self) -> Result<Self, ShapeError> {
        self.zip(rhs, |a, b| f64::from(a > b))
    }

    fn exp(&self) -> Result<Self, ShapeError> {
        Ok(self.map(f64::exp))
    }

    fn ln(&self) -> Result<Self, ShapeError> {
        Ok(self.map(f64::ln))
    }

    fn sqrt(&self) -> Result<Self, ShapeError> {
        Ok(self.map(f64::sqrt))
    }

    fn abs(&self) -> Result<Self, ShapeError> {
        Ok(self.map(f64::abs))
    }

    fn powf(&self, exponent: f64) -> Result<Self, ShapeError> {
        Ok(self.map(|value| value.powf(exponent)))
    }

    fn sum(&self, axes: Axes) -> Result<Self, ShapeError> {
        Ok(self.fold(axes, 0.0, |sum, value| sum + value))
    }

    fn max(&self, axes: Axes) -> Result<Self, ShapeError> {
        Ok(self.fold(axes, f64::NEG_INFINITY, f64::max))
    }

    fn shift(&self, dy: isize, dx: isize) -> Result<Self, ShapeError> {
        let clamped = |index: usize, step: isize, extent: usize| index.saturating_add_signed(step).min(extent - 1);
        let Shape { h, w, .. } = self.shape;
        Ok(Self::from_fn(self.shape, |[n, c, y, x]| self.at([n, c, clamped(y, dy, h), clamped(x, dx, w)])))
    }

    fn mirror(&self) -> Result<Self, ShapeError> {
        Ok(Self::from_fn(self.shape, |[n, c, y, x]| self.at([n, c, y, self.shape.w - 1 - x])))
    }

    fn resize(&self, h: usize, w: usize, corners: Corners) -> Result<Self, ShapeError> {
        let to = self.shape.with_size(h, w);
        if self.shape.h * self.shape.w * h * w == 0 {
            return Err(ShapeError { lhs: self.shape, rhs: to });
        }
        Ok(Self::from_fn(to, |[n, c, y, x]| {
            let (top, bottom, down) = taps(y, self.shape.h, h, corners);
            let (left, right, along) = taps(x, self.shape.w, w, corners);
            let row = |y| self.at([n, c, y, left]) * (1.0 - along) + self.at([n, c, y, right]) * along;
            row(top) * (1.0 - down) + row(bottom) * down
        }))
    }

    fn cat_channels(&self, rhs: &Self) -> Result<Self, ShapeError> {
        if self.shape.with_channels(0) != rhs.shape.with_channels(0) {
            return Err(ShapeError { lhs: self.shape, rhs: rhs.shape });
        }
        Ok(Self::from_fn(self.shape.with_channels(self.shape.c + rhs.shape.c), |[n, c, y, x]| {
            match c.checked_sub(self.shape.c) {
                None => self.at([n, c, y, x]),
                Some(c) => rhs.at([n, c, y, x]),
            }
        }))
    }

    fn narrow_channels(&self, start: usize, len: usize) -> Result<Self, ShapeError> {
        if start.checked_add(len).is_none_or(|end| end > self.shape.c) {
            return Err(ShapeError { lhs: self.shape, rhs: self.shape.with_channels(len) });
        }
        Ok(Self::from_fn(self.shape.with_channels(len), |[n, c, y, x]| self.at([n, c + start, y, x])))
    }

    fn detach(&self) -> Self {
        self.clone()
    }
}

impl Kernels for Naive {}

/// The naive backend, in f64.
#[derive(Clone, Copy, Debug, Default)]
pub struct NaiveBench;

impl Bench for NaiveBench {
    type T = Naive;
    const NAME: &'static str = "naive_f64";
    const TOLERANCE: f64 = 1e-10;

    fn load(&self, shape: Shape, values: &[f64]) -> Result<Naive, Failure> {
        if shape.count() != values.len() {
            return Err(Failure::new(format!("{} values do not fill shape {shape}", values.len())));
        }
        Ok(Naive { shape, values: values.to_vec() })
    }

    fn read(&self, tensor: &Naive) -> Result<Vec<f64>, Failure> {
        Ok(tensor.values.clone())
    }
}
