//! The dense CRF through the C interface: its numbers, every mistake, and memory that runs out at any moment.

#![cfg(feature = "crf")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ptr, thread,
};

use wseg_c::*;
use wseg_core::crf::{DenseCrf, Rgb, Sequential, infer};

/// The system's memory, of which a thread may be given so many more pieces, and which counts the bytes that it holds.
struct Scarce;

thread_local! {
    static PIECES: Cell<usize> = const { Cell::new(usize::MAX) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: memory is the system's, or there is none.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match PIECES.get().checked_sub(1) {
            None => ptr::null_mut(),
            Some(left) => {
                PIECES.set(if PIECES.get() == usize::MAX { usize::MAX } else { left });
                HELD.set(HELD.get() + layout.size().cast_signed());
                PEAK.set(PEAK.get().max(HELD.get()));
                // SAFETY: as the caller promises.
                unsafe { System.alloc(layout) }
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static MEMORY: Scarce = Scarce;

const CLASSES: usize = 3;
const HEIGHT: usize = if cfg!(miri) { 2 } else { 9 };
const WIDTH: usize = if cfg!(miri) { 3 } else { 11 };
const PIXELS: usize = HEIGHT * WIDTH;
const COUNT: usize = CLASSES * PIXELS;

fn probabilities() -> Vec<f32> {
    (0..COUNT).map(|i| 0.1 + (i * 7 % 13) as f32 / 16.0).collect()
}

fn photo() -> Vec<u8> {
    (0..3 * PIXELS).map(|i| if i / 3 % WIDTH < WIDTH / 2 { 40 + i % 7 } else { 200 + i % 5 } as u8).collect()
}

fn constants() -> WsegCrf {
    let mut crf = WsegCrf {
        iterations: 0,
        gaussian_compat: 0.0,
        gaussian_sxy: 0.0,
        bilateral_compat: 0.0,
        bilateral_sxy: 0.0,
        bilateral_srgb: 0.0,
        floor: 0.0,
    };
    // SAFETY: the constants live on this stack.
    assert_eq!(unsafe { wseg_crf_default(&mut crf) }, WsegStatus::Ok);
    if cfg!(miri) { WsegCrf { iterations: 1, ..crf } } else { crf }
}

/// What a call is given.
struct Arguments {
    classes: usize,
    height: usize,
    width: usize,
    probabilities: *const f32,
    image: *const u8,
    crf: *const WsegCrf,
    refined: *mut f32,
}

/// The call on good memory, but for what `change` makes of its arguments; the result, which is as it was where the call
/// was refused.
fn refine(change: impl FnOnce(&mut Arguments)) -> (WsegStatus, Vec<f32>) {
    let (p, image, crf, mut out) = (probabilities(), photo(), constants(), vec![f32::NAN; COUNT + 1]);
    let mut with = Arguments {
        classes: CLASSES,
        height: HEIGHT,
        width: WIDTH,
        probabilities: p.as_ptr(),
        image: image.as_ptr(),
        crf: &crf,
        refined: out.as_mut_ptr(),
    };
    change(&mut with);
    let Arguments { classes, height, width, probabilities, image, crf, refined } = with;
    // SAFETY: the arrays above are as long as the extents say; `change` makes pointers null or misaligned, or lets one
    // array stand for two, or changes the extents to some that are refused or need less.
    let status = unsafe { wseg_dense_crf(classes, height, width, probabilities, image, crf, refined) };
    assert_eq!(out.iter().all(|value| value.is_nan()), status != WsegStatus::Ok, "{status:?}");
    out.truncate(COUNT);
    (status, out)
}

#[test]
fn the_call_gives_what_the_core_gives() {
    let crf = DenseCrf { iterations: constants().iterations, ..DenseCrf::default() };
    let image = photo();
    let expected = infer(&probabilities(), CLASSES, Rgb::new(&image, WIDTH, HEIGHT).unwrap(), &crf, &Sequential);
    let (status, refined) = refine(|_| ());
    assert_eq!((status, &refined), (WsegStatus::Ok, &expected.unwrap()));
    if !cfg!(miri) {
        assert_eq!(refine(|with| with.crf = ptr::null()).1, refined);
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(|| refine(|_| ()).1)).collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == refined));
    }
}

