//! The two traits a backend implements: [`Tensor`], what a formula needs, and [`Kernels`], its fast paths.

use crate::{
    activation,
    cam::{self, Cam},
    loss,
    pamr::{self, Pamr},
    pooling::{self, Classification, Pooling},
    pseudo::{self, Cutoff},
    shape::{Axes, Corners, Shape, ShapeError},
};

/// What a formula needs from a tensor: rank four, `[n, c, h, w]`, real numbers.
///
/// There is no constructor from data: core never loads anything. Binary operations broadcast extents of 1;
/// reductions keep the reduced extents as 1. On a backend with automatic differentiation every method but
/// [`detach`](Tensor::detach), [`fill`](Tensor::fill) and [`gt`](Tensor::gt) is differentiable.
pub trait Tensor: Sized + Clone {
    /// What can go wrong: shapes that do not match, memory that is exhausted, a device that failed.
    type Error: core::error::Error + From<ShapeError>;

    /// The extents.
    fn shape(&self) -> Shape;

    /// A tensor of `shape` with every element `value`, on the same device and of the same element type.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn fill(&self, shape: Shape, value: f64) -> Result<Self, Self::Error>;

    /// `mul * x + add`, elementwise.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn affine(&self, mul: f64, add: f64) -> Result<Self, Self::Error>;

    /// `self + rhs`.
    ///
    /// # Errors
    /// [`ShapeError`] if the shapes do not broadcast.
    fn add(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `self - rhs`.
    ///
    /// # Errors
    /// [`ShapeError`] if the shapes do not broadcast.
    fn sub(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `self * rhs`.
    ///
    /// # Errors
    /// [`ShapeError`] if the shapes do not broadcast.
    fn mul(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `self / rhs`.
    ///
    /// # Errors
    /// [`ShapeError`] if the shapes do not broadcast.
    fn div(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// The larger of the two, elementwise.
    ///
    /// # Errors
    /// [`ShapeError`] if the shapes do not broadcast.
    fn maximum(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// 1 where `self > rhs`, else 0, in the same element type. Carries no gradient.
    ///
    /// # Errors
    /// [`ShapeError`] if the shapes do not broadcast.
    fn gt(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// e to the power x.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn exp(&self) -> Result<Self, Self::Error>;

    /// Natural logarithm.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn ln(&self) -> Result<Self, Self::Error>;

    /// Square root.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn sqrt(&self) -> Result<Self, Self::Error>;

    /// Absolute value.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn abs(&self) -> Result<Self, Self::Error>;

    /// x to the power `exponent`.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn powf(&self, exponent: f64) -> Result<Self, Self::Error>;

    /// Sum over `axes`.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn sum(&self, axes: Axes) -> Result<Self, Self::Error>;

    /// Largest element over `axes`.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn max(&self, axes: Axes) -> Result<Self, Self::Error>;

    /// `out(y, x) = self(y + dy, x + dx)`; beyond the border the nearest edge pixel is repeated.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn shift(&self, dy: isize, dx: isize) -> Result<Self, Self::Error>;

    /// Left-right mirror image.
    ///
    /// # Errors
    /// The backend's, such as exhausted memory.
    fn mirror(&self) -> Result<Self, Self::Error>;

    /// Bilinear resize of every channel to `h` rows and `w` columns, without antialiasing.
    ///
    /// # Errors
    /// [`ShapeError`] if either map is empty.
    fn resize(&self, h: usize, w: usize, corners: Corners) -> Result<Self, Self::Error>;

    /// The channels of `self` followed by those of `rhs`.
    ///
    /// # Errors
    /// [`ShapeError`] if batch, rows or columns differ.
    fn cat_channels(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// Channels `start..start + len`.
    ///
    /// # Errors
    /// [`ShapeError`] if the range leaves the tensor.
    fn narrow_channels(&self, start: usize, len: usize) -> Result<Self, Self::Error>;

    /// The same values, cut off from the gradient.
    #[must_use]
    fn detach(&self) -> Self;
}

/// Fast paths of a backend.
///
/// `impl Kernels for MyTensor {}` means "use every definition as written". Each method's default is a one-line call
/// of the free function that defines it, so an override leaves the definition callable on the same backend and a
/// test can hold one against the other.
pub trait Kernels: Tensor {
    /// Softmax over channels. Defaults to [`activation::softmax`].
    ///
    /// # Errors
    /// As the definition.
    fn softmax(&self) -> Result<Self, Self::Error> {
        activation::softmax(self)
    }

    /// Logarithm of the softmax over channels. Defaults to [`activation::log_softmax`].
    ///
    /// # Errors
    /// As the definition.
    fn log_softmax(&self) -> Result<Self, Self::Error> {
        activation::log_softmax(self)
    }

    /// Masks and class scores of a score map. Defaults to [`pooling::classify`].
    ///
    /// # Errors
    /// As the definition.
    fn classify(&self, pooling: &Pooling) -> Result<Classification<Self>, Self::Error> {
        pooling::classify(self, pooling)
    }

    /// Multi-label soft-margin loss of class scores. Defaults to [`loss::soft_margin`].
    ///
    /// # Errors
    /// As the definition.
    fn soft_margin(&self, labels: &Self) -> Result<Self, Self::Error> {
        loss::soft_margin(self, labels)
    }

    /// Class-balanced cross entropy of logits against pseudo labels. Defaults to [`loss::segmentation_loss`].
    ///
    /// # Errors
    /// As the definition.
    fn segmentation_loss(&self, pseudo: &Self) -> Result<Self, Self::Error> {
        loss::segmentation_loss(self, pseudo)
    }

    /// Refines masks along the edges of `image`. Defaults to [`pamr::refine`].
    ///
    /// # Errors
    /// As the definition.
    fn pamr(&self, image: &Self, pamr: &Pamr) -> Result<Self, Self::Error> {
        pamr::refine(self, image, pamr)
    }

    /// One-hot pseudo labels of masks. Defaults to [`pseudo::pseudo_labels`].
    ///
    /// # Errors
    /// As the definition.
    fn pseudo_labels(&self, cutoff: &Cutoff) -> Result<Self, Self::Error> {
        pseudo::pseudo_labels(self, cutoff)
    }

    /// Normalised class activation maps with a background channel. Defaults to [`cam::cam_masks`].
    ///
    /// # Errors
    /// As the definition.
    fn cam_masks(&self, cam: &Cam) -> Result<Self, Self::Error> {
        cam::cam_masks(self, cam)
    }
}
