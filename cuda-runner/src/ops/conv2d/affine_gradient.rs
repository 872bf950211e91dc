//! The gradients of a convolution that is scaled, shifted, added to and rectified, without its intermediate results.

use rayon::prelude::*;

use super::{
    super::{
        element::Element,
        lanes::{Lanes, vectorised},
        scratch::{Pooled, Scratch},
    },
    convolution::Convolution,
};

/// Inputs that want a gradient.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub x: bool,
    pub weight: bool,
    /// Scale or shift.
    pub affine: bool,
    pub residual: bool,
}

/// The gradients that were wanted.
pub(super) struct Gradients<T> {
    pub x: Option<Vec<T>>,
    pub weight: Option<Vec<T>>,
    /// Of all scales, then of all shifts.
    pub affine: Option<Vec<T>>,
    /// None if it is the output's gradient as it is.
    pub residual: Option<Vec<T>>,
}

vectorised! {
    /// Writes the gradients that the rectification lets pass to `dz`, which is as long as the inputs.
    ['a, T: Element] ['a, T]
    fn pass_on(y: &'a [T], dy: &'a [T], dz: &'a mut [T]) -> () {
        for ((dz, &y), &dy) in dz.iter_mut().zip(y).zip(dy) {
            *dz = if y > T::zero() { dy } else { T::zero() };
        }
    }
}

/// The gradients from input, weights, scales, output and the output's gradient.
///
/// With `dz` the gradient of the sum before the rectification, and `D` the gradient that it would give the weights of a
/// bare convolution, `dweight(o) = scale(o) D(o)` and `dscale(o) = sum over pixels of dz(o) conv(o) = <weight(o), D(o)>`:
/// a convolution is linear in its weights, so its result is not needed.
pub(super) fn backward<T: Lanes + Pooled>(
    convolution: &Convolution,
    relu: bool,
    [x, weight, scale, y, dy]: [&[T]; 5],
    wanted: Wanted,
) -> Gradients<T> {
    // The residual's gradient is kept; otherwise the memory is only lent.
    let mut kept = (relu && wanted.residual).then(|| vec![T::zero(); dy.len()]);
    let mut lent = (relu && !wanted.residual).then(|| Scratch::new(dy.len()));
    if let Some(dz) = kept.as_deref_mut().or(lent.as_deref_mut()) {
        let pixels = convolution.to.0 * convolution.to.1;
        let planes = dz.par_chunks_mut(pixels).zip(y.par_chunks(pixels)).zip(dy.par_chunks(pixels));
        planes.for_each(|((dz, y), dy)| pass_on(y, dy, dz));
    }
    let dz = kept.as_deref().or(lent.as_deref()).unwrap_or(dy);
    let dx = wanted.x.then(|| convolution.input_gradient(weight, Some(scale), dz));

    let mut dweight = (wanted.weight || wanted.affine).then(|| convolution.weight_gradient(x, dz));
    let kernel = weight.len() / convolution.outputs;
    let affine = dweight.as_ref().filter(|_| wanted.affine).map(|bare| {
        let kernels = weight.chunks_exact(kernel).zip(bare.chunks_exact(kernel));
        let product = |(weight, bare): (&[T], &[T])| -> f64 {
            weight.iter().zip(bare).map(|(weight, bare)| weight.to_f64() * bare.to_f64()).sum()
        };
        kernels.map(|pair| T::from_f64(product(pair))).chain(convolution.bias_gradient(dz)).collect()
    });
    for (dweight, &scale) in dweight.iter_mut().flat_map(|bare| bare.chunks_exact_mut(kernel)).zip(scale) {
        dweight.iter_mut().for_each(|gradient| *gradient *= scale);
    }
    Gradients { x: dx, weight: dweight.filter(|_| wanted.weight), affine, residual: kept }
}
