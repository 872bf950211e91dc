//! Class activation maps: the largest activation, then one pass. No scratch memory.

use super::super::{
    ArenaError, ArenaTensor, Real,
    ops::largest,
    part::{rows, rows_mut, split_mut},
};
use crate::{
    Shape, Tensor,
    cam::{self, Cam},
};

/// Masks of activations `[n, c, h, w]` without an empty extent, into `[n, c + 1, h, w]`.
pub(crate) fn cam_masks<F: Real>(out: &mut [F], activations: &[F], shape: Shape, cam: &Cam) {
    let pixels = shape.h * shape.w;
    for (out, activations) in rows_mut(out, (shape.c + 1) * pixels).zip(rows(activations, shape.c * pixels)) {
        let (background, out) = split_mut(out, pixels);
        background.fill(F::from_f64(cam.background));
        for (out, map) in rows_mut(out, pixels).zip(rows(activations, pixels)) {
            let scale = largest(map).larger(F::ZERO) + F::from_f64(cam.epsilon);
            out.iter_mut().zip(map).for_each(|(out, &value)| *out = value.larger(F::ZERO) / scale);
        }
    }
}

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn cam_masks_fused(&self, cam: &Cam) -> Result<Self, ArenaError> {
        let shape = self.shape();
        if shape.count() == 0 {
            return cam::cam_masks(self, cam);
        }
        self.arena().produce(shape.with_channels(shape.c + 1), 0, [self], |out, _, [activations]| {
            cam_masks(out, activations, shape, cam);
        })
    }
}