#[test]
fn every_mistake_has_its_status_and_writes_nothing() {
    use WsegStatus::*;
    let status = |change: &dyn Fn(&mut Arguments)| refine(|with| change(with)).0;
    assert_eq!(status(&|with| with.probabilities = ptr::null()), NullPointer);
    assert_eq!(status(&|with| with.image = ptr::null()), NullPointer);
    assert_eq!(status(&|with| with.refined = ptr::null_mut()), NullPointer);
    assert_eq!(status(&|with| with.probabilities = with.probabilities.wrapping_byte_add(1)), Misaligned);
    assert_eq!(status(&|with| with.refined = with.refined.wrapping_byte_add(2)), Misaligned);
    assert_eq!(status(&|with| with.crf = ptr::without_provenance(3)), Misaligned);
    assert_eq!(status(&|with| with.refined = with.probabilities.cast_mut()), Overlap);
    assert_eq!(status(&|with| with.image = with.refined.cast_const().cast()), Overlap);
    assert_eq!(
        status(&|with| with.image = with.refined.cast_const().cast::<u8>().wrapping_add(4 * COUNT - 1)),
        Overlap
    );
    for zero in 0..3 {
        assert_eq!(status(&|with| *[&mut with.classes, &mut with.height, &mut with.width][zero] = 0), Empty);
    }
    for (classes, height, width) in [
        (usize::MAX, 1, 1),
        (usize::MAX / 8, 4, 1),
        (1, usize::MAX, 2),
        (1, usize::MAX / 3, 1),
        (2, 1 << 16, 1 << 16),
        (1, u32::MAX as usize / 6 + 1, 1),
        (usize::MAX, usize::MAX, usize::MAX),
    ] {
        let absurd = |with: &mut Arguments| (with.classes, with.height, with.width) = (classes, height, width);
        assert_eq!(status(&absurd), TooLarge, "{classes} {height} {width}");
    }
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut p = probabilities();
        p[COUNT - 1] = bad;
        assert_eq!(status(&|with| with.probabilities = p.as_ptr()), NotFinite);
    }
    let good = constants();
    for bad in [
        WsegCrf { iterations: WSEG_MAX_ITERATIONS + 1, ..good },
        WsegCrf { gaussian_compat: f64::NAN, ..good },
        WsegCrf { gaussian_sxy: 0.0, ..good },
        WsegCrf { bilateral_compat: 1e7, ..good },
        WsegCrf { bilateral_sxy: -3.0, ..good },
        WsegCrf { bilateral_srgb: f64::INFINITY, ..good },
        WsegCrf { floor: 0.0, ..good },
        WsegCrf { floor: 1.5, ..good },
    ] {
        assert_eq!(status(&|with| with.crf = &bad), Constant, "{bad:?}");
    }
    // So fine a lattice that its points cannot be told apart.
    let fine = WsegCrf { bilateral_sxy: 0.01, bilateral_srgb: 0.01, ..good };
    assert_eq!(status(&|with| with.crf = &fine), Constant);
    // SAFETY: refused before it is written.
    assert_eq!(unsafe { wseg_crf_default(ptr::null_mut()) }, NullPointer);
}

/// Probabilities and weights that are allowed, however odd, have a finite result.
#[test]
fn odd_numbers_have_finite_results() {
    let good = constants();
    let odd = [
        WsegCrf { gaussian_compat: -1e6, bilateral_compat: 1e6, ..good },
        WsegCrf { gaussian_compat: 0.0, bilateral_compat: 0.0, iterations: 1, ..good },
        WsegCrf { gaussian_sxy: 1e6, bilateral_sxy: 1e6, bilateral_srgb: 1e6, ..good },
        WsegCrf { floor: 1.0, ..good },
        WsegCrf { floor: 1e-30, iterations: 0, ..good },
    ];
    for crf in &odd[..if cfg!(miri) { 2 } else { 5 }] {
        for level in [f32::MAX, f32::MIN, f32::MIN_POSITIVE, -0.0] {
            let p: Vec<f32> = (0..COUNT).map(|i| if i % 2 == 0 { level } else { 0.5 }).collect();
            let (status, refined) = refine(|with| (with.crf, with.probabilities) = (crf, p.as_ptr()));
            assert_eq!(status, WsegStatus::Ok);
            assert!(refined.iter().all(|value| (0.0..=1.0).contains(value)), "{crf:?} {level}: {refined:?}");
        }
    }
}

/// Whichever piece of memory is the first that cannot be had, the call says so, has written nothing and has given back
/// what it had.
#[test]
fn memory_may_run_out_at_any_moment() {
    let (p, image, crf, mut out) = (probabilities(), photo(), constants(), vec![f32::NAN; COUNT]);
    let mut pieces = 0;
    let held = HELD.get();
    loop {
        PIECES.set(pieces);
        // SAFETY: the arrays are as long as the extents say.
        let status =
            unsafe { wseg_dense_crf(CLASSES, HEIGHT, WIDTH, p.as_ptr(), image.as_ptr(), &crf, out.as_mut_ptr()) };
        PIECES.set(usize::MAX);
        assert_eq!(HELD.get(), held, "{pieces} pieces");
        if status == WsegStatus::Ok {
            break;
        }
        assert_eq!(status, WsegStatus::Memory, "{pieces} pieces");
        assert!(out.iter().all(|value| value.is_nan()), "{pieces} pieces");
        pieces += 1;
    }
    assert!(pieces > 20, "only {pieces} pieces were asked for");
    assert_eq!(out, refine(|_| ()).1);
}

