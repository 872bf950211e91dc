//! Forward-mode derivatives over any backend: a value and its change along one direction.
//!
//! Every rule is the textbook product of tangent and local slope, nothing is special-cased. A formula that would
//! meet 0 times infinity in an automatic differentiation meets it here.

use wseg_core::{Axes, Corners, Kernels, Shape, Tensor};

#[derive(Clone, Debug)]
pub(crate) struct Dual<T> {
    pub(crate) value: T,
    pub(crate) tangent: T,
}

impl<T: Tensor> Dual<T> {
    /// A tensor that does not move.
    pub(crate) fn constant(value: T) -> Result<Self, T::Error> {
        let tangent = value.fill(value.shape(), 0.0)?;
        Ok(Self { value, tangent })
    }

    /// `f(value)` with the tangent scaled by `slope`.
    fn chain(&self, value: T, slope: &T) -> Result<Self, T::Error> {
        Ok(Self { value, tangent: self.tangent.mul(slope)? })
    }

    /// The same linear map applied to value and tangent.
    fn linear(&self, f: impl Fn(&T) -> Result<T, T::Error>) -> Result<Self, T::Error> {
        Ok(Self { value: f(&self.value)?, tangent: f(&self.tangent)? })
    }
}

/// 1 where two broadcast tensors are equal.
fn equal<T: Tensor>(lhs: &T, rhs: &T) -> Result<T, T::Error> {
    lhs.gt(rhs)?.add(&rhs.gt(lhs)?)?.affine(-1.0, 1.0)
}

impl<T: Tensor> Tensor for Dual<T> {
    type Error = T::Error;

    fn shape(&self) -> Shape {
        self.value.shape()
    }

    fn fill(&self, shape: Shape, value: f64) -> Result<Self, T::Error> {
        Self::constant(self.value.fill(shape, value)?)
    }

    fn affine(&self, mul: f64, add: f64) -> Result<Self, T::Error> {
        Ok(Self { value: self.value.affine(mul, add)?, tangent: self.tangent.affine(mul, 0.0)? })
    }

    fn add(&self, rhs: &Self) -> Result<Self, T::Error> {
        Ok(Self { value: self.value.add(&rhs.value)?, tangent: self.tangent.add(&rhs.tangent)? })
    }

    fn sub(&self, rhs: &Self) -> Result<Self, T::Error> {
        Ok(Self { value: self.value.sub(&rhs.value)?, tangent: self.tangent.sub(&rhs.tangent)? })
    }

    fn mul(&self, rhs: &Self) -> Result<Self, T::Error> {
        let tangent = self.tangent.mul(&rhs.value)?.add(&self.value.mul(&rhs.tangent)?)?;
        Ok(Self { value: self.value.mul(&rhs.value)?, tangent })
    }

    fn div(&self, rhs: &Self) -> Result<Self, T::Error> {
        let value = self.value.div(&rhs.value)?;
        let tangent = self.tangent.sub(&value.mul(&rhs.tangent)?)?.div(&rhs.value)?;
        Ok(Self { value, tangent })
    }

    fn maximum(&self, rhs: &Self) -> Result<Self, T::Error> {
        // Halves where both are equal, as candle has it.
        let half = equal(&self.value, &rhs.value)?.affine(0.5, 0.0)?;
        let left = self.tangent.mul(&self.value.gt(&rhs.value)?.add(&half)?)?;
        let right = rhs.tangent.mul(&rhs.value.gt(&self.value)?.add(&half)?)?;
        Ok(Self { value: self.value.maximum(&rhs.value)?, tangent: left.add(&right)? })
    }

    fn gt(&self, rhs: &Self) -> Result<Self, T::Error> {
        Self::constant(self.value.gt(&rhs.value)?)
    }

    fn exp(&self) -> Result<Self, T::Error> {
        let value = self.value.exp()?;
        self.chain(value.clone(), &value)
    }

    fn ln(&self) -> Result<Self, T::Error> {
        Ok(Self { value: self.value.ln()?, tangent: self.tangent.div(&self.value)? })
    }

    fn sqrt(&self) -> Result<Self, T::Error> {
        let value = self.value.sqrt()?;
        Ok(Self { tangent: self.tangent.div(&value.affine(2.0, 0.0)?)?, value })
    }

    fn abs(&self) -> Result<Self, T::Error> {
        // Slope 1 at 0, as candle has it.
        let negative = self.value.fill(Shape::SCALAR, 0.0)?.gt(&self.value)?;
        self.chain(self.value.abs()?, &negative.affine(-2.0, 1.0)?)
    }

    fn powf(&self, exponent: f64) -> Result<Self, T::Error> {
        let slope = self.value.powf(exponent - 1.0)?.affine(exponent, 0.0)?;
        self.chain(self.value.powf(exponent)?, &slope)
    }

    fn sum(&self, axes: Axes) -> Result<Self, T::Error> {
        self.linear(|x| x.sum(axes))
    }

    fn max(&self, axes: Axes) -> Result<Self, T::Error> {
        let value = self.value.max(axes)?;
        let winners = equal(&self.value, &value)?;
        let tangent = self.tangent.mul(&winners)?.sum(axes)?.div(&winners.sum(axes)?)?;
        Ok(Self { value, tangent })
    }

    fn shift(&self, dy: isize, dx: isize) -> Result<Self, T::Error> {
        self.linear(|x| x.shift(dy, dx))
    }

    fn mirror(&self) -> Result<Self, T::Error> {
        self.linear(T::mirror)
    }

    fn resize(&self, h: usize, w: usize, corners: Corners) -> Result<Self, T::Error> {
        self.linear(|x| x.resize(h, w, corners))
    }

    fn cat_channels(&self, rhs: &Self) -> Result<Self, T::Error> {
        let tangent = self.tangent.cat_channels(&rhs.tangent)?;
        Ok(Self { value: self.value.cat_channels(&rhs.value)?, tangent })
    }

    fn narrow_channels(&self, start: usize, len: usize) -> Result<Self, T::Error> {
        self.linear(|x| x.narrow_channels(start, len))
    }

    fn detach(&self) -> Self {
        // Nothing can fail here in a test: a missing zero would be an exhausted arena.
        Self::constant(self.value.detach()).expect("room for a map of zeros")
    }
}

impl<T: Tensor> Kernels for Dual<T> {}
