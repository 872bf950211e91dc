//! `wseg train --model deeplab`: from masks to masks, what goes on after an interruption, and what is refused.

mod cli;

use std::{fs, path::Path};

use cli::{DataSet, Done, HEIGHT, WIDTH, mask, wseg};
use serde_json::Value;
use wseg::{
    palette::VOID,
    picture::{LabelMap, read_mask, write_mask},
};

/// As small a network as there is.
const TINY: [&str; 18] = [
    "--model",
    "deeplab",
    "--batch",
    "2",
    "--crop",
    "32",
    "--threads",
    "2",
    "--quiet",
    "--set",
    "widths=8,12,16,16,24",
    "--set",
    "network.width=16",
    "--set",
    "aspp.width=16",
    "--set",
    "validation.every=1",
    "--set",
];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn train(set: &DataSet, out: &Path, masks: &Path, flags: &[&str]) -> Done {
    let line = ["train", "--data", text(&set.root), "--out", text(out), "--masks", text(masks)];
    wseg(line.iter().chain(&TINY).chain(&["blocks=1,1,1,1"]).chain(flags))
}

/// The data set's true masks.
fn truth(set: &DataSet) -> std::path::PathBuf {
    set.root.join("SegmentationClass")
}

/// Masks elsewhere: those of the training photos, changed.
fn own(set: &DataSet, name: &str, change: impl Fn(&str, LabelMap) -> LabelMap) -> std::path::PathBuf {
    let folder = set.beside(name);
    for photo in ["t0", "t1", "t2", "t3"] {
        let mask = read_mask(&set.mask(photo)).unwrap();
        write_mask(&folder.join(format!("{photo}.png")), &change(photo, mask)).unwrap();
    }
    folder
}

fn log(run: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn from_masks_to_masks_and_numbers() {
    let set = DataSet::new();
    let run = set.beside("run");
    train(&set, &run, &truth(&set), &["--epochs", "40"]).good();
    let lines = log(&run);
    let number = |line: &Value, key: &str| line[key].as_f64().unwrap_or_else(|| panic!("{key}: {line}"));
    let (first, last) = (&lines[0], &lines[39]);
    assert!(first.get("loss_classification").is_none() && first.get("validation_map").is_none(), "{first}");
    assert!(number(last, "loss_segmentation") < 0.5 * number(first, "loss_segmentation"), "{last}");
    assert!(number(last, "validation_loss_segmentation") > 0.0);
    // The best checkpoint is the one of the highest mIoU: predicted and judged, it has that mIoU.
    let best = lines.iter().map(|line| number(line, "validation_miou")).fold(0.0, f64::max);
    assert!(best > 60.0, "{best}");
    let (checkpoint, masks) = (run.join("best.safetensors"), set.beside("masks"));
    let list = set.root.join("ImageSets/Segmentation/val.txt");
    let line = ["predict", "--checkpoint", text(&checkpoint), "--images", text(&list), "--out", text(&masks)];
    let found = wseg(line.iter().chain(&["--json", "--quiet", "--scales", "1", "--no-flip"])).good();
    assert!(found.contains("\"class\"") && !found.contains("confidence"), "{found}");
    let truth = truth(&set);
    let report = wseg(["eval", "--json", "--pred", text(&masks), "--gt", text(&truth), "--list", text(&list)]).good();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!((number(&report, "mean_iou") - best).abs() < 1e-6, "{report} and {best}");

    // Everything that takes a checkpoint takes this one: all views with CRF, labels, inspect, report.
    let clean = set.beside("clean");
    fs::write(set.beside("labels.csv"), "v0,\nv1,dog\n").unwrap();
    let labels = set.beside("labels.csv");
    let line = ["predict", "--checkpoint", text(&checkpoint), "--images", text(&list), "--out", text(&clean)];
    wseg(line.iter().chain(&["--quiet", "--crf", "--labels", text(&labels), "--save", "masks,probs"])).good();
    assert!(read_mask(&clean.join("v0.png")).unwrap().labels.iter().all(|&label| label == 0));
    for flags in [&["--threshold", "0.5"][..], &["--save", "scores"]] {
        wseg(line.iter().chain(flags)).refused(&["best.safetensors", flags[0], "class scores"]);
    }
    let (coarse, fine) = (set.beside("coarse"), set.beside("fine"));
    for (out, stride) in [(&coarse, "16"), (&fine, "8")] {
        let line = ["predict", "--checkpoint", text(&checkpoint), "--images", text(&list), "--out", text(out)];
        wseg(line.iter().chain(&["--quiet", "--save", "probs", "--output-stride", stride])).good();
    }
    let [one, other] = [&coarse, &fine].map(|out| fs::read(out.join("v0_probs.npy")).unwrap());
    assert!(one != other, "the stride does nothing");
    wseg(line.iter().chain(&["--output-stride", "32"])).refused(&["best.safetensors", "stride 32", "8, and 16"]);
    let network: Value = serde_json::from_str(&wseg(["inspect", text(&checkpoint), "--json"]).good()).unwrap();
    assert_eq!((&network["model"], &network["classes"]), (&"deeplab".into(), &2.into()));
    wseg(["report", text(&run), "--quiet"]).good();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("deeplab") && page.contains("miou-or-loss"), "what it was told is missing");
    // A plain state dict of it is adopted as the preset's network.
    let record = fs::read_to_string(run.join("run.toml")).unwrap();
    for part in ["preset = \"deeplab-small\"", "model = \"deeplab\"", "masks = \"/"] {
        assert!(record.contains(part), "{part}: {record}");
    }
}

