//! `wseg refine`: masks of every kind, drawn to the edges of their photos.

mod cli;

use std::{fs, path::Path};

use cli::{HEIGHT, WIDTH, mask, photo, wseg};
use serde_json::Value;
use wseg::picture::{LabelMap, read_mask, write_mask, write_photo};

/// The square of class `class`, moved by some pixels.
fn moved(class: u8) -> LabelMap {
    let truth = mask(WIDTH, HEIGHT, class);
    let labels = (0..WIDTH * HEIGHT).map(|i| {
        let (x, y) = (i % WIDTH, i / WIDTH);
        if x < 4 || y < 3 { 0 } else { truth.labels[(y - 3) * WIDTH + x - 4] }
    });
    LabelMap { labels: labels.collect(), ..truth }
}

/// IoU of a label with that of the true square.
fn iou(found: &LabelMap, class: u8) -> f64 {
    let truth = mask(WIDTH, HEIGHT, class);
    let pairs = || found.labels.iter().zip(&truth.labels).map(|(&a, &b)| (a == class, b == class));
    pairs().filter(|&(a, b)| a && b).count() as f64 / pairs().filter(|&(a, b)| a || b).count() as f64
}

/// A folder with a photo and its moved mask.
fn pair(class: u8) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_photo(&folder.path().join("photo.png"), &photo(class)).unwrap();
    write_mask(&folder.path().join("mask.png"), &moved(class)).unwrap();
    folder
}

/// Runs `wseg refine` on the files of [`pair`] or others of these names.
fn refine(folder: &Path, mask: &str, out: &str, flags: &[&str]) -> cli::Done {
    let at = |name: &str| folder.join(name).into_os_string();
    let mut line: Vec<std::ffi::OsString> = vec!["refine".into(), "--quiet".into()];
    for (flag, name) in [("--image", "photo.png"), ("--mask", mask), ("--out", out)] {
        line.extend([flag.into(), at(name)]);
    }
    line.extend(flags.iter().map(Into::into));
    wseg(line)
}

/// An array file of float32, as NumPy writes it.
fn npy(path: &Path, shape: &str, values: &[f32]) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &data].concat()).unwrap();
}

