//! `wseg synth`: makes a data set, the same one for the same seed, and overwrites nothing.

mod cli;

use std::{collections::BTreeMap, fs, path::Path};

use cli::wseg;

fn synth(out: &Path, flags: &[&str]) -> cli::Done {
    let line = ["synth", "--images", "6", "--val", "2", "--classes", "3", "--size", "48", "--quiet", "--out"];
    let out = out.to_str().unwrap();
    wseg(line.into_iter().chain([out]).chain(flags.iter().copied()))
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found.into_iter().map(|(name, bytes)| (name.replace(&folder.display().to_string(), ""), bytes)).collect()
}

#[test]
fn the_set_is_one_that_the_other_commands_take() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("shapes");
    assert_eq!(synth(&out, &[]).good(), "");
    assert_eq!(fs::read_to_string(out.join("classes.txt")).unwrap().lines().count(), 4);
    let set = wseg::data::Dataset::open(&out).unwrap();
    let (train, val) = (set.split("train").unwrap(), set.split("val").unwrap());
    assert_eq!((train.len(), val.len()), (6, 2));
    assert!(train.iter().all(|sample| sample.size == (48, 48)));
    assert!(set.image_labels(&train).unwrap().iter().all(|labels| labels.contains(&true)));
}

#[test]
fn a_seed_makes_the_same_files_and_another_seed_others() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, other) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("other"));
    synth(&one, &["--seed", "4"]).good();
    synth(&two, &["--seed", "4"]).good();
    synth(&other, &["--seed", "5"]).good();
    assert_eq!(files(&one), files(&two));
    assert_ne!(files(&one), files(&other));
}

#[test]
fn what_is_there_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("shapes");
    synth(&out, &[]).good();
    synth(&out, &[]).good();
    let before = files(&out);
    let done = synth(&out, &["--seed", "9"]);
    done.refused(&["shapes"]);
    assert_eq!(files(&out), before);
    let notes = dir.path().join("notes");
    fs::create_dir(&notes).unwrap();
    fs::write(notes.join("diary.txt"), "dear").unwrap();
    synth(&notes, &[]).refused(&["notes"]);
    assert_eq!(files(&notes).len(), 1);
}

#[test]
fn numbers_out_of_range_make_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("shapes");
    for flags in [["--classes", "0"], ["--classes", "999"], ["--size", "1"], ["--images", "0"]] {
        let line = ["synth", "--out", out.to_str().unwrap()];
        wseg(line.into_iter().chain(flags)).refused(&[]);
        assert!(!out.exists());
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}
