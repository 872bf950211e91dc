//! `wseg study`: the supplement's tables, from tiny runs.

mod cli;

use std::path::{Path, PathBuf};

use cli::{DataSet, wseg};
use serde_json::Value;

fn train(set: &DataSet, name: &str, flags: &[&str]) -> PathBuf {
    let out = set.beside(name);
    let tiny = ["--epochs", "2", "--batch", "2", "--crop", "32", "--threads", "2", "--quiet"];
    let changes = ["--set", "classification_epochs=1", "--set", "pamr_dilations=[1]", "--preset", "demo"];
    let line = ["train", "--data", set.root.to_str().unwrap(), "--out", out.to_str().unwrap()];
    wseg(line.iter().chain(&tiny).chain(&changes).chain(flags)).good();
    out
}

fn json(line: &[&str]) -> Vec<Value> {
    serde_json::from_str(&wseg(line.iter().chain(&["--json", "--quiet"])).good()).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn iterations_of_pamr_are_compared() {
    let set = DataSet::new();
    let run = train(&set, "run", &[]);
    let checkpoint = run.join("best.safetensors");
    let line = ["study", "pamr", "--checkpoint", path(&checkpoint), "--data", path(&set.root), "--iterations", "5,0,5"];
    let rows = json(&line);
    assert_eq!(rows.iter().map(|row| row["iterations"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 5]);
    // Without PAMR and CRF, masks are those of `wseg predict`.
    let masks = set.beside("masks");
    let val = set.root.join("ImageSets/Segmentation/val.txt");
    let truth = set.root.join("SegmentationClass");
    wseg(["predict", "--checkpoint", path(&checkpoint), "--images", path(&val), "--out", path(&masks), "--quiet"])
        .good();
    let report = wseg(["eval", "--pred", path(&masks), "--gt", path(&truth), "--list", path(&val), "--json"]).good();
    let report: Value = serde_json::from_str(&report).unwrap();
    let (own, predicted) = (rows[0]["iou"].as_f64().unwrap(), report["mean_iou"].as_f64().unwrap());
    assert!((own - predicted).abs() < 1e-9, "{own} {predicted}");
    assert!(rows[1]["iou_crf"].as_f64().is_some_and(|iou| (0.0..=100.0).contains(&iou)), "{rows:?}");

    let text = wseg(line.iter().chain(&["--quiet"])).good();
    assert!(text.starts_with("Number of iterations") && text.contains("IoU w/ CRF"), "{text}");
    let markdown = wseg(line.iter().chain(&["--quiet", "--markdown"])).good();
    assert_eq!(markdown.lines().count(), 4, "{markdown}");
    std::fs::remove_file(&val).unwrap();
    wseg(line.iter().chain(&["--quiet"])).refused(&["val.txt", "no such file"]);
}

#[test]
fn networks_trained_with_different_iterations_are_compared() {
    let set = DataSet::new();
    let [five, one] = ["5", "1"].map(|count| train(&set, count, &["--set", &format!("pamr_iterations={count}")]));
    let line = ["study", "pamr", "--runs", path(&five), path(&one), path(&five)];
    let rows = json(&line);
    let told: Vec<_> = rows.iter().map(|row| (row["iterations"].as_u64(), row["networks"].as_u64())).collect();
    assert_eq!(told, [(Some(1), Some(1)), (Some(5), Some(2))]);
    let alone = json(&["study", "pamr", "--runs", path(&five), "--data", path(&set.root)]);
    assert_eq!((&alone[0]["iou"], &alone[0]["iou_crf"]), (&rows[1]["iou"], &rows[1]["iou_crf"]), "the mean of equals");
    for flags in [["--runs", path(&one), "--iterations", "5"].as_slice(), &["--checkpoint", path(&one)]] {
        let refused = wseg(["study", "pamr"].iter().chain(flags));
        assert!(refused.code == 2 && refused.out.is_empty(), "{refused:?}");
    }
}

#[test]
fn backbones_are_compared_from_their_runs() {
    let set = DataSet::new();
    let (ours, cam) = (train(&set, "ours", &[]), train(&set, "cam", &["--model", "cam"]));
    let line = ["study", "backbones", "--runs", path(&ours), path(&cam)];
    let rows = json(&line);
    assert_eq!(rows.iter().map(|row| row["model"].as_str().unwrap()).collect::<Vec<_>>(), ["single-stage", "cam"]);
    assert!(rows.iter().all(|row| row["backbone"] == "demo" && row["iou"].is_f64() && row["iou_crf"].is_f64()));
    let table = wseg(line.iter().chain(&["--markdown", "--quiet"])).good();
    let cells = |value: &Value| format!("{:.1}", value.as_f64().unwrap());
    let numbers = [&rows[1]["iou"], &rows[1]["iou_crf"], &rows[0]["iou"], &rows[0]["iou_crf"]].map(cells).join(" | ");
    assert!(table.ends_with(&format!("| demo | {numbers} |\n")), "{table}");
    std::fs::remove_file(cam.join("run.toml")).unwrap();
    wseg(line.iter().chain(&["--quiet"])).refused(&["cam", "run.toml"]);
}

/// A study of two stages on a few small synthetic photos.
struct TwoStages {
    dir: tempfile::TempDir,
}

impl TwoStages {
    const STAGES: [&'static str; 4] = ["cam", "single-stage", "two-stage", "fully-supervised"];

    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let size = ["--images", "8", "--val", "4", "--classes", "2", "--size", "48", "--quiet"];
        wseg(["synth", "--out", path(&dir.path().join("shapes"))].iter().chain(&size)).good();
        Self { dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, flags: &[&str]) -> cli::Done {
        let (data, out) = (self.at("shapes"), self.at("study"));
        let line = ["study", "two-stage", "--data", path(&data), "--out", path(&out), "--preset", "demo"];
        let tiny = ["--crop", "32", "--epochs", "2", "--cam-epochs", "1", "--deeplab-epochs", "2", "--threads", "2"];
        let first = ["--set", "batch=4", "--set", "classification_epochs=1", "--set", "pamr_dilations=[1]"];
        let second = ["--deeplab-set", "batch=4", "--deeplab-set", "warmup=0"];
        wseg(line.iter().chain(&tiny).chain(&first).chain(&second).chain(flags))
    }

    /// A file of the study's only seed.
    fn file(&self, name: &str) -> PathBuf {
        self.at("study/seed-1").join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }

    /// How many trainings were complete already.
    fn complete(done: &cli::Done) -> usize {
        done.err.lines().filter(|line| line.contains("this run is complete")).count()
    }
}

#[test]
fn two_stages_are_compared_and_what_is_done_is_not_done_again() {
    let study = TwoStages::new();
    let first = study.run(&["--json"]);
    assert_eq!((first.code, TwoStages::complete(&first)), (0, 0), "{}", first.err);
    let numbers: Value = serde_json::from_str(&first.out).unwrap();
    let rows = numbers["own"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    let supervision: Vec<&str> = rows.iter().map(|row| row["supervision"].as_str().unwrap()).collect();
    assert_eq!(supervision, ["I", "I", "I", "I", "F"]);
    assert!(rows.iter().all(|row| (0.0..=100.0).contains(&row["val"].as_f64().unwrap())), "{rows:?}");
    assert_eq!(numbers["published"].as_array().unwrap().len(), 5);
    let labels = &numbers["pseudo_labels"][0]["statistics"];
    assert_eq!((labels["masks"].as_u64(), labels["truth"]["images"].as_u64()), (Some(8), Some(8)));
    assert_eq!(std::fs::read_dir(study.file("pseudo")).unwrap().count(), 8);

    // Each network learnt from what it should, and is judged as `predict` and `eval` judge it.
    for (stage, masks) in [("two-stage", "pseudo"), ("fully-supervised", "SegmentationClass")] {
        let record: toml::Table = String::from_utf8(study.read(&format!("{stage}/run.toml"))).unwrap().parse().unwrap();
        assert!(record["run"]["masks"].as_str().unwrap().ends_with(masks), "{record}");
        assert_eq!(record["run"]["model"].as_str(), Some("deeplab"));
    }
    let (val, truth) = (study.at("shapes/ImageSets/Segmentation/val.txt"), study.at("shapes/SegmentationClass"));
    for (stage, row, flags) in [
        ("single-stage", 1, &[][..]),
        ("single-stage", 2, &["--crf"]),
        ("two-stage", 3, &[]),
        ("fully-supervised", 4, &[]),
    ] {
        let (checkpoint, masks) = (study.file(stage).join("last.safetensors"), study.at(&format!("{stage}-{row}")));
        let line =
            ["predict", "--checkpoint", path(&checkpoint), "--images", path(&val), "--out", path(&masks), "--quiet"];
        wseg(line.iter().chain(flags)).good();
        let report =
            wseg(["eval", "--pred", path(&masks), "--gt", path(&truth), "--list", path(&val), "--json"]).good();
        let report: Value = serde_json::from_str(&report).unwrap();
        let (own, evaluated) = (rows[row]["val"].as_f64().unwrap(), report["mean_iou"].as_f64().unwrap());
        assert!((own - evaluated).abs() < 1e-9, "{stage}: {own} {evaluated}");
    }

    // Everything is there: nothing is trained.
    let states = TwoStages::STAGES.map(|stage| study.read(&format!("{stage}/state.safetensors")));
    let again = study.run(&["--json"]);
    assert_eq!((again.code, TwoStages::complete(&again)), (0, 4), "{}", again.err);
    assert_eq!(again.out, first.out);
    // What is lost is done again, and nothing else.
    let mask = study.file("pseudo").join(format!("{}.png", first_name(&study.at("shapes"))));
    let bytes = std::fs::read(&mask).unwrap();
    std::fs::remove_file(&mask).unwrap();
    std::fs::remove_dir_all(study.file("fully-supervised")).unwrap();
    let mended = study.run(&["--json"]);
    assert_eq!((mended.code, TwoStages::complete(&mended)), (0, 3), "{}", mended.err);
    assert_eq!(mended.out, first.out, "the same seed gives the same numbers");
    assert_eq!(std::fs::read(&mask).unwrap(), bytes);
    assert_eq!(TwoStages::STAGES.map(|stage| study.read(&format!("{stage}/state.safetensors"))), states);

    let markdown = study.run(&["--markdown", "--quiet"]).good();
    let two = rows[3]["val"].as_f64().unwrap();
    assert!(markdown.contains(&format!("DeepLabv3+ on its pseudo labels | small | I | {two:.1} | - |")), "{markdown}");
    assert_eq!(markdown, std::fs::read_to_string(study.at("study/table.md")).unwrap());
    assert_eq!(study.run(&["--csv", "--quiet"]).good().lines().count(), 17);

    // Masks made in another way are not mixed with these.
    study.run(&["--confidence", "0.9", "--quiet"]).refused(&["pseudo.json", "--out"]);
    study.run(&["--set", "rate=0.05", "--quiet"]).refused(&["recipe.rate", "0.05"]);
}

fn first_name(data: &Path) -> String {
    let list = std::fs::read_to_string(data.join("ImageSets/Segmentation/train.txt")).unwrap();
    list.lines().next().unwrap().to_owned()
}

#[test]
fn a_study_of_two_stages_is_refused_before_anything_is_trained() {
    let study = TwoStages::new();
    study.run(&["--deeplab-preset", "deeplab-vgg99"]).refused(&["deeplab-vgg99"]);
    study.run(&["--weights", "gone.pth"]).refused(&["gone.pth"]);
    study.run(&["--deeplab-set", "rat=1"]).refused(&["rat"]);
    assert_eq!(study.run(&["--quick"]).code, 2, "--quick has photos of its own");
    let list = study.at("shapes/ImageSets/Segmentation/val.txt");
    let name = std::fs::read_to_string(&list).unwrap().lines().next().unwrap().to_owned();
    let mask = study.at("shapes/SegmentationClass").join(format!("{name}.png"));
    std::fs::remove_file(&mask).unwrap();
    study.run(&[]).refused(&[&name]);
    assert!(!study.at("study").exists(), "nothing was made");
}
