//! `--device` and `--precision`: what is refused, and that runs go on wherever there is a processor.

mod cli;

use std::fs;

use cli::{DataSet, wseg};

/// A number that no machine's GPU has.
const NONE: &str = "cuda:200";

#[test]
fn a_gpu_that_is_not_there_is_refused_by_every_command_that_computes() {
    let set = DataSet::new();
    let [data, out] = [&set.root, &set.beside("out")].map(|path| path.to_str().unwrap().to_owned());
    let (photo, mask) = (set.photo("v0").display().to_string(), set.mask("v0").display().to_string());
    let refined = set.beside("refined.png").display().to_string();
    let commands: [&[&str]; 4] = [
        &["train", "--data", &data, "--out", &out, "--quiet"],
        &["refine", "--image", &photo, "--mask", &mask, "--out", &refined, "--method", "pamr", "--quiet"],
        &["bench", "small", "--only", "view", "--size", "32", "--runs", "1", "--quiet"],
        &["verify", &data],
    ];
    for command in commands {
        wseg(command.iter().chain(&["--device", NONE])).refused(&[NONE, "cannot be used"]);
        assert_eq!(wseg(command.iter().chain(&["--device", "gpu"])).code, 2);
    }
    assert!(!set.beside("out").exists(), "a run that could not begin left a folder");
    assert!(!set.beside("refined.png").exists());
}

#[test]
fn the_cpu_refuses_shorter_numbers_in_a_sentence() {
    let set = DataSet::new();
    let [data, out] = [&set.root, &set.beside("out")].map(|path| path.to_str().unwrap().to_owned());
    for precision in ["tf32", "bf16"] {
        let told = format!("`{precision}` is for GPUs");
        let flags = ["--device", "cpu", "--precision", precision, "--quiet"];
        wseg(["train", "--data", &data, "--out", &out].iter().chain(&flags)).refused(&[&told]);
        wseg(["bench", "small", "--only", "view"].iter().chain(&flags)).refused(&[&told]);
    }
}

#[test]
fn a_run_of_a_gpu_is_repeated_on_a_cpu() {
    let set = DataSet::new();
    let (run, again) = (set.beside("run"), set.beside("again"));
    let [data, out, other] = [&set.root, &run, &again].map(|path| path.to_str().unwrap().to_owned());
    let tiny = ["--epochs", "1", "--batch", "2", "--crop", "32", "--threads", "2", "--set", "pamr_dilations=[1]"];
    let begun = ["train", "--data", &data, "--out", &out, "--device", "cpu", "--quiet"];
    wseg(begun.iter().chain(&tiny)).good();
    let record = run.join("run.toml");
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains("device = \"cpu\"") && !text.contains("precision"), "{text}");
    // As a GPU would have left it.
    let text = text.replace("device = \"cpu\"", "device = \"cuda:0\"\nprecision = \"bf16\"");
    fs::write(&record, text).unwrap();
    let config = record.to_str().unwrap();
    let repeat = ["train", "--config", config, "--out", &other, "--device", "cpu", "--quiet"];
    wseg(repeat).refused(&["`bf16` is for GPUs"]);
    wseg(repeat.iter().chain(&["--precision", "f32"])).good();
    assert!(fs::read(run.join("last.safetensors")).unwrap() == fs::read(again.join("last.safetensors")).unwrap());
    // The share of waiting is a share.
    let log = fs::read_to_string(again.join("metrics.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert!((0.0..=1.0).contains(&line["waiting"].as_f64().expect("a share")), "{line}");
}
