//! How `wseg train` reads photos: workers, and photos that cannot be read.

mod cli;

use std::fs;

use cli::{DataSet, Done, wseg};

/// As small a training as there is: one step for two photos.
fn train(set: &DataSet, run: &str, flags: &[&str]) -> Done {
    let (root, out) = (set.root.clone(), set.beside(run));
    let paths = ["train", "--data", root.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let tiny = ["--epochs", "1", "--batch", "2", "--crop", "32", "--threads", "2", "--set", "pamr_dilations=[1]"];
    wseg(paths.iter().chain(&tiny).chain(flags))
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let set = DataSet::new();
    for workers in ["1", "3"] {
        train(&set, workers, &["--workers", workers, "--quiet"]).good();
    }
    let bytes = |run: &str| fs::read(set.beside(run).join("last.safetensors")).unwrap();
    assert!(bytes("1") == bytes("3"), "checkpoints differ");
    assert_eq!(train(&set, "none", &["--workers", "0"]).code, 2);
}

#[test]
fn bad_photos_are_all_named_or_skipped_with_a_count() {
    let set = DataSet::new();
    set.corrupt("t1");
    fs::remove_file(set.photo("t2")).unwrap();
    let refused = train(&set, "run", &["--quiet"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    for part in ["2 ", "t1.jpg: the JPEG is cut off", "t2.jpg: no such file"] {
        assert!(refused.err.contains(part), "{refused:?}");
    }
    assert!(!set.beside("run").exists());
    let skipped = train(&set, "run", &["--quiet", "--skip-bad"]);
    assert_eq!(skipped.code, 0, "{skipped:?}");
    let warning = "warning: 2 training photos cannot be used and are left out; the first: ";
    assert!(skipped.err.starts_with(warning) && skipped.err.lines().count() == 1, "{skipped:?}");
}
