//! `wseg train`'s logs and `wseg plot`: what is in the folder of a run, the pictures, and logs that cannot be used.

mod cli;
mod events;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cli::{DataSet, Done, wseg};
use events::{Event, Value, decode};

fn train(set: &DataSet, out: &Path, flags: &[&str]) -> Done {
    let tiny = ["--epochs", "3", "--batch", "2", "--crop", "32", "--threads", "2", "--set", "pamr_dilations=[1]"];
    let line = ["train", "--data", set.root.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let watched = ["--set", "classification_epochs=1", "--set", "validation.every=2"];
    wseg(line.iter().chain(&tiny).chain(&watched).chain(flags))
}

fn plot(runs: &[&Path], flags: &[&str]) -> Done {
    let runs = runs.iter().map(|run| run.to_str().unwrap());
    wseg(["plot"].into_iter().chain(runs).chain(flags.iter().copied()))
}

fn events_of(run: &Path) -> Vec<Event> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents.");
    let files: Vec<PathBuf> = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path()).filter(name).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let (events, rest) = decode(&fs::read(&files[0]).unwrap());
    assert_eq!(rest, 0);
    events
}

/// The tags of an epoch.
fn tags(events: &[Event], epoch: u64) -> BTreeSet<String> {
    let values = events.iter().filter(|event| event.step == epoch).flat_map(|event| &event.values);
    values.map(|(tag, _)| tag.clone()).collect()
}

/// A log as training writes it.
fn log(folder: &Path, epochs: usize, shift: f64) {
    fs::create_dir_all(folder).unwrap();
    let line = |epoch: usize| {
        let loss = shift + 1.0 / epoch as f64;
        format!(
            "{{\"epoch\":{epoch},\"step\":{},\"rate\":0.01,\"loss_classification\":{loss},\"photos_per_second\":40.5,\
             \"validation_loss\":{loss},\"validation_miou\":{}}}\n",
            10 * epoch,
            50.0 + epoch as f64 + shift
        )
    };
    fs::write(folder.join("metrics.jsonl"), (1..=epochs).map(line).collect::<String>()).unwrap();
}

