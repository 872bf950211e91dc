//! [`Dense`], the tensors of the definitions on candle, with automatic differentiation.

use candle_core::{DType, Tensor as Candle};
use wseg_core::{
    Axes, Corners, Kernels, Shape, ShapeError, Tensor, loss,
    pamr::{self, Pamr},
    pseudo::{self, Cutoff},
};

#[cfg(feature = "cuda")]
use wseg_core::pooling::{self, Classification, Pooling};

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

    /// Wraps what a network made, as numbers that formulas may sum: `bf16` becomes `f32`.
    ///
    /// # Errors
    /// If the rank is not four.
    pub fn wide(tensor: &Candle) -> Result<Self> {
        Self::new(ops::wide(tensor)?)
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

    /// The gradient goes to the first maximum.
    fn max(&self, axes: Axes) -> Result<Self> {
        let shape = self.shape();
        if shape.count() == 0 {
            return Err(ShapeError { lhs: shape, rhs: shape.reduced(axes) }.into());
        }
        let Shape { n, c, h, w } = shape;
        // Pooled over whole maps: the axis is brought there.
        let pooled = |x: Candle| ops::global_max_pool(&x);
        Ok(Self(match axes {
            Axes::Batch => pooled(self.0.reshape((1, n, 1, c * h * w))?.transpose(1, 3)?)?.reshape((1, c, h, w))?,
            Axes::Channel => pooled(self.0.reshape((n, c, 1, h * w))?.transpose(1, 3)?)?.reshape((n, 1, h, w))?,
            Axes::Spatial => pooled(self.0.clone())?,
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

    /// On a GPU masks and scores in two launches, unless there is no pixel or no class.
    #[cfg(feature = "cuda")]
    fn classify(&self, pooling: &Pooling) -> Result<Classification<Self>> {
        if !self.0.device().is_cuda() || self.shape().count() == 0 {
            return pooling::classify(self, pooling);
        }
        let (masks, scores) = ops::head::classify(&self.0, pooling)?;
        Ok(Classification { masks: Self(masks), scores: Self(scores) })
    }

    /// On a GPU in one launch, where the labels are a constant.
    #[cfg(feature = "cuda")]
    fn soft_margin(&self, labels: &Self) -> Result<Self> {
        let fused = self.0.device().is_cuda() && self.shape() == labels.shape() && self.shape().count() > 0;
        if !fused || labels.0.track_op() {
            return loss::soft_margin(self, labels);
        }
        Ok(Self(ops::head::soft_margin(&self.0, &labels.0)?))
    }

    /// [`ops::balanced_cross_entropy`], unless there is no pixel.
    fn segmentation_loss(&self, pseudo: &Self) -> Result<Self> {
        let (from, to) = (self.shape(), pseudo.shape());
        if from.with_size(to.h, to.w) != to || to.count() == 0 {
            return loss::segmentation_loss(self, pseudo);
        }
        let logits = self.resize(to.h, to.w, Corners::Aligned)?;
        Ok(Self(ops::balanced_cross_entropy(&logits.0, &pseudo.0)?))
    }

    /// [`ops::pamr_stored`] where no gradient is wanted, which is where the method uses it.
    fn pamr(&self, image: &Self, pamr: &Pamr) -> Result<Self> {
        let (from, guide) = (self.shape(), image.shape());
        let empty = from.count() == 0 || guide.count() == 0;
        if self.0.track_op() || from.n != guide.n || empty || pamr.dilations.is_empty() {
            return pamr::refine(self, image, pamr);
        }
        let masks = self.resize(guide.h, guide.w, Corners::Aligned)?;
        Ok(Self(ops::pamr_stored(&masks.0, &image.0.detach(), pamr)?))
    }

    fn pseudo_labels(&self, cutoff: &Cutoff) -> Result<Self> {
        if self.shape().count() == 0 {
            return pseudo::pseudo_labels(self, cutoff);
        }
        Ok(Self(ops::pseudo_labels(&self.0, cutoff)?))
    }
}
