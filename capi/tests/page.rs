//! The page in a real browser: drawn on with the mouse, its masks are those of the library built for this machine.

#![cfg(all(unix, not(miri)))]

mod common;

use std::{fs, path::Path};

use common::{script, text};
use wseg_core::{Pamr, Shape, slices};

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// The page's work, done here: scribbles are certain in every round, and the strongest class wins.
fn refined(seeds: &[u8], image: &[f32], shape: Shape, pamr: &Pamr, rounds: usize) -> Vec<f32> {
    let (pixels, guide) = (shape.h * shape.w, shape.with_channels(3));
    let scribble = |masks: &mut [f32]| {
        for (pixel, &seed) in seeds.iter().enumerate().filter(|&(_, &seed)| seed > 0) {
            for class in 0..shape.c {
                masks[class * pixels + pixel] = f32::from(u8::from(class + 1 == usize::from(seed)));
            }
        }
    };
    let mut masks = vec![0.0; shape.count()];
    scribble(&mut masks);
    let mut scratch = vec![0.0; slices::pamr_stored_scratch(shape, guide, pamr)];
    for _ in 0..rounds {
        let mut next = vec![0.0; masks.len()];
        slices::pamr((shape, &masks), (guide, image), pamr, &mut next, &mut scratch).unwrap();
        scribble(&mut next);
        masks = next;
    }
    masks
}

#[test]
fn the_page_refines_scribbles_as_the_library_does() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let Some(output) = script("examples/run.sh", &["page-test", folder.to_str().expect("a path of text")]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let settings = String::from_utf8(read("settings")).expect("numbers");
    let settings: Vec<usize> = settings.split(' ').map(|number| number.parse().expect("a number")).collect();
    let [width, height, iterations, dilations, rounds] = settings[..] else { panic!("{settings:?}") };
    let (seeds, labels) = (read("seeds"), read("labels"));
    let (image, masks) = (floats(&read("image")), floats(&read("masks")));
    let mut pamr = Pamr { iterations, ..Pamr::default() };
    pamr.dilations.truncate(dilations);
    let shape = Shape::new(1, 4, height, width);
    let expected = refined(&seeds, &image, shape, &pamr, rounds);
    // The same code and the same mathematical functions, compiled for another machine.
    let largest = masks.iter().zip(&expected).fold(0.0_f32, |most, (one, other)| most.max((one - other).abs()));
    assert!(masks.len() == expected.len() && largest <= 1e-5, "masks differ by {largest}");
    let pixels = width * height;
    let differing = (0..pixels).filter(|&pixel| {
        let best = (1..4).fold(0, |best, class| {
            if expected[class * pixels + pixel] > expected[best * pixels + pixel] { class } else { best }
        });
        usize::from(labels[pixel]) != best
    });
    // Two classes may be as strong as each other but for the last bit.
    assert!(differing.count() <= pixels / 1000);
    assert!(seeds.contains(&1) && seeds.contains(&3) && labels.contains(&2), "hardly anything was drawn");
}
