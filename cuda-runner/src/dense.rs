//! [`Dense`], the tensors of the definitions on candle, with automatic differentiation.

use candle_core::{DType, Tensor as Candle};
use wseg_core::{Axes, Corners, Kernels, Shape, ShapeError, Tensor};

use crate::{
    Error, Result,
    ops::{self, Binary},
};

/// A rank-four candle tensor, `[n, c, h, w]`, that the formulas of `wseg_core` compute with.
///
/// Gradients are candle's: `backward` of the underlying tensor runs through every method but those that the
/// [`Tensor`] trait exempts.
#[derive(Clone, Debug)]
pub struct Dense(Candle);

impl Dense {
    /// Wraps a rank-four tensor.
    ///
    /// # Errors
    /// If the rank is not four.
    pub fn new(tensor: Candle) -> Result<Self> {
        tensor.dims4()?;
        Ok(Self(tensor))
    }

    /// The candle tensor.
    #[must_use]
    pub fn tensor(&self) -> &Candle {
        &self.0
    }

    /// The candle tensor, taken out.
    #[must_use]
    pub fn into_tensor(self) -> Candle {
        self.0
    }

    fn binary(&self, op: Binary, rhs: &Self) -> Result<Self> {
        self.shape().broadcast(rhs.shape())?;
        Ok(Self(ops::binary(op, &self.0, &rhs.0)?))
    }
}

impl Tensor for Dense {
    type Error = Error;

    fn shape(&self) -> Shape {
        match *self.0.dims() {
            [n, c, h, w] => Shape::new(n, c, h, w),
            // `new` refuses every other rank, and no operation changes it.
            _ => Shape::SCALAR,
        }
    }

    fn fill(&self, shape: Shape, value: f64) -> Result<Self> {
        let (dims, device) = (&shape.extents()[..], self.0.device());
        Ok(Self(match self.0.dtype() {
            DType::F32 => Candle::full(value as f32, dims, device)?,
            dtype => Candle::full(value, dims, device)?.to_dtype(dtype)?,
        }))
    }

    fn affine(&self, mul: f64, add: f64) -> Result<Self> {
        Ok(Self(self.0.affine(mul, add)?))
    }

    fn add(&self, rhs: &Self) -> Result<Self> {
        self.binary(Binary::Add, rhs)
    }

    fn sub(&self, rhs: &Self) -> Result<Self> {
        self.binary(Binary::Sub, rhs)
    }

    fn mul(&self, rhs: &Self) -> Result<Self> {
        self.binary(Binary::Mul, rhs)
    }

    fn div(&self, rhs: &Self) -> Result<Self> {
        self.binary(Binary::Div, rhs)
    }

    fn maximum(&self, rhs: &Self) -> Result<Self> {
        self.binary(Binary::Maximum, rhs)
    }

    fn gt(&self, rhs: &Self) -> Result<Self> {
        self.binary(Binary::Greater, rhs)
    }

    fn exp(&self) -> Result<Self> {
        Ok(Self(ops::exp(&self.0)?))
    }

    fn ln(&self) -> Result<Self> {
        Ok(Self(ops::ln(&self.0)?))
    }

    fn sqrt(&self) -> Result<Self> {
        Ok(Self(ops::sqrt(&self.0)?))
    }

    fn abs(&self) -> Result<Self> {
        Ok(Self(ops::abs(&self.0)?))
    }

    fn powf(&self, exponent: f64) -> Result<Self> {
        Ok(Self(ops::powf(&self.0, exponent)?))
    }

    fn sum(&self, axes: Axes) -> Result<Self> {
        Ok(Self(match axes {
            Axes::Batch => self.0.sum_keepdim(0)?,
            Axes::Channel => self.0.sum_keepdim(1)?,
            Axes::Spatial => self.0.sum_keepdim((2, 3))?,
        }))
    }

    fn max(&self, axes: Axes) -> Result<Self> {
        Ok(Self(match axes {
            Axes::Batch => self.0.max_keepdim(0)?,
            Axes::Channel => self.0.max_keepdim(1)?,
            Axes::Spatial => ops::global_max_pool(&self.0)?,
        }))
    }

    fn shift(&self, dy: isize, dx: isize) -> Result<Self> {
        Ok(Self(ops::shift(&self.0, dy, dx)?))
    }

    fn mirror(&self) -> Result<Self> {
        Ok(Self(ops::mirror(&self.0)?))
    }

    fn resize(&self, h: usize, w: usize, corners: Corners) -> Result<Self> {
        let shape = self.shape();
        let target = shape.with_size(h, w);
        if shape.h * shape.w == 0 || h * w == 0 {
            return Err(ShapeError { lhs: shape, rhs: target }.into());
        }
        Ok(Self(ops::resize(&self.0, h, w, corners)?))
    }

    fn cat_channels(&self, rhs: &Self) -> Result<Self> {
        let (lhs, other) = (self.shape(), rhs.shape());
        if lhs.with_channels(0) != other.with_channels(0) {
            return Err(ShapeError { lhs, rhs: other }.into());
        }
        Ok(Self(Candle::cat(&[&self.0, &rhs.0], 1)?))
    }

    fn narrow_channels(&self, start: usize, len: usize) -> Result<Self> {
        let shape = self.shape();
        if start.checked_add(len).is_none_or(|end| end > shape.c) {
            return Err(ShapeError { lhs: shape, rhs: shape.with_channels(start.saturating_add(len)) }.into());
        }
        Ok(Self(self.0.narrow(1, start, len)?))
    }

    fn detach(&self) -> Self {
        Self(self.0.detach())
    }
}

impl Kernels for Dense {
    fn softmax(&self) -> Result<Self> {
        Ok(Self(ops::softmax(&self.0)?))
    }

    fn log_softmax(&self) -> Result<Self> {
        Ok(Self(ops::log_softmax(&self.0)?))
    }
}
