//! Pixel-adaptive mask refinement.

use wseg_core::{Pamr, Shape, slices};

use crate::{
    constants::{WsegPamr, WsegShape},
    memory::{Lent, Scratch, bytes, finite, lend},
    status::{WsegStatus, status},
};

/// Shapes of masks, image and result.
fn sizes(masks: WsegShape, image: WsegShape) -> Result<(Shape, Shape, Shape), WsegStatus> {
    let (from, guide) = (masks.check()?, image.check()?);
    if from.n != guide.n {
        return Err(WsegStatus::Shape);
    }
    let to = from.with_size(guide.h, guide.w);
    bytes(to.count())?;
    bytes(slices::pamr_streamed_scratch(from, guide))?;
    Ok((from, guide, to))
}

/// Elements of scratch memory that `wseg_pamr` needs, whatever the neighbourhood.
#[unsafe(no_mangle)]
pub extern "C" fn wseg_pamr_scratch(masks_shape: WsegShape, image_shape: WsegShape) -> usize {
    sizes(masks_shape, image_shape).map_or(usize::MAX, |(from, guide, _)| slices::pamr_streamed_scratch(from, guide))
}

/// Elements of scratch memory with which `wseg_pamr` keeps the weights of all neighbours and is faster, several times
/// with ten iterations; the result is the same, bit by bit. SIZE_MAX if a constant is out of its range, too.
///
/// # Safety
/// `pamr` is null, or misaligned, or points to a readable value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_pamr_scratch_fast(
    masks_shape: WsegShape,
    image_shape: WsegShape,
    pamr: *const WsegPamr,
) -> usize {
    let run = || {
        let (from, guide, _) = sizes(masks_shape, image_shape)?;
        // SAFETY: the caller's promise is the same.
        let needed = slices::pamr_stored_scratch(from, guide, &unsafe { WsegPamr::at(pamr)? });
        bytes(needed).map(|_| needed)
    };
    run().unwrap_or(usize::MAX)
}

/// Masks refined along the edges of an image.
///
/// masks `[n, c, h', w']` of `masks_shape`, resized to the image on the way (bilinear, corners aligned); image
/// `[n, k, h, w]` of `image_shape`, in 0..1; refined `[n, c, h, w]`. Scratch memory of `wseg_pamr_scratch` elements is
/// enough, of `wseg_pamr_scratch_fast` elements is fast.
///
/// # Safety
/// As for `wseg_classify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wseg_pamr(
    masks_shape: WsegShape,
    masks: *const f32,
    image_shape: WsegShape,
    image: *const f32,
    pamr: *const WsegPamr,
    refined: *mut f32,
    scratch: *mut f32,
    scratch_len: usize,
) -> WsegStatus {
    let run = || {
        let (from, guide, to) = sizes(masks_shape, image_shape)?;
        // SAFETY: the caller's promise is the same.
        let pamr: Pamr = unsafe { WsegPamr::at(pamr)? };
        let scratch = Scratch {
            pointer: scratch,
            len: scratch_len,
            needed: slices::pamr_streamed_scratch(from, guide),
            useful: slices::pamr_stored_scratch(from, guide, &pamr),
        };
        let inputs = [(masks, from.count()), (image, guide.count())];
        // SAFETY: the caller's promise is the same.
        let lent = unsafe { lend(inputs, [(refined, to.count())], scratch)? };
        let Lent { inputs: [masks, image], outputs: [refined], scratch } = lent;
        slices::pamr((from, masks), (guide, image), &pamr, refined, scratch)?;
        finite(&[refined])
    };
    status(run())
}