/// Grey masks are as good as palettised ones, and a photo of which nothing is known is no obstacle.
#[test]
fn masks_may_be_grey_and_may_say_nothing() {
    let set = DataSet::new();
    let palettised = own(&set, "palettised", |photo, mut mask| {
        if photo != "t0" {
            mask.labels.fill(VOID);
        }
        mask
    });
    let grey = set.beside("grey");
    fs::create_dir(&grey).unwrap();
    for name in ["t0", "t1", "t2", "t3"] {
        let mask = read_mask(&palettised.join(format!("{name}.png"))).unwrap();
        let picture = image::GrayImage::from_raw(mask.width as u32, mask.height as u32, mask.labels).unwrap();
        picture.save(grey.join(format!("{name}.png"))).unwrap();
    }
    let full = own(&set, "full", |_, mask| mask);
    let [one, two, other] = [("one", &palettised), ("two", &grey), ("three", &full)].map(|(name, masks)| {
        let run = set.beside(name);
        train(&set, &run, masks, &["--epochs", "2"]).good();
        assert!(log(&run).iter().all(|line| line["loss_segmentation"].as_f64().is_some()), "{name}");
        fs::read(run.join("last.safetensors")).unwrap()
    });
    assert!(one == two, "a grey mask teaches something else");
    assert!(one != other, "what is not ignored is not learned");
}

#[test]
fn a_training_on_masks_goes_on_after_it_was_stopped_as_if_it_had_not() {
    let set = DataSet::new();
    let (whole, run) = (set.beside("whole"), set.beside("run"));
    let flags = ["--epochs", "4", "--set", "accumulate=2", "--set", "average=0.9"];
    train(&set, &whole, &truth(&set), &flags).good();
    // Killed as soon as there is a state to go on from.
    let line = ["train", "--data", text(&set.root), "--out", text(&run), "--masks"];
    let truth = truth(&set);
    let mut child = cli::command()
        .args(line.iter().chain(&[text(&truth)]).chain(&TINY).chain(&["blocks=1,1,1,1"]).chain(&flags))
        .args(["--set", "checkpoint.steps=1"])
        .spawn()
        .unwrap();
    while !run.join("state.safetensors").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    wseg(["train", "--quiet", "--resume", text(&run)]).good();
    for file in ["last.safetensors", "best.safetensors"] {
        let [one, other] = [&run, &whole].map(|run| fs::read(run.join(file)).unwrap());
        assert!(one == other, "{file} differs from the undisturbed run's");
    }
    assert_eq!(log(&run).len(), 4);
    // Other masks are other data.
    write_mask(&set.mask("t0"), &mask(WIDTH, HEIGHT, 2)).unwrap();
    wseg(["train", "--quiet", "--resume", text(&run)]).refused(&["state.safetensors", "other data"]);
}