#[test]
fn every_method_brings_a_moved_mask_closer_to_the_object() {
    let folder = pair(2);
    let before = iou(&moved(2), 2);
    for (method, after) in [("pamr", before + 0.02), ("crf", 0.95), ("pamr+crf", 0.95)] {
        let out = format!("{method}.png");
        refine(folder.path(), "mask.png", &out, &["--method", method]).good();
        let refined = read_mask(&folder.path().join(&out)).unwrap();
        assert_eq!((refined.width, refined.height), (WIDTH, HEIGHT));
        assert!(iou(&refined, 2) > after, "{method}: IoU {before} before, {} after", iou(&refined, 2));
        assert!(refined.labels.iter().all(|label| [0, 2].contains(label)), "labels keep their numbers");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = pair(1);
    let run = |threads: &str| {
        refine(folder.path(), "mask.png", "out.npy", &["--method", "pamr+crf", "--threads", threads]).good();
        fs::read(folder.path().join("out.npy")).unwrap()
    };
    assert_eq!(run("1"), run("3"));
}

#[test]
fn small_probabilities_are_taken_to_the_photos_size() {
    let folder = pair(1);
    let (width, height) = (WIDTH / 4, HEIGHT / 4);
    let object = |i: usize| if (3..8).contains(&(i % width)) && (2..8).contains(&(i / width)) { 0.8 } else { 0.1 };
    let object: Vec<f32> = (0..width * height).map(object).collect();
    let both: Vec<f32> = object.iter().map(|p| 1.0 - p).chain(object.iter().copied()).collect();
    npy(&folder.path().join("object.npy"), &format!("{height}, {width}"), &object);
    npy(&folder.path().join("both.npy"), &format!("2, {height}, {width}"), &both);
    for method in ["pamr", "crf"] {
        for mask in ["object.npy", "both.npy"] {
            refine(folder.path(), mask, &format!("{mask}.out.npy"), &["--method", method]).good();
        }
        let [one, other] =
            ["object.npy", "both.npy"].map(|mask| fs::read(folder.path().join(format!("{mask}.out.npy"))).unwrap());
        assert_eq!(one, other, "one object is two classes");
        let shape = format!("(2, {HEIGHT}, {WIDTH})");
        assert!(one.windows(shape.len()).any(|part| part == shape.as_bytes()), "{method}");
        let values: Vec<f32> = one[128..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let pixels = WIDTH * HEIGHT;
        assert_eq!(values.len(), 2 * pixels);
        assert!((0..pixels).all(|i| (values[i] + values[pixels + i] - 1.0).abs() < 1e-4), "{method}");
    }
    refine(folder.path(), "both.npy", "hard.png", &[]).good();
    assert!(iou(&read_mask(&folder.path().join("hard.png")).unwrap(), 1) > 0.9);
}

#[test]
fn a_grey_picture_is_a_probability_unless_it_is_said_to_hold_labels() {
    let folder = pair(1);
    let grey = |object: u8, rest: u8| {
        let levels = moved(1).labels.iter().map(|&label| if label == 1 { object } else { rest }).collect();
        image::GrayImage::from_vec(WIDTH as u32, HEIGHT as u32, levels).unwrap()
    };
    // Unsure enough that the photo may overrule it.
    grey(180, 75).save(folder.path().join("grey.png")).unwrap();
    refine(folder.path(), "grey.png", "out.png", &[]).good();
    assert!(iou(&read_mask(&folder.path().join("out.png")).unwrap(), 1) > 0.95);
    grey(3, 0).save(folder.path().join("grey.png")).unwrap();
    refine(folder.path(), "grey.png", "out.png", &["--grey-labels"]).good();
    assert!(read_mask(&folder.path().join("out.png")).unwrap().present()[3]);
    refine(folder.path(), "grey.png", "out.png", &[]).good();
    assert!(!read_mask(&folder.path().join("out.png")).unwrap().present()[1], "three levels of 255 are little");
}

#[test]
fn a_folder_is_done_but_for_what_cannot_be_and_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (photos, masks, out) =
        (folder.path().join("my photos"), folder.path().join("mäsks"), folder.path().join("out"));
    fs::create_dir_all(&photos).unwrap();
    fs::create_dir_all(&masks).unwrap();
    for name in ["erste.png", "zwei zwei.jpg", "Straße.PNG", "alone.png", "broken.png"] {
        let plain = photos.join(name.to_lowercase());
        write_photo(&plain, &photo(1)).unwrap();
        fs::rename(plain, photos.join(name)).unwrap();
    }
    for name in ["erste.png", "zwei zwei.png", "Straße.png"] {
        write_mask(&masks.join(name), &moved(1)).unwrap();
    }
    fs::write(masks.join("broken.npy"), b"\x93NUMPY\x01\x00").unwrap();
    let line = |flags: &[&str]| {
        let paths = [("--image", &photos), ("--mask", &masks), ("--out", &out)];
        let mut line: Vec<std::ffi::OsString> = vec!["refine".into(), "--quiet".into(), "--json".into()];
        paths.iter().for_each(|(flag, path)| line.extend([(*flag).into(), path.as_os_str().to_owned()]));
        line.extend(flags.iter().map(Into::into));
        wseg(line)
    };
    let done = line(&[]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.err.contains("2 of 5 masks") && done.err.contains("alone.png, .npy or .npz is needed"),
        "{}",
        done.err
    );
    assert!(done.err.contains("broken.npy: is cut off"), "{}", done.err);
    let rows: Vec<Value> = done.out.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["labels"] == serde_json::json!([0, 1]) && row["width"] == WIDTH), "{rows:?}");
    for name in ["erste.png", "zwei zwei.png", "Straße.png"] {
        assert!(iou(&read_mask(&out.join(name)).unwrap(), 1) > 0.95, "{name}");
    }
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3, "nothing half-written");
    line(&["--format", "npy"]);
    assert!(out.join("Straße.npy").is_file());
}

#[test]
fn what_cannot_be_refined_is_refused_in_a_sentence() {
    let folder = pair(1);
    let path = folder.path();
    write_mask(&path.join("small.png"), &mask(40, 40, 1)).unwrap();
    refine(path, "small.png", "out.png", &[]).refused(&["small.png", "40 x 40", "48 x 40", "labels cannot be resized"]);
    refine(path, "mask.png", "out.tiff", &[]).refused(&["out.tiff", ".png or .npy"]);
    refine(path, "mask.png", "mask.png", &[]).refused(&["mask.png", "is an input as well"]);
    refine(path, "nowhere.npy", "out.png", &[]).refused(&["nowhere.npy"]);
    refine(path, "mask.png", "out.png", &["--bilateral-sxy", "1e-9"]).refused(&["sxy", "between"]);
    npy(&path.join("scores.npy"), "2, 1, 1", &[3.5, -1.0]);
    refine(path, "scores.npy", "out.png", &[]).refused(&["scores.npy", "3.5", "softmax"]);
    npy(&path.join("huge.npy"), "99999999, 99999999", &[0.5]);
    refine(path, "huge.npy", "out.png", &[]).refused(&["huge.npy", "4 bytes"]);
    fs::write(path.join("empty.png"), b"").unwrap();
    refine(path, "empty.png", "out.png", &[]).refused(&["empty.png", "empty"]);
    refine(path, ".", "out.png", &[]).refused(&["is a folder"]);
    assert!(!path.join("out.png").exists());
}
