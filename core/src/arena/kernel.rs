//! Fused kernels of the arena, behind [`Kernels`].

use super::{ArenaTensor, Real};
use crate::Kernels;

impl<F: Real> Kernels for ArenaTensor<'_, '_, F> {}
