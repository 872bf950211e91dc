//! Calls through the C interface: their numbers, and the status of every mistake a caller can make.

use std::{ffi::CStr, mem::MaybeUninit, ptr};

use wseg_c::*;
use wseg_core::{Pamr, Pooling, Shape, slices};

const SHAPE: WsegShape = WsegShape { n: 1, c: 2, h: 3, w: 4 };
const LOGITS: usize = 24;
const MASKS: usize = 36;

/// Numbers around 0, none of them a round one.
fn wave(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i as f32) * 0.7 + 0.3).sin()).collect()
}

/// `wseg_classify` on good memory, but for what `change` makes of its arguments.
fn classify(
    change: impl FnOnce(&mut WsegShape, &mut *const f32, &mut *const WsegPooling, &mut *mut f32),
) -> WsegStatus {
    let (logits, mut masks, mut scores) = (wave(LOGITS + 1), [f32::NAN; MASKS + 1], [f32::NAN; 2]);
    let (mut shape, mut from, mut pooling, mut to) = (SHAPE, logits.as_ptr(), ptr::null(), masks.as_mut_ptr());
    change(&mut shape, &mut from, &mut pooling, &mut to);
    // SAFETY: the arrays above are as long as SHAPE says; `change` makes the pointers null or misaligned, lets one array
    // stand for two, or changes the shape to one that is refused.
    let status = unsafe { wseg_classify(shape, from, pooling, to, scores.as_mut_ptr(), ptr::null_mut(), 0) };
    let written = !scores.iter().all(|value| value.is_nan());
    assert_eq!(written, matches!(status, WsegStatus::Ok | WsegStatus::Overflow), "{status:?}");
    status
}

/// The paper's refinement; under miri, which is slow, a small one.
fn refinement() -> WsegPamr {
    let mut pamr = MaybeUninit::uninit();
    // SAFETY: there is room for the constants, which are initialised after the call.
    let pamr = unsafe {
        assert_eq!(wseg_pamr_default(pamr.as_mut_ptr()), WsegStatus::Ok);
        pamr.assume_init()
    };
    if cfg!(miri) { WsegPamr { dilation_count: 1, iterations: 1, ..pamr } } else { pamr }
}

#[test]
fn a_call_gives_what_the_core_gives() {
    let logits = wave(LOGITS);
    let (mut masks, mut scores) = ([f32::NAN; MASKS], [f32::NAN; 2]);
    // SAFETY: the arrays are as long as the shape says.
    let status = unsafe {
        wseg_classify(
            SHAPE,
            logits.as_ptr(),
            ptr::null(),
            masks.as_mut_ptr(),
            scores.as_mut_ptr(),
            ptr::null_mut(),
            wseg_classify_scratch(SHAPE),
        )
    };
    assert_eq!(status, WsegStatus::Ok);
    let (mut expected, mut expected_scores) = ([f32::NAN; MASKS], [f32::NAN; 2]);
    let shape = Shape::new(1, 2, 3, 4);
    slices::classify(shape, &logits, &Pooling::default(), &mut expected, &mut expected_scores).unwrap();
    assert_eq!((masks, scores), (expected, expected_scores));

    let image = wave(3 * 30);
    let guide = WsegShape { n: 1, c: 3, h: 5, w: 6 };
    let constants = refinement();
    let refine = |len: usize| {
        let (mut refined, mut scratch) = ([f32::NAN; 90], vec![f32::NAN; len]);
        let (from, to) = (WsegShape { c: 3, ..SHAPE }, refined.as_mut_ptr());
        // SAFETY: the arrays are as long as the shapes say.
        let status = unsafe {
            wseg_pamr(from, masks.as_ptr(), guide, image.as_ptr(), &constants, to, scratch.as_mut_ptr(), len)
        };
        (status, refined)
    };
    let from = WsegShape { c: 3, ..SHAPE };
    // SAFETY: the constants live on this stack; null stands for the paper's.
    let (fast, papers) =
        unsafe { (wseg_pamr_scratch_fast(from, guide, &constants), wseg_pamr_scratch_fast(from, guide, ptr::null())) };
    let needed = wseg_pamr_scratch(from, guide);
    assert_eq!((fast, papers), (needed + 8 * constants.dilation_count * 30, needed + 48 * 30));
    let (status, refined) = refine(needed);
    assert_eq!(status, WsegStatus::Ok);
    assert_eq!(refine(fast + 5).1, refined);
    assert_eq!(refine(needed - 1).0, WsegStatus::Scratch);
    let mut expected = [f32::NAN; 90];
    let (from, to) = (Shape::new(1, 3, 3, 4), Shape::new(1, 3, 5, 6));
    let mut pamr = Pamr { iterations: constants.iterations, ..Pamr::default() };
    pamr.dilations.truncate(constants.dilation_count);
    slices::pamr((from, &masks), (to, &image), &pamr, &mut expected, &mut vec![0.0; needed]).unwrap();
    assert_eq!(refined, expected);
}

