//! Shapes and hyper-parameters as C sees them.

#[cfg(feature = "crf")]
use wseg_core::crf::DenseCrf;
use wseg_core::{Cam, Cutoff, Gate, Pamr, Pooling, Shape};

use crate::{
    memory,
    status::{WsegStatus, status},
};

/// At most this many dilations.
pub const WSEG_MAX_DILATIONS: usize = 16;

/// At most this many iterations of a refinement.
pub const WSEG_MAX_ITERATIONS: usize = 10000;

const _: () = assert!(WSEG_MAX_DILATIONS == wseg_core::pamr::MAX_DILATIONS);

/// Extents of an array, in memory order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WsegShape {
    /// Samples.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl WsegShape {
    /// The shape, which has an element and whose arrays fit into the address space with one channel more.
    pub(crate) fn check(self) -> Result<Shape, WsegStatus> {
        let shape = Shape::new(self.n, self.c, self.h, self.w);
        if shape.extents().contains(&0) {
            return Err(WsegStatus::Empty);
        }
        let channels = shape.c.saturating_add(1);
        memory::bytes(shape.with_channels(channels).count()).map(|_| shape)
    }
}

/// Constants of the class scores.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WsegPooling {
    /// Keeps the score of an absent class near 0; at least 0, the paper's 1.
    pub epsilon: f64,
    /// How quickly the penalty fades as a mask grows; 0 or at least 1, the paper's 3.
    pub p: f64,
    /// Bounds the penalty of an empty mask; above 0, the paper's 0.01.
    pub lambda: f64,
    /// The constant background score, the paper's 1.
    pub background: f64,
}

/// When a class claims a pixel.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WsegCutoff {
    /// No claim at or below this confidence, the paper's 0.2.
    pub low: f64,
    /// Share of the background's largest confidence that a pixel must exceed, the paper's 0.7.
    pub background: f64,
    /// Share of a class's largest confidence that a pixel must exceed, the paper's 0.6.
    pub class_share: f64,
}

/// Constants of the class activation maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WsegCam {
    /// The constant background confidence, the reference's 0.1.
    pub background: f64,
    /// Added to the largest activation before dividing by it; above 0, the reference's 1e-5.
    pub epsilon: f64,
}

/// Neighbourhood, contrast and iterations of the refinement.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WsegPamr {
    /// Distances, in pixels and at least 1, at which the 8 neighbours are taken; the paper's 1, 2, 4, 8, 12, 24.
    pub dilations: [usize; WSEG_MAX_DILATIONS],
    /// How many of them count, at least 1.
    pub dilation_count: usize,
    /// How often the mask is averaged, at most WSEG_MAX_ITERATIONS; the paper's 10.
    pub iterations: usize,
    /// How much of the local standard deviation a difference is measured in; at least 0, the reference's 0.1.
    pub sigma_weight: f64,
    /// Added to the divisor where the image is flat; above 0, the reference's 1e-8.
    pub epsilon: f64,
}

/// The dense CRF. Weights are called compat, as in pydensecrf.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WsegCrf {
    /// Mean field iterations, at most WSEG_MAX_ITERATIONS; the reference's 10.
    pub iterations: usize,
    /// Weight of the Gaussian kernel over positions, -1e6 to 1e6; the reference's 3, and 0 leaves the kernel out.
    pub gaussian_compat: f64,
    /// Its standard deviation in pixels, 0.01 to 1e6; the reference's 3.
    pub gaussian_sxy: f64,
    /// Weight of the bilateral kernel over positions and colours, -1e6 to 1e6; the reference's 10.
    pub bilateral_compat: f64,
    /// Its standard deviation of positions in pixels, 0.01 to 1e6; the reference's 80.
    pub bilateral_sxy: f64,
    /// Its standard deviation of colours in grey levels of 255, 0.01 to 1e6; the reference's 13.
    pub bilateral_srgb: f64,
    /// Probabilities below this are taken for it, 1e-30 to 1; the reference's 1e-5.
    pub floor: f64,
}

fn require(condition: bool) -> Result<(), WsegStatus> {
    if condition { Ok(()) } else { Err(WsegStatus::Constant) }
}

/// Whether a constant is finite and at least `low`.
fn at_least(value: f64, low: f64) -> bool {
    value.is_finite() && value >= low
}

/// Whether a constant is above 0 as f32, too.
fn positive(value: f64) -> bool {
    at_least(value, f64::from(f32::MIN_POSITIVE))
}

/// Largest magnitude of a constant: as f32 it is finite.
const LARGEST: f64 = f32::MAX as f64;

impl WsegPooling {
    /// The constants behind a pointer, checked; the paper's where it is null.
    ///
    /// # Safety
    /// The pointer is null, or misaligned, or points to a readable value.
    pub(crate) unsafe fn at(pointer: *const Self) -> Result<Pooling, WsegStatus> {
        // SAFETY: the caller's promise is the same.
        let Some(Self { epsilon, p, lambda, background }) = (unsafe { memory::read(pointer)? }) else {
            return Ok(Pooling::default());
        };
        require(at_least(epsilon, 0.0) && epsilon <= LARGEST && background.abs() <= LARGEST)?;
        require((p == 0.0 || at_least(p, 1.0)) && p <= LARGEST && positive(lambda) && lambda <= LARGEST)?;
        Ok(Pooling { epsilon, p, lambda, background })
    }
}

impl WsegCutoff {
    /// As [`WsegPooling::at`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn at(pointer: *const Self) -> Result<Cutoff, WsegStatus> {
        // SAFETY: the caller's promise is the same.
        let Some(Self { low, background, class_share }) = (unsafe { memory::read(pointer)? }) else {
            return Ok(Cutoff::default());
        };
        require([low, background, class_share].into_iter().all(|value| value.abs() <= LARGEST))?;
        Ok(Cutoff { low, background, class: class_share })
    }
}

