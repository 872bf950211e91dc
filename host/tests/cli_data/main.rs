//! Data sets in every form that people have them: `wseg data`, and what `train`, `predict` and `eval` make of them.

mod check;
#[path = "../cli/mod.rs"]
mod cli;
mod own;
mod sbd;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use cli::{DataSet, Done, HEIGHT, WIDTH, mask, photo, wseg};
use serde_json::Value;
use tempfile::TempDir;
use wseg::picture::{LabelMap, read_mask, write_mask, write_photo};

/// As small a training as there is.
const TINY: [&str; 12] = [
    "--epochs",
    "1",
    "--batch",
    "2",
    "--crop",
    "32",
    "--threads",
    "2",
    "--set",
    "pamr_dilations=[1]",
    "--quiet",
    "--json",
];

/// Runs the binary on paths and flags.
fn run<const N: usize>(words: [&dyn AsRef<Path>; N], flags: &[&str]) -> Done {
    wseg(words.iter().map(|word| word.as_ref().as_os_str()).chain(flags.iter().map(OsStr::new)))
}

fn check(data: &Path, flags: &[&str]) -> (i32, Value) {
    let done = run([&"data", &"check", &data, &"--json"], flags);
    (done.code, serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{done:?}")))
}

fn convert(data: &Path, out: &Path, flags: &[&str]) -> Done {
    run([&"data", &"convert", &"--quiet", &"--data", &data, &"--out", &out], flags)
}

/// Trains on `data`, and segments `images` with the labels of `labels`; returns the folder of masks.
fn train_and_predict(data: &Path, flags: &[&str], images: &Path, labels: &Path, beside: &Path) -> PathBuf {
    let (out, masks) = (beside.join("run"), beside.join("masks"));
    run([&"train", &"--data", &data, &"--out", &out], &[&TINY[..], flags].concat()).good();
    let checkpoint = out.join("last.safetensors");
    let line: [&dyn AsRef<Path>; 9] =
        [&"predict", &"--checkpoint", &checkpoint, &"--images", &images, &"--labels", &labels, &"--out", &masks];
    run(line, &["--quiet", "--save", "masks"]).good();
    masks
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

fn put_photo(root: &Path, name: &str, class: u8) {
    write_photo(&root.join(name), &photo(class)).unwrap();
}

fn put(root: &Path, name: &str, text: &str) {
    fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
    fs::write(root.join(name), text).unwrap();
}

/// How many photos show each class, of one split.
fn counts(findings: &Value, split: usize) -> Vec<(String, u64)> {
    let classes = findings["classes"].as_array().unwrap().iter();
    classes.map(|class| (class["name"].as_str().unwrap().into(), class["photos"][split].as_u64().unwrap())).collect()
}

fn counted(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}
