//! `wseg presets`: a line for each, one as TOML, and what is refused.

mod cli;

use cli::{DataSet, wseg};

/// The presets that are expected to be there.
const NAMES: [&str; 15] = [
    "small",
    "demo",
    "squeezenet",
    "resnet18",
    "resnet38",
    "vgg16",
    "resnet50",
    "resnet101",
    "xception65",
    "deeplab-small",
    "deeplab-squeezenet",
    "deeplab-resnet18",
    "deeplab-resnet50",
    "deeplab-resnet101",
    "deeplab-xception65",
];

#[test]
fn every_preset_has_a_line_that_says_what_it_is_for() {
    let list = wseg(["presets"]).good();
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, NAMES);
    for line in list.lines() {
        assert!(line.split_whitespace().count() > 3 && line.ends_with('.') && line.chars().count() <= 110, "{line}");
    }
}

#[test]
fn a_preset_is_printed_as_the_toml_it_is() {
    for name in NAMES {
        let text = wseg(["presets", name]).good();
        let settings: wseg::settings::Settings = toml::from_str(&text).unwrap();
        assert_eq!(settings, wseg::settings::Settings::preset(name).unwrap());
        assert!(text.starts_with("# "), "{text}");
    }
}

#[test]
fn an_unknown_preset_is_answered_with_the_known_ones() {
    wseg(["presets", "resnet"]).refused(&["`resnet`", "resnet50", "squeezenet"]);
    assert_eq!(wseg(["presets", "small", "demo"]).code, 2, "one at a time");
}

#[test]
fn the_networks_for_small_machines_train_and_predict() {
    for preset in ["squeezenet", "resnet18"] {
        let set = DataSet::new();
        let (out, masks) = (set.beside("run"), set.beside("masks"));
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let (data, run) = (path(&set.root), path(&out));
        let line = ["train", "--preset", preset, "--data", &data, "--out", &run];
        let flags = ["--epochs", "2", "--batch", "2", "--crop", "48", "--set", "recipe.classification_epochs=1"];
        wseg(line.into_iter().chain(flags)).good();
        let log = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        assert_eq!(log.lines().filter(|line| line.contains("\"loss_segmentation\"")).count(), 1, "{log}");
        let (checkpoint, photo, masks) = (path(&out.join("best.safetensors")), path(&set.photo("v0")), path(&masks));
        wseg(["predict", "--checkpoint", &checkpoint, "--images", &photo, "--out", &masks]).good();
    }
}

/// The size of `small` is its own: other backbones have one size, and no key for it.
#[test]
fn a_key_of_small_does_not_exist_elsewhere() {
    let set = DataSet::new();
    let out = set.beside("run");
    let line = ["train", "--data", set.root.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let flags = ["--preset", "squeezenet", "--set", "widths=1,2,3,4,5"];
    wseg(line.into_iter().chain(flags)).refused(&["widths", "there is no such key"]);
    assert!(!out.exists());
}
