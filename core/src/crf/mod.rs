//! The fully connected ("dense") conditional random field: masks drawn to the edges of a photo by mean field inference,
//! with the semantics of `pydensecrf`. Needs the feature `alloc`.
//!
//! The energy of a labelling is a unary term `-log p` at each pixel and, for each pair of pixels with different labels
//! (Potts), `sum_m w_m k_m(i, j)` over two kernels: a Gaussian one over positions, and a bilateral one over positions and
//! colours ([`Kernel`]). Mean field approximates its distribution by independent pixels `Q`, here with symmetrically
//! normalised kernels `k(i, j) -> n_i k(i, j) n_j`, `n_i = (sum_j k(i, j))^(-1/2)`, in which a pixel is its own neighbour, too:
//!
//! ```text
//! Q <- softmax(log p),  then `iterations` times  Q <- softmax(log p + sum_m w_m K_m Q)
//! ```
//!
//! # Rooms
//! | module | holds |
//! |---|---|
//! | this one | parameters, [`infer`] |
//! | [`exact`] | the definition: every pair of pixels, in f64 |
//! | `kernel` | features of pixels, the exact affinity |
//! | `lattice`, with `simplex` and `table` | the permutohedral lattice, which filters in time linear in the pixels |
//! | `phases`, `rows` | splat, blur, slice and update over rows of channels |
//! | `executor` | who runs them |
//!
//! # How close the lattice is
//! The lattice is a filter of its own, close to a Gaussian. Given its response, [`infer`] agrees with [`exact::mean_field`] to
//! 1e-4. The response differs from the Gaussian's: the lattice's kernel is a sum of piecewise linear ones, and where few
//! points exist (at the picture's border, around rare colours) part of the blur is lost. Of maps with values in 0..=1,
//! normalised filters differ by at most 0.06, and by 0.01 in the mean; after ten iterations, `Q` differs where two
//! classes are about equally likely, and hardly elsewhere. The tests of this crate hold these numbers.
//!
//! # Memory
//! For P pixels, C classes (rounded up to a multiple of 8) and M lattice points of a kernel with d features (M is at most
//! P (d + 1), and far less in photos), in bytes: 8 P C for probabilities and result;
//! for each kernel 16 P (d + 1) + 8 M (d + 1) + 8 M C; and, only while its lattice is built, 40 to 120 M for a hash table.
//! Every buffer is asked for in a way that may fail, with [`CrfError::Memory`]; no path of [`infer`] panics or aborts, as
//! the C library's symbol table shows. [`slices`](crate::slices) has a table of measured peaks.
//!
//! # Threads
//! They are the caller's: [`infer`] takes an [`Executor`], which may split every [`Phase`] over any threads. The result
//! is the same for all, bit for bit.
//!
//! # Reference
//! Krähenbühl & Koltun, *Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials* (2011); the constants
//! are the reference's (METHOD.md, "Inference").

pub mod exact;

mod error;
mod executor;
mod kernel;
mod lattice;
mod memory;
mod phases;
mod rows;
mod simplex;
mod table;

use alloc::vec::Vec;

pub use error::CrfError;
pub use executor::{Executor, Phase, Sequential};
pub use kernel::{Kernel, Rgb};
pub use lattice::Lattice;

use kernel::within;
use lattice::{AxisOrder, Values};
use memory::zeroed;
use phases::{Message, Update};
use rows::{Load, Unload};

/// The dense CRF's parameters. [`Default`] is the reference's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DenseCrf {
    /// Mean field iterations.
    pub iterations: usize,
    /// Weight of the Gaussian kernel over positions.
    pub gaussian_weight: f64,
    /// Its standard deviation in pixels.
    pub gaussian_sxy: f64,
    /// Weight of the bilateral kernel over positions and colours.
    pub bilateral_weight: f64,
    /// Its standard deviation of positions, in pixels.
    pub bilateral_sxy: f64,
    /// Its standard deviation of colours, in grey levels of 255.
    pub bilateral_srgb: f64,
    /// Probabilities below this are taken for it, so that no pixel rules a class out.
    pub floor: f64,
}

impl Default for DenseCrf {
    fn default() -> Self {
        Self {
            iterations: 10,
            gaussian_weight: 3.0,
            gaussian_sxy: 3.0,
            bilateral_weight: 10.0,
            bilateral_sxy: 80.0,
            bilateral_srgb: 13.0,
            floor: 1e-5,
        }
    }
}

/// Weights that make sense. Beyond, sums might leave the range of f32.
const WEIGHTS: (f64, f64) = (-1e6, 1e6);
/// Floors that make sense: positive, normal numbers in f32.
const FLOORS: (f64, f64) = (1e-30, 1.0);

impl DenseCrf {
    /// Refuses parameters out of range.
    ///
    /// # Errors
    /// [`CrfError::Parameter`].
    pub fn check(&self) -> Result<(), CrfError> {
        within("the Gaussian kernel's weight", self.gaussian_weight, WEIGHTS)?;
        within("the bilateral kernel's weight", self.bilateral_weight, WEIGHTS)?;
        within("the smallest probability", self.floor, FLOORS)?;
        self.kernels().into_iter().try_for_each(|(_, kernel)| kernel.check())
    }