impl WsegCam {
    /// As [`WsegPooling::at`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn at(pointer: *const Self) -> Result<Cam, WsegStatus> {
        // SAFETY: the caller's promise is the same.
        let Some(Self { background, epsilon }) = (unsafe { memory::read(pointer)? }) else {
            return Ok(Cam::default());
        };
        require(background.abs() <= LARGEST && positive(epsilon) && epsilon <= LARGEST)?;
        Ok(Cam { background, epsilon })
    }
}

impl WsegPamr {
    /// As [`WsegPooling::at`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn at(pointer: *const Self) -> Result<Pamr, WsegStatus> {
        // SAFETY: the caller's promise is the same.
        let Some(constants) = (unsafe { memory::read(pointer)? }) else {
            return Ok(Pamr::default());
        };
        let Self { dilations, dilation_count, iterations, sigma_weight, epsilon } = constants;
        let dilations = dilations.get(..dilation_count).ok_or(WsegStatus::Constant)?;
        require(!dilations.is_empty() && !dilations.contains(&0) && iterations <= WSEG_MAX_ITERATIONS)?;
        require(at_least(sigma_weight, 0.0) && sigma_weight <= LARGEST && positive(epsilon) && epsilon <= LARGEST)?;
        // The container is the core's, emptied.
        let mut pamr = Pamr { iterations, sigma_weight, epsilon, ..Pamr::default() };
        pamr.dilations.clear();
        dilations.iter().try_for_each(|&dilation| pamr.dilations.push(dilation)).map_err(|_| WsegStatus::Constant)?;
        Ok(pamr)
    }
}

#[cfg(feature = "crf")]
impl WsegCrf {
    /// As [`WsegPooling::at`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn at(pointer: *const Self) -> Result<DenseCrf, WsegStatus> {
        // SAFETY: the caller's promise is the same.
        let Some(constants) = (unsafe { memory::read(pointer)? }) else {
            return Ok(DenseCrf::default());
        };
        require(constants.iterations <= WSEG_MAX_ITERATIONS)?;
        let crf = DenseCrf {
            iterations: constants.iterations,
            gaussian_weight: constants.gaussian_compat,
            gaussian_sxy: constants.gaussian_sxy,
            bilateral_weight: constants.bilateral_compat,
            bilateral_sxy: constants.bilateral_sxy,
            bilateral_srgb: constants.bilateral_srgb,
            floor: constants.floor,
        };
        crf.check().map(|()| crf).map_err(WsegStatus::from)
    }
}

/// The gate's constant, checked.
pub(crate) fn gate(psi: f64) -> Result<Gate, WsegStatus> {
    require(at_least(psi, 0.0) && psi < 1.0)?;
    Ok(Gate { psi })
}

/// Writes the paper's constants of the class scores to `out`.
///
/// # Safety
/// `out` is null, or misaligned, or points to a value that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_pooling_default(out: *mut WsegPooling) -> WsegStatus {
    let Pooling { epsilon, p, lambda, background } = Pooling::default();
    // SAFETY: the caller's promise is the same.
    status(unsafe { memory::write(out, WsegPooling { epsilon, p, lambda, background }) })
}

/// Writes the paper's thresholds of the pseudo labels to `out`.
///
/// # Safety
/// `out` is null, or misaligned, or points to a value that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_cutoff_default(out: *mut WsegCutoff) -> WsegStatus {
    let Cutoff { low, background, class } = Cutoff::default();
    // SAFETY: the caller's promise is the same.
    status(unsafe { memory::write(out, WsegCutoff { low, background, class_share: class }) })
}

/// Writes the reference's constants of the class activation maps to `out`.
///
/// # Safety
/// `out` is null, or misaligned, or points to a value that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_cam_default(out: *mut WsegCam) -> WsegStatus {
    let Cam { background, epsilon } = Cam::default();
    // SAFETY: the caller's promise is the same.
    status(unsafe { memory::write(out, WsegCam { background, epsilon }) })
}

/// Writes the paper's refinement to `out`.
///
/// # Safety
/// `out` is null, or misaligned, or points to a value that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_pamr_default(out: *mut WsegPamr) -> WsegStatus {
    let pamr = Pamr::default();
    let mut dilations = [0; WSEG_MAX_DILATIONS];
    dilations.iter_mut().zip(&pamr.dilations).for_each(|(out, &dilation)| *out = dilation);
    let constants = WsegPamr {
        dilations,
        dilation_count: pamr.dilations.len(),
        iterations: pamr.iterations,
        sigma_weight: pamr.sigma_weight,
        epsilon: pamr.epsilon,
    };
    // SAFETY: the caller's promise is the same.
    status(unsafe { memory::write(out, constants) })
}

/// Writes the reference's dense CRF to `out`.
///
/// # Safety
/// `out` is null, or misaligned, or points to a value that may be written.
#[cfg(feature = "crf")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_crf_default(out: *mut WsegCrf) -> WsegStatus {
    let crf = DenseCrf::default();
    let constants = WsegCrf {
        iterations: crf.iterations,
        gaussian_compat: crf.gaussian_weight,
        gaussian_sxy: crf.gaussian_sxy,
        bilateral_compat: crf.bilateral_weight,
        bilateral_sxy: crf.bilateral_sxy,
        bilateral_srgb: crf.bilateral_srgb,
        floor: crf.floor,
    };
    // SAFETY: the caller's promise is the same.
    status(unsafe { memory::write(out, constants) })
}
