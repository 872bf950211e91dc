//! Forward-mode derivatives over any backend: a value and its change along one direction.
//!
//! Every rule is the textbook product of tangent and local slope, nothing is special-cased. A formula that would
//! meet 0 times infinity in an automatic differentiation meets it here. As there, a constant has no slope at all,
//! and what is made of constants is one.

use wseg_core::{Axes, Corners, Kernels, Shape, Tensor};

#[derive(Clone, Debug)]
pub(crate) struct Dual<T> {
    pub(crate) value: T,
    tangent: Option<T>,
}

impl<T: Tensor> Dual<T> {
    pub(crate) fn moving(value: T, tangent: T) -> Self {
        Self { value, tangent: Some(tangent) }
    }

    pub(crate) fn constant(value: T) -> Self {
        Self { value, tangent: None }
    }

    /// The tangent, zeros for a constant.
    pub(crate) fn slope(&self) -> Result<T, T::Error> {
        self.tangent.clone().map_or_else(|| self.value.fill(self.value.shape(), 0.0), Ok)
    }

    /// `value` with the tangent that `rule` makes of this one.
    fn unary(&self, value: T, rule: impl FnOnce(&T, &T) -> Result<T, T::Error>) -> Result<Self, T::Error> {
        let tangent = self.tangent.as_ref().map(|tangent| rule(tangent, &value)).transpose()?;
        Ok(Self { value, tangent })
    }

    /// `value` with the sum of what `left` and `right` make of the operands' tangents.
    fn binary(
        &self,
        rhs: &Self,
        value: T,
        left: impl FnOnce(&T, &T) -> Result<T, T::Error>,
        right: impl FnOnce(&T, &T) -> Result<T, T::Error>,
    ) -> Result<Self, T::Error> {
        let left = self.tangent.as_ref().map(|tangent| left(tangent, &value)).transpose()?;
        let right = rhs.tangent.as_ref().map(|tangent| right(tangent, &value)).transpose()?;
        let tangent = match (left, right) {
            (Some(left), Some(right)) => Some(left.add(&right)?),
            // One operand alone may be smaller than the result.
            (Some(one), None) | (None, Some(one)) => Some(one.add(&value.fill(value.shape(), 0.0)?)?),
            (None, None) => None,
        };
        Ok(Self { value, tangent })
    }

    /// The same linear map applied to value and tangent.
    fn linear(&self, f: impl Fn(&T) -> Result<T, T::Error>) -> Result<Self, T::Error> {
        self.unary(f(&self.value)?, |tangent, _| f(tangent))
    }
}

/// 1 where two broadcast tensors are equal.
fn equal<T: Tensor>(lhs: &T, rhs: &T) -> Result<T, T::Error> {
    lhs.gt(rhs)?.add(&rhs.gt(lhs)?)?.affine(-1.0, 1.0)
}

/// Slope of the larger of two towards `lhs`: halves where both are equal, as candle has it.
fn wins<T: Tensor>(lhs: &T, rhs: &T) -> Result<T, T::Error> {
    lhs.gt(rhs)?.add(&equal(lhs, rhs)?.affine(0.5, 0.0)?)
}

impl<T: Tensor> Tensor for Dual<T> {
    type Error = T::Error;

    fn shape(&self) -> Shape {
        self.value.shape()
    }

    fn fill(&self, shape: Shape, value: f64) -> Result<Self, T::Error> {
        Ok(Self::constant(self.value.fill(shape, value)?))
    }

    fn affine(&self, mul: f64, add: f64) -> Result<Self, T::Error> {
        self.unary(self.value.affine(mul, add)?, |tangent, _| tangent.affine(mul, 0.0))
    }

    fn add(&self, rhs: &Self) -> Result<Self, T::Error> {
        self.binary(rhs, self.value.add(&rhs.value)?, |left, _| Ok(left.clone()), |right, _| Ok(right.clone()))
    }

    fn sub(&self, rhs: &Self) -> Result<Self, T::Error> {
        self.binary(rhs, self.value.sub(&rhs.value)?, |left, _| Ok(left.clone()), |right, _| right.affine(-1.0, 0.0))
    }

    fn mul(&self, rhs: &Self) -> Result<Self, T::Error> {
        let value = self.value.mul(&rhs.value)?;
        self.binary(rhs, value, |left, _| left.mul(&rhs.value), |right, _| right.mul(&self.value))
    }

    fn div(&self, rhs: &Self) -> Result<Self, T::Error> {
        let value = self.value.div(&rhs.value)?;
        self.binary(
            rhs,
            value,
            |left, _| left.div(&rhs.value),
            |right, value| right.mul(value)?.div(&rhs.value)?.affine(-1.0, 0.0),
        )
    }

    fn maximum(&self, rhs: &Self) -> Result<Self, T::Error> {
        self.binary(
            rhs,
            self.value.maximum(&rhs.value)?,
            |left, _| left.mul(&wins(&self.value, &rhs.value)?),
            |right, _| right.mul(&wins(&rhs.value, &self.value)?),
        )
    }

    fn gt(&self, rhs: &Self) -> Result<Self, T::Error> {
        Ok(Self::constant(self.value.gt(&rhs.value)?))
    }

    fn exp(&self) -> Result<Self, T::Error> {
        self.unary(self.value.exp()?, |tangent, value| tangent.mul(value))
    }

    fn ln(&self) -> Result<Self, T::Error> {
        self.unary(self.value.ln()?, |tangent, _| tangent.div(&self.value))
    }

    fn sqrt(&self) -> Result<Self, T::Error> {
        self.unary(self.value.sqrt()?, |tangent, value| tangent.div(&value.affine(2.0, 0.0)?))
    }

    fn abs(&self) -> Result<Self, T::Error> {
        // Slope 1 at 0, as candle has it.
        let negative = self.value.fill(Shape::SCALAR, 0.0)?.gt(&self.value)?;
        self.unary(self.value.abs()?, |tangent, _| tangent.mul(&negative.affine(-2.0, 1.0)?))
    }

    fn powf(&self, exponent: f64) -> Result<Self, T::Error> {
        self.unary(self.value.powf(exponent)?, |tangent, _| {
            tangent.mul(&self.value.powf(exponent - 1.0)?.affine(exponent, 0.0)?)
        })
    }

    fn sum(&self, axes: Axes) -> Result<Self, T::Error> {
        self.linear(|x| x.sum(axes))
    }

    fn max(&self, axes: Axes) -> Result<Self, T::Error> {
        self.unary(self.value.max(axes)?, |tangent, value| {
            let winners = equal(&self.value, value)?;
            tangent.mul(&winners)?.sum(axes)?.div(&winners.sum(axes)?)
        })
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
        let value = self.value.cat_channels(&rhs.value)?;
        if self.tangent.is_none() && rhs.tangent.is_none() {
            return Ok(Self::constant(value));
        }
        Ok(Self::moving(value, self.slope()?.cat_channels(&rhs.slope()?)?))
    }

    fn narrow_channels(&self, start: usize, len: usize) -> Result<Self, T::Error> {
        self.linear(|x| x.narrow_channels(start, len))
    }

    fn detach(&self) -> Self {
        Self::constant(self.value.detach())
    }
}

impl<T: Tensor> Kernels for Dual<T> {}
