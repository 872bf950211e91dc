//! What the tests of core share: random data, comparison, and a tensor that carries a derivative.
#![allow(dead_code)] // Every test binary uses its own part.

pub(crate) mod dual;
pub(crate) mod golden;

use wseg_core::{
    Shape, Tensor,
    arena::{Arena, ArenaTensor, Real},
};

/// Numbers in -1..1, the same in every run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-52) - 1.0
    }

    pub(crate) fn values(&mut self, shape: Shape, scale: f64) -> Vec<f64> {
        (0..shape.count()).map(|_| scale * self.next()).collect()
    }
}

/// The elements of a tensor as f64.
pub(crate) fn values<F: Real>(tensor: &ArenaTensor<'_, '_, F>) -> Vec<f64> {
    let mut out = vec![F::ZERO; tensor.shape().count()];
    tensor.read(&mut out).unwrap();
    out.into_iter().map(Real::to_f64).collect()
}

/// Asserts that the largest difference is within `tolerance` of the largest expected value.
#[track_caller]
pub(crate) fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        // Written so that NaN fails.
        let close = (actual - expected).abs() <= tolerance * largest;
        assert!(close, "element {index}: {actual} instead of {expected}, largest {largest}");
    }
}

#[track_caller]
pub(crate) fn assert_finite(values: &[f64]) {
    assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
}

/// Runs `test` on an f64 arena with room for small cases.
pub(crate) fn with_arena<R>(test: impl FnOnce(&Arena<'_, f64>) -> R) -> R {
    let mut memory = vec![f64::NAN; 1 << 18];
    test(&Arena::new(&mut memory))
}

/// One-hot pseudo labels that leave about a third of the pixels unclaimed.
pub(crate) fn random_claims(random: &mut Random, shape: Shape) -> Vec<f64> {
    let plane = shape.h * shape.w;
    let mut claims = vec![0.0; shape.count()];
    for sample in claims.chunks_mut(shape.c * plane) {
        for pixel in 0..plane {
            let class = ((random.next() + 1.0) * 0.75 * shape.c as f64) as usize;
            if class < shape.c {
                sample[class * plane + pixel] = 1.0;
            }
        }
    }
    claims
}
