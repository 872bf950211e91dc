//! Class activation maps: the largest activation, then one pass. No scratch memory.

use super::super::{ArenaError, ArenaTensor, Real, ops::largest};
use crate::{
    Tensor,
    cam::{self, Cam},
};

impl<F: Real> ArenaTensor<'_, '_, F> {
    pub(super) fn cam_masks_fused(&self, cam: &Cam) -> Result<Self, ArenaError> {
        let shape = self.shape();
        let pixels = shape.h * shape.w;
        if shape.count() == 0 {
            return cam::cam_masks(self, cam);
        }
        let (classes, channels) = (shape.c * pixels, (shape.c + 1) * pixels);
        self.arena().produce(shape.with_channels(shape.c + 1), 0, [self], |out, _, [activations]| {
            for (out, activations) in out.chunks_exact_mut(channels).zip(activations.chunks_exact(classes)) {
                let (background, out) = out.split_at_mut(pixels);
                background.fill(F::from_f64(cam.background));
                for (out, map) in out.chunks_exact_mut(pixels).zip(activations.chunks_exact(pixels)) {
                    let scale = largest(map).larger(F::ZERO) + F::from_f64(cam.epsilon);
                    out.iter_mut().zip(map).for_each(|(out, &value)| *out = value.larger(F::ZERO) / scale);
                }
            }
        })
    }
}