#[test]
fn a_training_logs_everything_it_measured() {
    let set = DataSet::new();
    set.write("classes.txt", "background\ncat\ndog\ncow\n");
    let run = set.beside("run");
    let done = train(&set, &run, &[]);
    for part in ["no validation photo shows: cow", "epoch 2/3: validation loss", "mAP", "mIoU", "segmentation loss"] {
        assert!(done.err.contains(part), "`{part}` is missing: {}", done.err);
    }
    done.good();
    let lines: Vec<serde_json::Value> = fs::read_to_string(run.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Epochs 2 and 3 are looked at: every second one, and the last.
    assert_eq!(lines.iter().map(|line| line.get("validation_loss").is_some()).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(
        lines.iter().map(|line| line.get("loss_segmentation").is_some()).collect::<Vec<_>>(),
        [false, true, true]
    );
    for line in &lines[1..] {
        let ap = &line["validation_ap"];
        assert!(ap["cow"].is_null() && ap.get("cow").is_some(), "{line}");
        let mean = (ap["cat"].as_f64().unwrap() + ap["dog"].as_f64().unwrap()) / 2.0;
        assert!((line["validation_map"].as_f64().unwrap() - mean).abs() < 1e-9, "{line}");
        assert_eq!(line["validation_iou"].as_object().unwrap().len(), 4);
        assert!(line["validation_loss_segmentation"].as_f64().unwrap() >= 0.0, "{line}");
    }

    let events = events_of(&run);
    assert!(tags(&events, 1).contains("train/loss_classification") && !tags(&events, 1).contains("validation/mAP"));
    let last = tags(&events, 3);
    for tag in ["train/rate", "train/loss_segmentation", "validation/mAP", "validation/mIoU", "average_precision/dog"] {
        assert!(last.contains(tag), "{tag}: {last:?}");
    }
    assert!(!last.contains("average_precision/cow"), "{last:?}");
    let sheets: Vec<(u64, &Value)> = events
        .iter()
        .flat_map(|event| event.values.iter().map(|(tag, value)| (event.step, tag, value)))
        .filter(|(_, tag, _)| *tag == "validation/masks")
        .map(|(step, _, value)| (step, value))
        .collect();
    assert_eq!(sheets.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [2, 3]);
    for (_, sheet) in sheets {
        let Value::Image { width, height, encoded, .. } = sheet else { panic!("{sheet:?}") };
        let picture = image::load_from_memory(encoded).unwrap();
        assert_eq!((u64::from(picture.width()), u64::from(picture.height())), (*width, *height));
        // Four columns, two rows.
        assert!(*width > 4 * 240 && *height > 2 * 200, "{width} x {height}");
    }

    let done = plot(&[&run], &[]).good();
    assert!(done.contains("lowest validation loss") && done.contains("curves.png"), "{done}");
    let picture = image::open(run.join("curves.png")).unwrap();
    assert!(picture.width() > 1500, "{}", picture.width());
}

#[test]
fn without_a_validation_split_training_photos_are_drawn() {
    let set = DataSet::new();
    fs::remove_file(set.root.join("ImageSets/Segmentation/val.txt")).unwrap();
    let run = set.beside("run");
    let done = train(&set, &run, &["--model", "cam"]);
    assert!(done.err.contains("cam epoch 1/3: loss 0."), "{}", done.err);
    done.good();
    let events = events_of(&run);
    assert!(tags(&events, 3).contains("training/masks") && !tags(&events, 1).contains("training/masks"));
    assert!(!tags(&events, 3).iter().any(|tag| tag.contains("validation") || tag.contains("segmentation")));
    plot(&[&run], &[]).good();
}

#[test]
fn a_run_that_is_replaced_leaves_no_events() {
    let set = DataSet::new();
    let run = set.beside("run");
    train(&set, &run, &["--quiet", "--seed", "1"]).good();
    train(&set, &run, &["--quiet", "--seed", "2", "--overwrite"]).good();
    assert!(tags(&events_of(&run), 3).contains("validation/masks"));
}

#[test]
fn several_runs_share_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, out] = ["seed-1", "seed-2", "out"].map(|name| dir.path().join(name));
    log(&one, 20, 0.0);
    log(&two, 12, 0.5);
    let table = plot(&[&one, &two], &["--out", out.to_str().unwrap()]).good();
    for part in ["seed-1", "70.0 (epoch 20)", "62.5 (epoch 12)", "66.2 +- 5.3", "curves.svg"] {
        assert!(table.contains(part), "`{part}` is missing: {table}");
    }
    let svg = fs::read_to_string(out.join("curves.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for word in [">seed-1<", ">seed-2<", ">Mean IoU (%)<", ">epoch<"] {
        assert!(svg.contains(word), "{word}");
    }
    let json = plot(&[&one, &two], &["--json", "--out", out.to_str().unwrap()]).good();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["runs"][1]["validation_miou"], serde_json::json!({ "epoch": 12, "value": 62.5 }));
    assert!(json["runs"][0]["validation_map"].is_null() && json["runs"][0]["last_epoch"] == 20);
}

#[test]
fn a_log_cut_off_by_a_kill_is_drawn_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    log(&run, 5, 0.0);
    let path = run.join("metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 9]).unwrap();
    let done = plot(&[&run], &["--quiet"]);
    assert!(done.err.starts_with("warning: ") && done.err.contains("cut off"), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1);
    assert!(done.good().contains("run       4"), "four epochs are left");
}

#[test]
fn logs_that_cannot_be_used_are_named_and_nothing_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    plot(&[&run], &[]).refused(&["run: no such file", "wseg train"]);
    fs::create_dir(&run).unwrap();
    plot(&[&run], &[]).refused(&["metrics.jsonl: no such file", "wseg train"]);
    let path = run.join("metrics.jsonl");
    fs::write(&path, "").unwrap();
    plot(&[&run], &[]).refused(&["metrics.jsonl: holds no epoch yet"]);
    fs::write(&path, "{\"loss\": 3}\n").unwrap();
    plot(&[&run], &[]).refused(&["metrics.jsonl: line 1 is not an epoch", "`epoch`"]);
    fs::write(&path, [0x89, b'P', b'N', b'G', b'\n', 0xff]).unwrap();
    plot(&[&run], &[]).refused(&["metrics.jsonl: line 1 is not an epoch"]);
    log(&run, 2, 0.0);
    let bad = dir.path().join("file");
    fs::write(&bad, "").unwrap();
    plot(&[&run], &["--out", bad.to_str().unwrap()]).refused(&["file", "folder"]);
    let many = vec![run.as_path(); 22];
    plot(&many, &[]).refused(&["22 runs", "21"]);
    assert_eq!(fs::read_dir(&run).unwrap().count(), 1, "nothing but the log");
}