#[test]
fn gradients_come_with_the_losses_or_alone() {
    let (scores, labels) = (wave(4), [1.0, 0.0, 0.0, 1.0]);
    let (mut loss, mut gradient) = (f32::NAN, [f32::NAN; 4]);
    let mut call = |gradient: *mut f32| {
        // SAFETY: the arrays have four elements, the loss one.
        unsafe { wseg_soft_margin(4, scores.as_ptr(), labels.as_ptr(), &mut loss, gradient, ptr::null_mut(), 0) }
    };
    assert_eq!(call(gradient.as_mut_ptr()), WsegStatus::Ok);
    assert_eq!(call(ptr::null_mut()), WsegStatus::Ok);
    assert_eq!(loss, slices::soft_margin(&scores, &labels).unwrap());
    let mut expected = [f32::NAN; 4];
    slices::soft_margin_gradient(&scores, &labels, &mut expected).unwrap();
    assert_eq!(gradient, expected);

    let (small, large) = (WsegShape { n: 1, c: 2, h: 1, w: 2 }, WsegShape { n: 1, c: 2, h: 2, w: 3 });
    let pseudo = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let len = wseg_segmentation_loss_scratch(small, large);
    assert_eq!(len, 2 + 2 * 3);
    let mut scratch = vec![f32::NAN; len];
    let (logits, memory) = (scores.as_ptr(), scratch.as_mut_ptr());
    let gradient_at = gradient.as_mut_ptr();
    // SAFETY: the arrays are as long as the shapes say.
    let status =
        unsafe { wseg_segmentation_loss(small, logits, large, pseudo.as_ptr(), &mut loss, gradient_at, memory, len) };
    assert_eq!(status, WsegStatus::Ok);
    let (from, to) = (Shape::new(1, 2, 1, 2), Shape::new(1, 2, 2, 3));
    assert_eq!(loss, slices::segmentation_loss(from, &scores, to, &pseudo, &mut scratch).unwrap());
    slices::segmentation_loss_gradient(from, &scores, to, &pseudo, &mut expected, &mut scratch).unwrap();
    assert_eq!(gradient, expected);
    assert_eq!(wseg_segmentation_loss_scratch(small, WsegShape { c: 3, ..large }), usize::MAX);

    assert_eq!(wseg_gated_segmentation_loss_scratch(small, large), len);
    assert_eq!(
        wseg_gated_segmentation_loss_scratch(WsegShape { c: 1, ..small }, WsegShape { c: 1, ..large }),
        usize::MAX
    );
    for label in [0.0, 1.0] {
        let (from_c, memory) = (pseudo.as_ptr(), scratch.as_mut_ptr());
        let gradient_at = gradient.as_mut_ptr();
        // SAFETY: the arrays are as long as the shapes say.
        let status = unsafe {
            wseg_gated_segmentation_loss(small, logits, large, from_c, &label, &mut loss, gradient_at, memory, len)
        };
        assert_eq!(status, WsegStatus::Ok);
        assert_eq!(loss, slices::gated_segmentation_loss(from, &scores, to, &pseudo, &[label], &mut scratch).unwrap());
        slices::gated_segmentation_loss_gradient(from, &scores, to, &pseudo, &[label], &mut expected, &mut scratch)
            .unwrap();
        assert_eq!(gradient, expected);
        // The pseudo labels claim the class: without its label the sample does not count.
        assert_eq!((loss > 0.0, gradient != [0.0; 4]), (label == 1.0, label == 1.0));
    }
}

#[test]
fn every_mistake_has_its_status_and_writes_nothing() {
    use WsegStatus::*;
    assert_eq!(classify(|_, _, _, _| ()), Ok);
    assert_eq!(classify(|_, logits, _, _| *logits = ptr::null()), NullPointer);
    assert_eq!(classify(|_, _, _, masks| *masks = ptr::null_mut()), NullPointer);
    assert_eq!(classify(|_, logits, _, _| *logits = logits.wrapping_byte_add(1)), Misaligned);
    assert_eq!(classify(|_, _, _, masks| *masks = masks.wrapping_byte_add(2)), Misaligned);
    assert_eq!(classify(|_, _, pooling, _| *pooling = ptr::without_provenance(1)), Misaligned);
    assert_eq!(classify(|_, logits, _, masks| *masks = logits.cast_mut()), Overlap);
    assert_eq!(classify(|_, logits, _, masks| *masks = logits.cast_mut().wrapping_add(LOGITS - 1)), Overlap);
    for (h, w, expected) in [
        (0, 4, Empty),
        (usize::MAX, 0, Empty),
        (usize::MAX, usize::MAX, TooLarge),
        (usize::MAX / 2 + 1, 2, TooLarge),
        (1 << (usize::BITS - 4), 1, TooLarge),
    ] {
        assert_eq!(classify(|shape, _, _, _| (shape.h, shape.w) = (h, w)), expected);
    }
    assert_eq!(classify(|shape, _, _, _| shape.c = usize::MAX), TooLarge);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut logits = wave(LOGITS);
        logits[LOGITS - 1] = bad;
        assert_eq!(classify(|_, from, _, _| *from = logits.as_ptr()), NotFinite);
    }
    // Finite, but their products are not.
    let vast = [f32::MAX; LOGITS];
    assert_eq!(classify(|_, from, _, _| *from = vast.as_ptr()), Overflow);
    assert_eq!(wseg_classify_scratch(WsegShape { n: 0, ..SHAPE }), usize::MAX);
    assert_eq!(wseg_classify_scratch(SHAPE), 0);
}