#[test]
fn without_true_masks_of_the_validation_split_the_loss_decides_or_nothing() {
    let set = DataSet::new();
    set.write("labels.csv", "t0,cat\nt1,dog\nt2,cat\nt3,dog\nv0,cat\nv1,dog\n");
    let masks = own(&set, "own", |_, mask| mask);
    for name in ["v0", "v1"] {
        fs::remove_file(set.mask(name)).unwrap();
    }
    let run = set.beside("unjudged");
    train(&set, &run, &masks, &["--epochs", "2"]).good();
    assert!(log(&run).iter().all(|line| line.get("validation_loss_segmentation").is_none()));
    let [best, last] = ["best", "last"].map(|name| fs::read(run.join(format!("{name}.safetensors"))).unwrap());
    assert!(best == last, "nothing says that another epoch is better");
    for (name, class) in [("v0", 1), ("v1", 2)] {
        write_mask(&masks.join(format!("{name}.png")), &mask(WIDTH, HEIGHT, class)).unwrap();
    }
    let run = set.beside("judged");
    train(&set, &run, &masks, &["--epochs", "2"]).good();
    for line in log(&run) {
        assert!(
            line["validation_loss_segmentation"].as_f64().is_some() && line.get("validation_miou").is_none(),
            "{line}"
        );
    }
}

#[test]
fn masks_that_cannot_be_learned_from_are_named_before_anything_is_done() {
    let set = DataSet::new();
    let run = set.beside("run");
    let refused = |masks: &Path, parts: &[&str]| {
        train(&set, &run, masks, &["--epochs", "1"]).refused(parts);
        assert!(!run.exists(), "something was written");
    };
    let gone = own(&set, "gone", |_, mask| mask);
    fs::remove_file(gone.join("t2.png")).unwrap();
    refused(&gone, &["gone/t2.png", "no such file"]);
    let turned = own(&set, "turned", |photo, mask| match photo {
        "t1" => LabelMap { width: HEIGHT, height: WIDTH, ..mask },
        _ => mask,
    });
    refused(&turned, &["turned/t1.png", "40 x 48", "48 x 40"]);
    let foreign = own(&set, "foreign", |photo, mut mask| {
        mask.labels[7] = if photo == "t3" { 9 } else { 0 };
        mask
    });
    refused(&foreign, &["foreign/t3.png", "value 9 is not a class"]);
    refused(&set.beside("nowhere"), &["nowhere"]);
    train(&set, &run, &gone, &["--epochs", "1", "--skip-bad"]).good();
    assert!(fs::read_to_string(run.join("run.toml")).unwrap().contains("skip_bad = true"));
}

#[test]
fn networks_masks_and_presets_must_go_together() {
    let set = DataSet::new();
    let (out, truth) = (set.beside("run"), truth(&set));
    let start = ["train", "--data", text(&set.root), "--out", text(&out)];
    let masks = ["--masks", text(&truth)];
    let line = |flags: &[&str]| wseg(start.iter().chain(flags));
    line(&["--model", "deeplab"]).refused(&["deeplab learns from masks", "--masks DIR"]);
    line(&["--preset", "deeplab-small"]).refused(&["deeplab learns from masks"]);
    line(&masks).refused(&["--masks is for --model deeplab"]);
    line(&["--model", "cam", masks[0], masks[1]]).refused(&["SegmentationClass", "cam learns from image labels"]);
    line(&["--model", "deeplab", "--preset", "small", masks[0], masks[1]]).refused(&[
        "`small` is not for a deeplab",
        "deeplab-small",
        "deeplab-resnet101",
    ]);
    line(&["--model", "cam", "--preset", "deeplab-small"])
        .refused(&["`deeplab-small` is not for a cam", "small, demo"]);
    let deeplab = ["--model", "deeplab", masks[0], masks[1]];
    for (setting, parts) in [
        ("output_stride=12", &["output_stride", "8, 16 or 32"][..]),
        ("output_stride=32", &["stride 32", "8, and 16"]),
        ("class_weights=1,2", &["class_weights", "2 numbers", "3 classes"]),
        ("class_weights=1,2,-1", &["class_weights", "0 or more"]),
        ("augment.scale=2,1", &["augment.scale"]),
    ] {
        line(&[&deeplab[..], &["--set", setting]].concat()).refused(parts);
    }
    assert!(!out.exists());
    wseg(["inspect", "small", "--model", "deeplab"]).refused(&["`small` is not for a deeplab"]);
    let network: Value =
        serde_json::from_str(&wseg(["inspect", "deeplab-resnet18", "--size", "64", "--json"]).good()).unwrap();
    assert_eq!(network["model"], "deeplab");
    let bench =
        ["bench", "deeplab-small", "--only", "training", "--runs", "1", "--batch", "1", "--size", "32", "--json"];
    assert!(wseg(bench).good().contains("\"preset\":\"deeplab-small\""));
}