/// Random calls, most of them wrong: a status comes back, and memory that is not the result stays as it was.
#[test]
fn hostile_calls_get_a_status() {
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut seen = [0; 12];
    for _ in 0..if cfg!(miri) { 20 } else { 5000 } {
        let wrong = 4 + random(60);
        let mut extent = |most: usize| match random(wrong) {
            0 => [0, usize::MAX, usize::MAX / 2 + 1, 1 << (usize::BITS - 3), 1 << 33][random(5) as usize],
            other => other as usize % most + 1,
        };
        let (classes, height, width) = (extent(CLASSES), extent(HEIGHT), extent(WIDTH));
        let mut number = |good: f64| match random(wrong) {
            0 => [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 1e-3][random(6) as usize],
            _ => good,
        };
        let crf = WsegCrf {
            gaussian_compat: number(3.0),
            gaussian_sxy: number(3.0),
            bilateral_compat: number(10.0),
            bilateral_sxy: number(8.0),
            bilateral_srgb: number(13.0),
            floor: number(1e-5),
            iterations: if random(wrong) == 0 { usize::MAX } else { random(3) as usize },
        };
        let (mut p, image, mut out) = (probabilities(), photo(), vec![f32::NAN; COUNT + 8]);
        if random(wrong) == 0 {
            p[random(COUNT as u64) as usize] = f32::NAN;
        }
        let (mut from, mut bytes, mut to) = (p.as_ptr(), image.as_ptr(), out.as_mut_ptr());
        match random(2 * wrong) {
            0 => from = ptr::null(),
            1 => bytes = ptr::null(),
            2 => to = ptr::null_mut(),
            3 => to = to.wrapping_byte_add(1),
            4 => from = to,
            5 => bytes = to.cast(),
            _ => (),
        }
        if random(wrong) == 0 {
            PIECES.set(random(40) as usize);
        }
        // SAFETY: the arrays have room for any extents that are not refused.
        let status = unsafe { wseg_dense_crf(classes, height, width, from, bytes, &crf, to) };
        PIECES.set(usize::MAX);
        seen[status as usize] += 1;
        let written = if status == WsegStatus::Ok { classes * height * width } else { 0 };
        assert!(out[..written].iter().all(|value| (0.0..=1.0).contains(value)), "{crf:?}");
        assert!(out[written..].iter().all(|value| value.is_nan()), "{status:?} {crf:?}");
    }
    if !cfg!(miri) {
        // Shapes always match, there is no scratch memory, and no result overflows.
        let never = [WsegStatus::Shape, WsegStatus::Scratch, WsegStatus::Overflow].map(|status| status as usize);
        for (status, &count) in seen.iter().enumerate() {
            assert_eq!(count == 0, never.contains(&status), "status {status}: {seen:?}");
        }
        assert!(seen[0] > 1000, "hardly a call was done: {seen:?}");
    }
}

/// A picture of so many pixels: patches of colour with some noise, or nothing but noise.
fn picture(width: usize, height: usize, noise: bool) -> Vec<u8> {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut bytes = Vec::new();
    for pixel in 0..width * height {
        let patch = (pixel % width / 40 + pixel / width / 40 * 3) as u64;
        let colour = [patch * 57, patch * 91, patch * 131].map(|channel| channel % 200 + 20);
        bytes.extend(colour.map(|channel| if noise { random(256) } else { channel + random(16) } as u8));
    }
    bytes
}

/// Bytes in a row of the table of budgets.
fn budget(call: &str) -> Vec<usize> {
    let start = format!("//! | {call} | ");
    let rows = include_str!("../../core/src/slices/mod.rs").lines().filter_map(|line| line.strip_prefix(&start));
    let numbers = |row: &str| row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect::<Vec<_>>();
    rows.map(numbers).find(|row| row.len() == 4).expect("a row of four numbers")
}

#[test]
#[cfg(not(miri))]
fn the_documentation_states_the_memory() {
    for (call, noise) in [("dense_crf of a photo, allocated", false), ("dense_crf of noise, allocated", true)] {
        for (allowed, (side, classes)) in budget(call).into_iter().zip([(64, 4), (128, 6), (321, 21)]) {
            let (image, p) = (picture(side, side, noise), vec![1.0 / classes as f32; classes * side * side]);
            let (crf, mut out) = (WsegCrf { iterations: 1, ..constants() }, vec![0.0; p.len()]);
            PEAK.set(HELD.get());
            let before = HELD.get();
            let (from, to) = (p.as_ptr(), out.as_mut_ptr());
            // SAFETY: the arrays are as long as the extents say.
            let status = unsafe { wseg_dense_crf(classes, side, side, from, image.as_ptr(), &crf, to) };
            assert_eq!(status, WsegStatus::Ok);
            let taken = (PEAK.get() - before).unsigned_abs();
            println!("{call}: {side} x {side} x {classes}: {taken} bytes");
            assert!(taken <= allowed, "{call} of {side} x {side} x {classes} takes {taken} bytes, more than {allowed}");
            // A budget that says nothing is none.
            assert!(10 * taken > 9 * allowed, "{call} of {side} x {side} x {classes}: {taken} of {allowed} bytes");
        }
    }
}
