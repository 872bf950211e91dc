//! The dense conditional random field. The one call that takes memory of its own; the feature `crf` brings it.

use wseg_core::crf::{CrfError, DenseCrf, Rgb, Sequential, infer};

use crate::{
    constants::WsegCrf,
    memory::{Lent, Scratch, finite, lend, lend_beside},
    status::{WsegStatus, status},
};

impl From<CrfError> for WsegStatus {
    fn from(error: CrfError) -> Self {
        match error {
            CrfError::Length { .. } => Self::Shape,
            CrfError::NotFinite { .. } => Self::NotFinite,
            CrfError::Parameter { .. } | CrfError::TooFine => Self::Constant,
            CrfError::Memory { .. } => Self::Memory,
        }
    }
}

/// Pixels of a photo and elements of its probabilities, neither of them 0 nor more than can be counted.
fn sizes(classes: usize, height: usize, width: usize) -> Result<(usize, usize), WsegStatus> {
    if [classes, height, width].contains(&0) {
        return Err(WsegStatus::Empty);
    }
    let pixels = height.checked_mul(width).ok_or(WsegStatus::TooLarge)?;
    // Shares of lattice points, six a pixel, are counted in 32 bits; rows of classes are padded to a multiple of 8.
    let countable = pixels.checked_mul(6).is_some_and(|shares| u32::try_from(shares).is_ok());
    let padded = classes.checked_add(8).and_then(|classes| classes.checked_mul(pixels));
    match padded.is_some_and(|padded| crate::memory::bytes(padded).is_ok()) && countable {
        true => Ok((pixels, classes.saturating_mul(pixels))),
        false => Err(WsegStatus::TooLarge),
    }
}

/// Masks of a photo drawn to its edges by mean field inference in a dense CRF, as pydensecrf does it.
///
/// probabilities and refined `[classes, height, width]`, the first need not sum to 1; image `[height, width, 3]`, red,
/// green and blue of each pixel, 0 to 255; crf NULL for the reference's. The call needs no scratch memory: it allocates
/// what it needs, which depends on the photo, and gives it back; WSEG_STATUS_MEMORY if there is not enough.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_dense_crf(
    classes: usize,
    height: usize,
    width: usize,
    probabilities: *const f32,
    image: *const u8,
    crf: *const WsegCrf,
    refined: *mut f32,
) -> WsegStatus {
    let run = || {
        let (pixels, count) = sizes(classes, height, width)?;
        // SAFETY: the caller's promise is the same.
        let crf: DenseCrf = unsafe { WsegCrf::at(crf)? };
        // SAFETY: the caller's promise is the same.
        let bytes = unsafe { lend_beside((image, pixels.saturating_mul(3)), (refined, count))? };
        let none = Scratch::new(core::ptr::null_mut(), 0, 0);
        // SAFETY: the caller's promise is the same; what was lent above is not written.
        let lent = unsafe { lend([(probabilities, count)], [(refined, count)], none)? };
        let Lent { inputs: [probabilities], outputs: [refined], .. } = lent;
        let q = infer(probabilities, classes, Rgb::new(bytes, width, height)?, &crf, &Sequential)?;
        refined.iter_mut().zip(q).for_each(|(out, q)| *out = q);
        finite(&[refined])
    };
    status(run())
}
