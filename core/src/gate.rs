//! The stochastic gate and global cue injection: how deep and shallow features meet.

use crate::{Tensor, activation::relu, shape::expect};

/// The stochastic gate's rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Probability that an element is taken from the shallow feature, in `0.0..1.0`.
    pub psi: f64,
}

impl Default for Gate {
    /// The paper's: 0.3.
    fn default() -> Self {
        Self { psi: 0.3 }
    }
}

/// The gate in training: `r (x_d - psi x_s) / (1 - psi) + (1 - r) x_s`, whose expectation is `x_d`.
///
/// # Shapes
/// deep, shallow, keep_deep (the drawn `r` in {0, 1}, 1 with probability `1 - psi`) `[n, c, h, w]` -> `[n, c, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes differ.
///
/// # Reference
/// METHOD.md, step 5; the main paper's stochastic gate.
pub fn stochastic_gate<T: Tensor>(deep: &T, shallow: &T, keep_deep: &T, gate: Gate) -> Result<T, T::Error> {
    expect(deep.shape(), shallow.shape())?;
    expect(deep.shape(), keep_deep.shape())?;
    let compensated = deep.sub(&shallow.affine(gate.psi, 0.0)?)?.affine(1.0 / (1.0 - gate.psi), 0.0)?;
    keep_deep.mul(&compensated)?.add(&keep_deep.affine(-1.0, 1.0)?.mul(shallow)?)
}

/// The gate in evaluation: `(1 - psi) x_d + psi x_s`.
///
/// # Shapes
/// deep, shallow `[n, c, h, w]` -> `[n, c, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes differ.
///
/// # Reference
/// METHOD.md, step 5.
pub fn deterministic_gate<T: Tensor>(deep: &T, shallow: &T, gate: Gate) -> Result<T, T::Error> {
    expect(deep.shape(), shallow.shape())?;
    deep.affine(1.0 - gate.psi, 0.0)?.add(&shallow.affine(gate.psi, 0.0)?)
}

/// Global cue injection: `ReLU(v (gamma + 1) + beta)`, a deep cue modulating a normalised shallow feature.
///
/// # Shapes
/// shallow `[n, c, h, w]`, gamma and beta `[n, c, 1, 1]` -> `[n, c, h, w]`
///
/// # Errors
/// [`ShapeError`](crate::ShapeError) if the shapes do not match.
///
/// # Reference
/// METHOD.md, step 4.
pub fn gci<T: Tensor>(shallow: &T, gamma: &T, beta: &T) -> Result<T, T::Error> {
    let cue = shallow.shape().with_size(1, 1);
    expect(gamma.shape(), cue)?;
    expect(beta.shape(), cue)?;
    relu(&shallow.mul(&gamma.affine(1.0, 1.0)?)?.add(beta)?)
}
