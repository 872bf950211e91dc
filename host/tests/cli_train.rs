//! `wseg train` and `wseg predict`: the whole path on a tiny data set, and everything they refuse.

mod cli;

use std::{
    fs,
    path::{Path, PathBuf},
};

use cli::{DataSet, Done, HEIGHT, WIDTH, mask, photo, wseg};
use wseg::picture::{read_mask, write_mask, write_photo};

/// As small a training as there is: two steps.
const TINY: [&str; 11] =
    ["--epochs", "1", "--batch", "2", "--crop", "32", "--threads", "2", "--set", "pamr_dilations=[1]", "--quiet"];

fn train(data: &Path, out: &Path, flags: &[&str]) -> Done {
    let line = ["train", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
    wseg(line.iter().chain(&TINY).chain(flags))
}

fn predict(checkpoint: &Path, images: &Path, out: &Path, flags: &[&str]) -> Done {
    let [checkpoint, images, out] = [checkpoint, images, out].map(|path| path.to_str().unwrap());
    let line = ["predict", "--quiet", "--checkpoint", checkpoint, "--images", images, "--out", out];
    wseg(line.iter().chain(flags))
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn trained(set: &DataSet, flags: &[&str]) -> PathBuf {
    let run = set.beside("run");
    train(&set.root, &run, flags).good();
    run.join("last.safetensors")
}

#[test]
fn from_image_labels_to_masks_and_numbers() {
    for model in ["single-stage", "cam"] {
        let set = DataSet::new();
        let checkpoint = trained(&set, &["--model", model]);
        let masks = set.beside("masks");
        let list = set.root.join("ImageSets/Segmentation/val.txt");
        predict(&checkpoint, &list, &masks, &[]).good();
        assert_eq!(names(&masks), ["v0.png", "v0_overlay.jpg", "v1.png", "v1_overlay.jpg"], "{model}");
        let prediction = read_mask(&masks.join("v0.png")).unwrap();
        assert_eq!((prediction.width, prediction.height), (WIDTH, HEIGHT), "{model}");
        let gt = set.root.join("SegmentationClass");
        let line = [Path::new("eval"), Path::new("--json"), Path::new("--pred"), &masks, Path::new("--gt"), &gt];
        let report = wseg(line.into_iter().chain([Path::new("--list"), &list])).good();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["images"], 2, "{model}");
    }
}

#[test]
fn the_same_seed_gives_the_same_checkpoint_bit_for_bit() {
    let set = DataSet::new();
    let [one, two, other] = ["one", "two", "other"].map(|name| set.beside(name));
    for (run, seed) in [(&one, "3"), (&two, "3"), (&other, "4")] {
        train(&set.root, run, &["--seed", seed]).good();
    }
    let bytes = |run: &Path| fs::read(run.join("last.safetensors")).unwrap();
    assert!(bytes(&one) == bytes(&two), "two runs of one seed differ");
    assert!(bytes(&one) != bytes(&other), "the seed does nothing");
}

#[test]
fn clean_mode_leaves_out_what_the_labels_deny() {
    let set = DataSet::new();
    let checkpoint = trained(&set, &[]);
    let labels = set.beside("labels.csv");
    fs::write(&labels, "image,labels\nv0,dog\nv1,\n").unwrap();
    let masks = set.beside("masks");
    let list = set.root.join("ImageSets/Segmentation/val.txt");
    predict(&checkpoint, &list, &masks, &["--save", "masks", "--labels", labels.to_str().unwrap()]).good();
    assert_eq!(names(&masks), ["v0.png", "v1.png"]);
    assert!(!read_mask(&masks.join("v0.png")).unwrap().labels.contains(&1), "a cat where there is none");
    assert!(
        read_mask(&masks.join("v1.png")).unwrap().labels.iter().all(|label| *label == 0),
        "something on an empty photo"
    );
    fs::write(&labels, "v0,dragon\n").unwrap();
    predict(&checkpoint, &list, &set.beside("none"), &["--labels", labels.to_str().unwrap()])
        .refused(&["labels.csv: line 1", "`dragon`"]);
    assert!(!set.beside("none").exists());
}

#[test]
fn masks_of_training_photos_are_not_read_when_there_is_a_label_file() {
    let set = DataSet::new();
    set.write("labels.csv", "t0,cat\nt1,dog\nt2,cat\nt3,dog\nv0,cat\nv1,dog\n");
    for name in ["t0", "t1", "t2", "t3"] {
        fs::remove_file(set.mask(name)).unwrap();
    }
    trained(&set, &[]);
}

#[test]
fn photos_of_any_size_and_kind_are_segmented() {
    let set = DataSet::new();
    let checkpoint = trained(&set, &[]);
    let photos = set.beside("photos");
    for (name, width, height) in [("wide.jpg", 90, 17), ("dot.png", 1, 1), ("tall.png", 9, 70)] {
        write_photo(&photos.join(name), &image::imageops::thumbnail(&photo(1), width, height)).unwrap();
    }
    let masks = set.beside("masks");
    let found = predict(&checkpoint, &photos, &masks, &["--json", "--scales", "1,0.5", "--flip"]).good();
    assert_eq!(found.lines().count(), 4, "a photo each, and the summary: {found}");
    for (name, width, height) in [("wide.png", 90, 17), ("dot.png", 1, 1), ("tall.png", 9, 70)] {
        let mask = read_mask(&masks.join(name)).unwrap();
        assert_eq!((mask.width, mask.height), (width, height), "{name}");
    }
}

/// Spoils a data set, and asserts that training on it is refused with one sentence that holds `parts`, leaving nothing.
#[track_caller]
fn refused(spoil: impl FnOnce(&DataSet), flags: &[&str], parts: &[&str]) {
    let set = DataSet::new();
    spoil(&set);
    let out = set.beside("run");
    train(&set.root, &out, flags).refused(parts);
    assert!(!out.exists(), "{:?} was left behind", names(&out));
}

#[test]
fn a_missing_folder_is_named() {
    refused(|set| fs::remove_dir_all(&set.root).unwrap(), &[], &["data: no such folder"]);
    refused(|set| fs::remove_dir_all(set.root.join("JPEGImages")).unwrap(), &[], &["JPEGImages: no such folder"]);
    refused(
        |set| fs::remove_dir_all(set.root.join("SegmentationClass")).unwrap(),
        &[],
        &["neither labels.csv nor SegmentationClass"],
    );
}

#[test]
fn missing_and_empty_lists_are_named() {
    refused(|set| fs::remove_file(set.root.join("classes.txt")).unwrap(), &[], &["classes.txt: no such file"]);
    refused(|set| set.write("ImageSets/Segmentation/train.txt", ""), &[], &["train.txt: the list is empty"]);
    refused(|set| set.write("ImageSets/Segmentation/val.txt", "\n"), &[], &["val.txt: the list is empty"]);
    refused(|set| set.write("ImageSets/Segmentation/train.txt", "t0\nt9\n"), &[], &["t9.jpg: no such file"]);
}

#[test]
fn a_corrupt_photo_is_named() {
    refused(|set| set.corrupt("t2"), &[], &["t2.jpg", "cut off"]);
    refused(|set| fs::write(set.photo("t1"), "a poem").unwrap(), &[], &["t1.jpg", "neither a JPEG nor a PNG"]);
    refused(|set| fs::write(set.photo("v1"), "").unwrap(), &[], &["v1.jpg"]);
    refused(|set| set.corrupt("v1"), &[], &["v1.jpg", "cut off"]);
}

#[test]
fn a_mask_of_another_size_is_named_with_both_sizes() {
    let spoil = |set: &DataSet| write_mask(&set.mask("v0"), &mask(WIDTH + 1, HEIGHT, 1)).unwrap();
    refused(spoil, &[], &["v0.png", "49 x 40", "48 x 40"]);
}

#[test]
fn labels_outside_the_classes_are_named() {
    let spoil = |set: &DataSet| write_mask(&set.mask("t3"), &mask(WIDTH, HEIGHT, 3)).unwrap();
    refused(spoil, &[], &["t3.png: value 3 is not a class"]);
    let spoil = |set: &DataSet| write_mask(&set.mask("v1"), &mask(WIDTH, HEIGHT, 9)).unwrap();
    refused(spoil, &[], &["v1.png: value 9 is not a class"]);
    refused(|set| set.write("labels.csv", "t0,cat\nt1,hamster\n"), &[], &["labels.csv: line 2", "`hamster`"]);
    refused(|set| set.write("labels.csv", "t0,cat\nt1,dog\nt2,dog\n"), &[], &["labels.csv", "`t3`"]);
}

#[test]
fn unknown_keys_and_values_are_named() {
    let set = DataSet::new();
    let out = set.beside("run");
    for (flags, parts) in [
        (["--preset", "smal"], ["`smal`", "small"]),
        (["--set", "recipe.momentun=0.5"], ["momentun", "`recipe.momentum`"]),
        (["--set", "momentum=fast"], ["momentum", "fast"]),
        (["--batch", "0"], ["batch", "1"]),
        (["--crop", "0"], ["crop", ""]),
        (["--epochs", "0"], ["epochs", "1"]),
        (["--lr", "nan"], ["rate", ""]),
    ] {
        let line = ["train", "--data", set.root.to_str().unwrap(), "--out", out.to_str().unwrap()];
        wseg(line.into_iter().chain(flags)).refused(&parts);
        assert!(!out.exists(), "{flags:?}");
    }
}

#[test]
fn a_run_is_not_overwritten_unasked() {
    let set = DataSet::new();
    let out = set.beside("run");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("diary.txt"), "dear").unwrap();
    train(&set.root, &out, &[]).refused(&["run", "--overwrite"]);
    assert_eq!(names(&out), ["diary.txt"]);
}

#[test]
fn predict_names_what_it_cannot_use() {
    let set = DataSet::new();
    let masks = set.beside("masks");
    let photos = set.root.join("JPEGImages");
    predict(&set.beside("gone.safetensors"), &photos, &masks, &[]).refused(&["gone.safetensors"]);
    let poem = set.beside("poem.safetensors");
    fs::write(&poem, "no checkpoint").unwrap();
    predict(&poem, &photos, &masks, &[]).refused(&["poem.safetensors"]);
    predict(&poem, &set.beside("nowhere"), &masks, &[]).refused(&["nowhere: no such file or folder"]);
    assert!(!masks.exists());
    let checkpoint = trained(&set, &[]);
    set.corrupt("v0");
    predict(&checkpoint, &set.photo("v0"), &masks, &[]).refused(&["v0.jpg", "cut off"]);
    assert!(!masks.exists(), "nothing is half-written");
}