    /// The kernels with their weights.
    #[must_use]
    pub const fn kernels(&self) -> [(f64, Kernel); 2] {
        [
            (self.gaussian_weight, Kernel::Gaussian { sxy: self.gaussian_sxy }),
            (self.bilateral_weight, Kernel::Bilateral { sxy: self.bilateral_sxy, srgb: self.bilateral_srgb }),
        ]
    }

    /// Checks what inference is given.
    fn check_input(&self, probabilities: &[f32], classes: usize, image: Rgb<'_>) -> Result<(), CrfError> {
        self.check()?;
        let (expected, given) = (classes.saturating_mul(image.count()), probabilities.len());
        if expected != given {
            return Err(CrfError::Length { expected, given });
        }
        match probabilities.iter().position(|probability| !probability.is_finite()) {
            Some(index) => Err(CrfError::NotFinite { index }),
            None => Ok(()),
        }
    }
}

/// Mean field inference over the permutohedral lattice.
///
/// Probabilities need not sum to 1: they are clamped to `floor..=1`, and their logarithms taken, as `pydensecrf`'s
/// `unary_from_softmax` does. The result sums to 1 over the classes of every pixel.
///
/// # Shapes
/// probabilities `[classes, h, w]` -> `[classes, h, w]`, with h and w the image's
///
/// # Errors
/// [`CrfError`] for lengths that do not go together, probabilities that are not finite, parameters out of range, and
/// pictures too large.
///
/// # Reference
/// [`exact::infer`] is the definition.
///
/// ```
/// use wseg_core::crf::{DenseCrf, Rgb, Sequential, infer};
///
/// // A dark half and a bright one; the probabilities follow them, but for one pixel.
/// let image: Vec<u8> = (0..64).flat_map(|i| [if i % 8 < 4 { 20 } else { 220 }; 3]).collect();
/// let mut object: Vec<f32> = (0..64).map(|i| if i % 8 < 4 { 0.2 } else { 0.8 }).collect();
/// object[27] = 0.6;
/// let probabilities: Vec<f32> = object.iter().map(|p| 1.0 - p).chain(object.iter().copied()).collect();
/// let q = infer(&probabilities, 2, Rgb::new(&image, 8, 8)?, &DenseCrf::default(), &Sequential)?;
/// assert!(q[64 + 27] < 0.01 && q[64 + 28] > 0.99);
/// # Ok::<(), wseg_core::crf::CrfError>(())
/// ```
pub fn infer(
    probabilities: &[f32],
    classes: usize,
    image: Rgb<'_>,
    crf: &DenseCrf,
    executor: &impl Executor,
) -> Result<Vec<f32>, CrfError> {
    crf.check_input(probabilities, classes, image)?;
    let pixels = image.count();
    if probabilities.is_empty() {
        return Ok(Vec::new());
    }
    let stride = rows::stride(classes);
    let [gaussian, bilateral] = crf.kernels();
    let term = |(weight, kernel)| Term::new(image, kernel, weight, stride, executor);
    let (gaussian, bilateral) = executor.both(|| term(gaussian), || term(bilateral));
    // A kernel without weight says nothing.
    let mut terms: [Option<Term>; 2] = [gaussian?, bilateral?];

    let mut logits = zeroed(pixels.saturating_mul(stride))?;
    let floor = crf.floor as f32;
    let value = |p: f32| {
        crate::math::ln(if p < floor {
            floor
        } else if p > 1.0 {
            1.0
        } else {
            p
        })
    };
    let padding = f32::NEG_INFINITY;
    executor.run(&Load { maps: probabilities, pixels, classes, padding, value }, &mut logits);

    let mut q = zeroed(logits.len())?;
    executor.run(&Update { logits: &logits, messages: [None; 2], stride }, &mut q);
    for _ in 0..crf.iterations {
        for term in terms.iter_mut().flatten() {
            term.values.spread(&term.lattice, AxisOrder::Forward, &q, executor);
        }
        let messages = terms.each_ref().map(|term| term.as_ref().map(Term::message));
        executor.run(&Update { logits: &logits, messages, stride }, &mut q);
    }
    // The logits have done their work: what held their rows is large enough for the maps.
    let mut maps = logits;
    maps.truncate(probabilities.len());
    executor.run(&Unload::new(&q, classes), &mut rows::pieces(&mut maps, pixels)?);
    Ok(maps)
}

/// A kernel at work.
struct Term {
    weight: f32,
    lattice: Lattice,
    values: Values,
}

impl Term {
    /// Nothing, if it has no weight.
    fn new(
        image: Rgb<'_>,
        kernel: Kernel,
        weight: f64,
        stride: usize,
        executor: &impl Executor,
    ) -> Result<Option<Self>, CrfError> {
        if weight == 0.0 {
            return Ok(None);
        }
        let lattice = Lattice::new(image, kernel, executor)?;
        let values = Values::new(&lattice, stride)?;
        Ok(Some(Self { weight: weight as f32, lattice, values }))
    }

    fn message(&self) -> Message<'_> {
        Message { lattice: &self.lattice, values: self.values.now(), weight: self.weight }
    }
}
