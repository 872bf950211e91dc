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
