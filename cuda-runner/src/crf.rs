//! `wseg-core`'s dense CRF on all threads and in the processor's widest vectors.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
pub use wseg_core::crf::{CrfError, DenseCrf, Rgb};
use wseg_core::crf::{Executor, Phase};

/// Runs phases on rayon's threads. The result does not depend on how many there are, nor on the processor's vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

/// Tasks for each thread: enough that one which was held up does not hold up the others.
const TASKS: usize = 8;

impl Executor for Threads {
    fn run<P: Phase>(&self, phase: &P, out: &mut [P::Item]) {
        let unit = phase.unit();
        let units = (out.len() / unit).div_ceil(TASKS * rayon::current_num_threads()).max(1);
        out.par_chunks_mut(units * unit).enumerate().for_each(|(task, out)| {
            Arch::new().dispatch(Part { phase, first: task * units * unit, out });
        });
    }

    fn both<A: Send, B: Send>(&self, first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B + Send) -> (A, B) {
        rayon::join(first, second)
    }
}

/// A range of a phase's output.
struct Part<'a, P: Phase> {
    phase: &'a P,
    first: usize,
    out: &'a mut [P::Item],
}

impl<P: Phase> WithSimd for Part<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.phase.run(self.first, self.out);
    }
}

/// Draws probabilities to the edges of a photo.
///
/// # Shapes
/// probabilities `[classes, h, w]` -> `[classes, h, w]`, with h and w the image's
///
/// # Errors
/// As [`wseg_core::crf::infer`].
///
/// # Reference
/// [`wseg_core::crf::exact::infer`] is the definition.
pub fn dense_crf(probabilities: &[f32], classes: usize, image: Rgb<'_>, crf: &DenseCrf) -> Result<Vec<f32>, CrfError> {
    wseg_core::crf::infer(probabilities, classes, image, crf, &Threads)
}
