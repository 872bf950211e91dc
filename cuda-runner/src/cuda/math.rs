//! Whether products of `f32` may be made of shorter numbers.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::cuda_backend;

static SHORT: AtomicBool = AtomicBool::new(false);

/// Convolutions and matrix products of `f32` take TF32 from now on, on all threads: `f32` with 10 bits of fraction in
/// the factors and all in the sums.
pub(crate) fn allow_tf32(allow: bool) {
    SHORT.store(allow, Ordering::Relaxed);
    cuda_backend::set_gemm_reduced_precision_f32(allow);
}

/// Whether products of `f32` are those of `f32`.
pub(crate) fn is_exact() -> bool {
    !SHORT.load(Ordering::Relaxed)
}
