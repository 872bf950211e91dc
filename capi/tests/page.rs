//! The page in a real browser: drawn on with the mouse, its masks are those of the library built for this machine, and
//! its dense CRF's are those of `wseg refine`.

#![cfg(all(unix, not(miri), feature = "crf"))]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{script, text};
use wseg_core::{
    Pamr, Shape,
    crf::{DenseCrf, Rgb, Sequential, infer},
    slices,
};

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
    assert_crf(&folder, (width, height), &image);
}

/// The dense CRF of the page against the library's and, where it was built, the command line's.
fn assert_crf(folder: &Path, (width, height): (usize, usize), image: &[f32]) {
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let constants = String::from_utf8(read("crf-constants")).expect("numbers");
    let constants: Vec<f64> = constants.split(' ').map(|number| number.parse().expect("a number")).collect();
    let [iterations, gaussian_weight, gaussian_sxy, bilateral_weight, bilateral_sxy, bilateral_srgb] = constants[..]
    else {
        panic!("{constants:?}")
    };
    let crf = DenseCrf {
        iterations: iterations as usize,
        gaussian_weight,
        gaussian_sxy,
        bilateral_weight,
        bilateral_sxy,
        bilateral_srgb,
        ..DenseCrf::default()
    };
    let (given, refined, labels) = (floats(&read("crf-given")), floats(&read("crf-refined")), read("crf-labels"));
    let (pixels, classes) = (width * height, given.len() / (width * height));
    let bytes: Vec<u8> = (0..3 * pixels).map(|i| (image[i % 3 * pixels + i / 3] * 255.0).round() as u8).collect();
    let expected = infer(&given, classes, Rgb::new(&bytes, width, height).unwrap(), &crf, &Sequential).unwrap();
    assert_same("the library", &refined, &expected, &labels, pixels);

    let Some(wseg) = command_line() else { return };
    fs::write(folder.join("given.npy"), npy(&given, classes, height, width)).expect("a file");
    let mut command = Command::new(wseg);
    command.args(["refine", "--method", "crf", "--image"]).arg(folder.join("photo.png"));
    command.arg("--mask").arg(folder.join("given.npy")).arg("--out").arg(folder.join("refined.npy"));
    let flags = ["crf-iterations", "gaussian-compat", "gaussian-sxy", "bilateral-compat", "bilateral-sxy"];
    for (flag, value) in flags.iter().chain(&["bilateral-srgb"]).zip(&constants) {
        command.arg(format!("--{flag}")).arg(value.to_string());
    }
    let output = command.output().expect("wseg runs");
    assert!(output.status.success(), "{}", text(&output));
    let file = read("refined.npy");
    let header = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    assert_same("the command line", &refined, &floats(&file[header..]), &labels, pixels);
}

/// The page's probabilities and labels are the others', pixel by pixel. All compute in the same order with the same
/// functions and none fuses operations, but how a compiler rounds is no promise: probabilities may differ by the last
/// bits, 1e-6, and so may the label where two classes are as likely as each other.
fn assert_same(who: &str, refined: &[f32], expected: &[f32], labels: &[u8], pixels: usize) {
    assert_eq!(refined.len(), expected.len(), "{who}");
    let largest = refined.iter().zip(expected).fold(0.0_f32, |most, (one, other)| most.max((one - other).abs()));
    println!("the page and {who} differ by {largest}");
    assert!(largest <= 1e-6, "the page and {who} differ by {largest}");
    for (pixel, &label) in labels.iter().enumerate() {
        let probability = |class: usize| expected[class * pixels + pixel];
        let best = (0..expected.len() / pixels).map(probability).fold(0.0, f32::max);
        assert!(probability(label.into()) >= best - 1e-6, "pixel {pixel} has label {label}, not {who}'s");
    }
}

/// The binary, which is built beside this test with the workspace.
fn command_line() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a path");
    let wseg = test.parent()?.parent()?.join(format!("wseg{}", std::env::consts::EXE_SUFFIX));
    if wseg.is_file() {
        return Some(wseg);
    }
    assert!(std::env::var_os("WSEG_NO_SKIP").is_none(), "{} is not there: build the workspace", wseg.display());
    println!("skipped: no comparison with the command line, which is not built: cargo build -p wseg");
    None
}

/// A NumPy file of probabilities `[classes, height, width]`.
fn npy(values: &[f32], classes: usize, height: usize, width: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({classes}, {height}, {width}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    bytes.extend((padded as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = padded - 1).bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}
