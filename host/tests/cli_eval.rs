//! `wseg eval`: its numbers, and what it refuses.

mod cli;

use std::{fs, path::PathBuf};

use cli::{DataSet, Done, HEIGHT, WIDTH, mask, wseg};
use wseg::picture::{LabelMap, write_mask};

/// A data set, and predictions for all of its photos beside it: right for cats, dogs are taken for cats.
struct Setting {
    data: DataSet,
    predictions: PathBuf,
}

impl Setting {
    fn new() -> Self {
        let data = DataSet::new();
        let predictions = data.beside("masks");
        for name in ["t0", "t1", "t2", "t3", "v0", "v1"] {
            write_mask(&predictions.join(format!("{name}.png")), &mask(WIDTH, HEIGHT, 1)).unwrap();
        }
        Self { data, predictions }
    }

    fn prediction(&self, name: &str) -> PathBuf {
        self.predictions.join(format!("{name}.png"))
    }

    fn eval(&self, flags: &[&str]) -> Done {
        let (gt, val) =
            (self.data.root.join("SegmentationClass"), self.data.root.join("ImageSets/Segmentation/val.txt"));
        let mut line = vec!["eval".into(), "--pred".into(), self.predictions.clone(), "--gt".into(), gt];
        for flag in flags {
            line.push(if *flag == "VAL" { val.clone() } else { flag.into() });
        }
        wseg(line)
    }
}

#[test]
fn numbers_are_those_of_the_hand_count() {
    let setting = Setting::new();
    // One image more to ignore everywhere but in one pixel, which is a cat.
    let mut labels = vec![255; WIDTH * HEIGHT];
    labels[20 * WIDTH + 20] = 1;
    write_mask(&setting.data.mask("extra"), &LabelMap { width: WIDTH, height: HEIGHT, labels }).unwrap();
    write_mask(&setting.prediction("extra"), &mask(WIDTH, HEIGHT, 1)).unwrap();
    let report: serde_json::Value = serde_json::from_str(&setting.eval(&["--json"]).good()).unwrap();
    let square = 24.0 * 24.0;
    let cat = 3.0 * square + 1.0;
    assert_eq!(report["images"], 7);
    assert_eq!(report["ignored_pixels"], (WIDTH * HEIGHT - 1) as u64);
    assert_eq!(report["classes"][1]["name"], "cat");
    let near = |value: &serde_json::Value, expected: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
    };
    near(&report["classes"][0]["iou"], 100.0);
    near(&report["classes"][1]["iou"], 100.0 * cat / (6.0 * square + 1.0));
    near(&report["classes"][1]["precision"], 100.0 * cat / (6.0 * square + 1.0));
    near(&report["classes"][1]["recall"], 100.0);
    near(&report["classes"][2]["iou"], 0.0);
    assert!(report["classes"][2]["precision"].is_null(), "never predicted");
    near(&report["mean_iou"], (100.0 + 100.0 * cat / (6.0 * square + 1.0)) / 3.0);
    near(&report["mean_iou_objects"], 100.0 * cat / (6.0 * square + 1.0) / 2.0);
    let pixels = (6 * WIDTH * HEIGHT + 1) as f64;
    near(&report["pixel_accuracy"], 100.0 * (pixels - 3.0 * square) / pixels);
}

#[test]
fn the_table_has_a_line_a_class_and_means() {
    let setting = Setting::new();
    let table = setting.eval(&["--list", "VAL"]).good();
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
        line.trim_start_matches(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("background"), ["100.0", "100.0", "100.0", "100.0", "2688"]);
    assert_eq!(row("cat"), ["50.0", "50.0", "100.0", "50.0", "576"]);
    assert_eq!(row("dog"), ["0.0", "-", "0.0", "0.0", "576"]);
    assert_eq!(row("mean without background"), ["25.0", "25.0"]);
    // Background 2688 at 100, cat 576 at 50, dog 576 at 0, of 3840 pixels; recalls 100, 100 and 0.
    assert_eq!((row("frequency-weighted IoU"), row("mean accuracy")), (vec!["77.5".into()], vec!["66.7".into()]));
    assert!(table.ends_with("2 images, 0 pixels ignored\n"), "{table}");
}

#[test]
fn a_missing_prediction_is_named_and_no_number_is_printed() {
    let setting = Setting::new();
    fs::remove_file(setting.prediction("v1")).unwrap();
    setting.eval(&["--list", "VAL"]).refused(&["v1.png: no such file"]);
    setting.eval(&["--quiet"]).refused(&["v1.png: no such file"]);
    // Without a list, all masks are compared; the hint says how to compare fewer.
    assert!(setting.eval(&[]).err.contains("--list FILE"));
}

#[test]
fn everything_wrong_is_named_at_once() {
    let setting = Setting::new();
    fs::remove_file(setting.prediction("t0")).unwrap();
    write_mask(&setting.prediction("t1"), &mask(WIDTH, HEIGHT + 2, 1)).unwrap();
    fs::write(setting.prediction("t2"), "not a mask").unwrap();
    write_mask(&setting.prediction("t3"), &mask(WIDTH, HEIGHT, 3)).unwrap();
    write_mask(&setting.data.mask("v0"), &mask(WIDTH, HEIGHT, 77)).unwrap();
    let done = setting.eval(&["--quiet"]);
    assert_eq!((done.code, done.out.as_str()), (2, ""));
    assert_eq!(done.err.lines().filter(|line| line.starts_with("error: ")).count(), 1);
    let lines: Vec<&str> = done.err.lines().collect();
    assert!(lines[0].contains("5 masks cannot be used"), "{}", done.err);
    for expected in [
        ["masks/t0.png", "no such file"],
        ["masks/t1.png", "48 x 42 pixels"],
        ["masks/t2.png", "not a PNG"],
        ["masks/t3.png", "value 3 is not a class"],
        ["SegmentationClass/v0.png", "value 77 is not a class"],
    ] {
        assert!(
            lines[1..].iter().any(|line| expected.iter().all(|part| line.contains(part))),
            "{expected:?}: {}",
            done.err
        );
    }
}

#[test]
fn folders_lists_and_class_names_are_checked() {
    let setting = Setting::new();
    let gone = setting.data.beside("gone");
    let gone = gone.to_str().unwrap();
    setting.eval(&["--list", gone]).refused(&["gone: no such file"]);
    setting.eval(&["--classes", gone]).refused(&["gone: no such file"]);
    wseg(["eval", "--pred", gone, "--gt", gone]).refused(&["gone: no such folder"]);
    setting.data.write("ImageSets/Segmentation/val.txt", "\n");
    setting.eval(&["--list", "VAL"]).refused(&["val.txt: the list is empty"]);
    fs::remove_file(setting.data.root.join("classes.txt")).unwrap();
    setting.eval(&[]).refused(&["no classes.txt", "--classes FILE"]);
}