#[test]
fn constants_out_of_their_range_are_refused() {
    let good = WsegPooling { epsilon: 1.0, p: 3.0, lambda: 0.01, background: 1.0 };
    assert_eq!(classify(|_, _, pooling, _| *pooling = &good), WsegStatus::Ok);
    for bad in [
        WsegPooling { epsilon: -1.0, ..good },
        WsegPooling { p: 0.5, ..good },
        WsegPooling { lambda: 0.0, ..good },
        WsegPooling { lambda: 1e-60, ..good },
        WsegPooling { background: f64::NAN, ..good },
        WsegPooling { background: 1e300, ..good },
        WsegPooling { epsilon: f64::INFINITY, ..good },
    ] {
        assert_eq!(classify(|_, _, pooling, _| *pooling = &bad), WsegStatus::Constant, "{bad:?}");
    }
    let good = WsegPamr { dilation_count: 6, iterations: 10, ..refinement() };
    assert!(cfg!(miri) || good == refinement());
    assert_eq!(good.dilations[..7], [1, 2, 4, 8, 12, 24, 0]);
    let guide = WsegShape { c: 3, ..SHAPE };
    // SAFETY: the constants live on this stack.
    let fast = |constants: &WsegPamr| unsafe { wseg_pamr_scratch_fast(SHAPE, guide, constants) };
    assert_eq!(fast(&good), wseg_pamr_scratch(SHAPE, guide) + 48 * 12);
    for bad in [
        WsegPamr { dilation_count: 0, ..good },
        WsegPamr { dilation_count: 7, ..good },
        WsegPamr { dilation_count: usize::MAX, ..good },
        WsegPamr { iterations: WSEG_MAX_ITERATIONS + 1, ..good },
        WsegPamr { sigma_weight: -0.1, ..good },
        WsegPamr { epsilon: 0.0, ..good },
    ] {
        assert_eq!(fast(&bad), usize::MAX, "{bad:?}");
    }
    let (input, mut out) = (wave(LOGITS), [f32::NAN; LOGITS]);
    for psi in [-0.1, 1.0, f64::NAN] {
        // SAFETY: the arrays are as long as the shape says.
        let status = unsafe {
            let (deep, out) = (input.as_ptr(), out.as_mut_ptr());
            wseg_deterministic_gate(SHAPE, deep, deep, psi, out, ptr::null_mut(), 0)
        };
        assert_eq!(status, WsegStatus::Constant);
    }
    assert!(out.iter().all(|value| value.is_nan()));
}

#[test]
fn defaults_are_the_papers() {
    // SAFETY: null is refused.
    unsafe {
        assert_eq!(wseg_pooling_default(ptr::null_mut()), WsegStatus::NullPointer);
        assert_eq!(wseg_cam_default(ptr::without_provenance_mut(1)), WsegStatus::Misaligned);
        let (mut cutoff, mut cam) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        assert_eq!(wseg_cutoff_default(cutoff.as_mut_ptr()), WsegStatus::Ok);
        assert_eq!(cutoff.assume_init(), WsegCutoff { low: 0.2, background: 0.7, class_share: 0.6 });
        assert_eq!(wseg_cam_default(cam.as_mut_ptr()), WsegStatus::Ok);
        assert_eq!(cam.assume_init(), WsegCam { background: 0.1, epsilon: 1e-5 });
    }
}

#[test]
fn texts_are_there_for_every_number() {
    for status in [-1, 0, 3, 10, i32::MAX] {
        // SAFETY: the text is a constant that ends with 0.
        assert!(!unsafe { CStr::from_ptr(wseg_status_text(status)) }.is_empty());
    }
    // SAFETY: as above.
    let version = unsafe { CStr::from_ptr(wseg_version()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}

/// Calls have no state: threads that share nothing but inputs give what one alone gives.
#[test]
fn threads_do_not_disturb_each_other() {
    let (masks, image, constants) = (wave(LOGITS), wave(36), refinement());
    let guide = WsegShape { c: 3, ..SHAPE };
    let refine = || {
        let (mut refined, mut scratch) = ([f32::NAN; LOGITS], vec![f32::NAN; wseg_pamr_scratch(SHAPE, guide)]);
        let (to, memory, len) = (refined.as_mut_ptr(), scratch.as_mut_ptr(), scratch.len());
        // SAFETY: the arrays are as long as the shapes say, and those that are written belong to the thread.
        let status = unsafe { wseg_pamr(SHAPE, masks.as_ptr(), guide, image.as_ptr(), &constants, to, memory, len) };
        assert_eq!(status, WsegStatus::Ok);
        refined
    };
    let alone = refine();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(refine)).collect();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), alone));
    });
}
