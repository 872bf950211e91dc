//! Weights without a description of their network: `wseg predict --preset` and `wseg import --preset`.

mod cli;

use std::{
    fs,
    path::{Path, PathBuf},
};

use cli::{DataSet, Done, wseg};

/// A tiny run's checkpoint, and its weights as a file that describes no network.
fn weights(set: &DataSet, model: &str) -> (PathBuf, PathBuf) {
    let (run, bare) = (set.beside("run"), set.beside("bare.safetensors"));
    let [root, out] = [&set.root, &run].map(|path| path.to_str().unwrap());
    let tiny = ["--epochs", "1", "--batch", "2", "--crop", "32", "--threads", "2", "--set", "pamr_dilations=[1]"];
    wseg(["train", "--quiet", "--data", root, "--out", out, "--model", model].iter().chain(&tiny)).good();
    let checkpoint = run.join("last.safetensors");
    wseg([Path::new("import"), &checkpoint, &bare]).good();
    (checkpoint, bare)
}

fn predict(set: &DataSet, checkpoint: &Path, out: &Path, flags: &[&str]) -> Done {
    let [checkpoint, images, out] = [checkpoint, &set.photo("v0"), out].map(|path| path.to_str().unwrap().to_owned());
    let line = ["predict", "--quiet", "--save", "masks", "--checkpoint", &checkpoint, "--images", &images];
    wseg(line.into_iter().chain(["--out", &out]).chain(flags.iter().copied()))
}

#[test]
fn weights_with_their_preset_predict_as_the_checkpoint_does() {
    for model in ["single-stage", "cam"] {
        let set = DataSet::new();
        let (checkpoint, bare) = weights(&set, model);
        let classes = set.root.join("classes.txt");
        let named = ["--preset", "small", "--classes", classes.to_str().unwrap()];
        // The tiny run saw crops of 32 pixels, which the preset does not know: the scale makes up for it.
        let (own, adopted) = (set.beside("own"), set.beside("adopted"));
        predict(&set, &checkpoint, &own, &["--scales", "3.5"]).good();
        predict(&set, &bare, &adopted, &[&named[..], &["--scales", "1"]].concat()).good();
        assert_eq!(fs::read(own.join("v0.png")).unwrap(), fs::read(adopted.join("v0.png")).unwrap(), "{model}");

        let (imported, masks) = (set.beside("imported.safetensors"), set.beside("masks"));
        let line = [Path::new("import"), &bare, &imported].map(|path| path.to_str().unwrap());
        wseg(line.iter().chain(&named)).good();
        predict(&set, &imported, &masks, &["--scales", "1"]).good();
        assert_eq!(fs::read(own.join("v0.png")).unwrap(), fs::read(masks.join("v0.png")).unwrap(), "{model}");
    }
}

#[test]
fn weights_that_cannot_be_a_network_are_refused() {
    let set = DataSet::new();
    let (_, bare) = weights(&set, "single-stage");
    let out = set.beside("masks");
    predict(&set, &bare, &out, &[]).refused(&["bare.safetensors", "--preset"]);
    predict(&set, &bare, &out, &["--preset", "small"]).refused(&["bare.safetensors", "2 classes", "--classes"]);
    predict(&set, &bare, &out, &["--preset", "smal"]).refused(&["no preset `smal`", "small"]);
    set.write("three.txt", "background\ncat\ndog\nsofa\n");
    let three = set.root.join("three.txt");
    let flags = ["--preset", "small", "--classes", three.to_str().unwrap()];
    predict(&set, &bare, &out, &flags).refused(&["three.txt", "3 classes", "2 apart"]);
    let classes = set.root.join("classes.txt");
    let flags = ["--preset", "resnet18", "--classes", classes.to_str().unwrap()];
    predict(&set, &bare, &out, &flags).refused(&["bare.safetensors", "preset `resnet18`"]);
    assert!(!out.exists(), "nothing is left of a refusal");
}
