//! `wseg import` and `wseg train --weights`: PyTorch's files become safetensors and networks.

mod cli;

use std::{
    fs,
    path::{Path, PathBuf},
};

use cli::{DataSet, Done, wseg};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pth").join(name)
}

fn import(input: &Path, output: &Path, flags: &[&str]) -> Done {
    let line = ["import", input.to_str().unwrap(), output.to_str().unwrap()];
    wseg(line.iter().chain(flags))
}

/// The header of a safetensors file and the bytes after it.
fn safetensors(path: &Path) -> (serde_json::Value, Vec<u8>) {
    let mut bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let data = bytes.split_off(8 + length);
    (serde_json::from_slice(&bytes[8..]).unwrap(), data)
}

#[test]
fn pytorch_s_files_become_the_expected_safetensors_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let expected = fs::read(fixture("expected.safetensors")).unwrap();
    for (name, format) in [
        ("zip.pth", "PyTorch zip"),
        ("zip_nested_module.pth", "PyTorch zip"),
        ("legacy.pth", "PyTorch legacy pickle"),
        ("legacy_nested_module.pth", "PyTorch legacy pickle"),
        ("expected.safetensors", "safetensors"),
    ] {
        let output = dir.path().join("made/here").join(name).with_extension("safetensors");
        let line = import(&fixture(name), &output, &[]).good();
        assert!(line.contains(&format!("{name} ({format}): 12 tensors, 774 bytes, written to")), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(fs::read(&output).unwrap() == expected, "{name}");
    }
}

#[test]
fn the_summary_can_be_json() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (fixture("zip_bf16.pth"), dir.path().join("out.safetensors"));
    let summary: serde_json::Value = serde_json::from_str(&import(&input, &output, &["--json"]).good()).unwrap();
    assert_eq!(summary["format"], "PyTorch zip");
    assert_eq!((&summary["tensors"], &summary["bytes"]), (&10.into(), &286.into()));
    assert_eq!(summary["input"], input.to_str().unwrap());
    assert_eq!(summary["output"], output.to_str().unwrap());
}

#[test]
fn precision_changes_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.safetensors");
    for (flags, double, half, integer) in
        [(&[][..], "F64", "F16", "I64"), (&["--half"], "F16", "F16", "I64"), (&["--single"], "F32", "F32", "I64")]
    {
        // An output that is there is replaced.
        import(&fixture("legacy.pth"), &output, flags).good();
        let (header, data) = safetensors(&output);
        let dtype = |name: &str| header[name]["dtype"].as_str().unwrap();
        assert_eq!((dtype("double"), dtype("half.weight"), dtype("bn.num_batches_tracked")), (double, half, integer));
        let start = header["scalar"]["data_offsets"][0].as_u64().unwrap() as usize;
        // 1.5 in the three types.
        let expected = if flags == ["--half"] { vec![0x00, 0x3E] } else { 1.5_f32.to_le_bytes().to_vec() };
        assert_eq!(data[start..start + expected.len()], expected, "{flags:?}");
    }
    assert_eq!(import(&fixture("legacy.pth"), &output, &["--half", "--single"]).code, 2, "one of them");
}

#[test]
fn what_cannot_be_imported_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("out.safetensors");
    let at = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let zip = fs::read(fixture("zip.pth")).unwrap();
    let mut flipped = zip.clone();
    flipped[1700] ^= 1;
    for (path, part) in [
        (dir.path().join("gone.pth"), "cannot be read"),
        (dir.path().to_owned(), "is not a file"),
        (at("empty.pth", b""), "is empty"),
        (at("page.pth", b"<!DOCTYPE html>"), "is neither a safetensors file nor one that PyTorch writes"),
        (at("cut.pth", &zip[..4000]), "damaged"),
        (at("flipped.pth", &flipped), "damaged"),
        (at("owned.pth", b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."), "asks for `os.system`"),
        (at("cut.safetensors", &fs::read(fixture("expected.safetensors")).unwrap()[..999]), "damaged"),
    ] {
        import(&path, &output, &[]).refused(&[path.to_str().unwrap(), part]);
        assert!(!output.exists(), "{path:?}");
    }
    let sentence = "give it a name that ends in .safetensors";
    import(&fixture("zip.pth"), &dir.path().join("out.pth"), &[]).refused(&["out.pth", sentence]);
    let own = at("own.safetensors", &fs::read(fixture("expected.safetensors")).unwrap());
    import(&own, &own, &["--half"]).refused(&["own.safetensors", "is the input as well"]);
    import(&fixture("zip.pth"), &own.join("below.safetensors"), &[]).refused(&["own.safetensors", "is a file"]);
}

#[test]
fn a_number_that_halves_cannot_hold_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("large.safetensors"), dir.path().join("half.safetensors"));
    let header = r#"{"scale":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &1e6_f32.to_le_bytes()].concat();
    fs::write(&input, file).unwrap();
    import(&input, &output, &["--half"]).refused(&["large.safetensors", "`scale` holds 1e6, which F16 cannot"]);
    assert!(!output.exists());
    import(&input, &output, &[]).good();
}

/// As small a training as there is: two steps.
fn train(set: &DataSet, run: &str, flags: &[&str]) -> Done {
    let out = set.beside(run);
    let tiny = ["--epochs", "1", "--batch", "2", "--crop", "32", "--threads", "2", "--set", "pamr_dilations=[1]"];
    let line = ["train", "--data", set.root.to_str().unwrap(), "--out", out.to_str().unwrap()];
    wseg(line.iter().chain(&tiny).chain(flags))
}

#[test]
fn a_training_starts_from_weights_and_says_what_it_took() {
    let set = DataSet::new();
    // A rate so small that two steps leave the weights where they were, up to their statistics.
    let still = ["--lr", "1e-30", "--set", "weight_decay=0", "--set", "average=0"];
    train(&set, "first", &[&still[..], &["--seed", "1", "--model", "cam"]].concat()).good();
    let checkpoint = set.beside("first/last.safetensors");
    let done =
        train(&set, "second", &[&still[..], &["--seed", "2", "--weights", checkpoint.to_str().unwrap()]].concat());
    assert_eq!(done.code, 0, "{}", done.err);
    let line = done.err.lines().find(|line| line.contains("loaded")).unwrap();
    assert!(line.contains("first/last.safetensors: ") && line.contains(" of the head start new"), "{line}");
    assert!(line.contains("1 left over (fc8.weight)"), "{line}");
    assert!(!done.err.contains("warning"), "{}", done.err);
    let weight = |run: &str| {
        let (header, data) = safetensors(&set.beside(run).join("last.safetensors"));
        let offsets = &header["layer4.0.conv1.weight"]["data_offsets"];
        data[offsets[0].as_u64().unwrap() as usize..offsets[1].as_u64().unwrap() as usize].to_vec()
    };
    assert!(weight("first") == weight("second"), "the backbone's weights are not the first run's");
    train(&set, "third", &[&still[..], &["--seed", "2"]].concat()).good();
    assert!(weight("first") != weight("third"), "another seed starts from other weights");
}

#[test]
fn weights_that_lack_a_part_of_the_backbone_are_a_warning() {
    let set = DataSet::new();
    // The stem's first norm of the preset `small`, of which no more is there.
    let header = r#"{"bn1.bias":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat();
    let weights = set.beside("part.safetensors");
    fs::write(&weights, file).unwrap();
    let done = train(&set, "run", &["--weights", weights.to_str().unwrap(), "--quiet"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    assert!(done.err.starts_with("warning: ") && done.err.contains("part.safetensors: lacks "), "{}", done.err);
    assert!(done.err.contains("parameters of the backbone, which start from random values: bn1."), "{}", done.err);
}

#[test]
fn a_training_refuses_weights_that_do_not_fit_and_leaves_nothing() {
    let set = DataSet::new();
    let header = r#"{"conv1.weight":{"dtype":"F32","shape":[2,3,1,1],"data_offsets":[0,24]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 24]].concat();
    let weights = set.beside("other.safetensors");
    fs::write(&weights, file).unwrap();
    for (path, part) in [
        (weights, "has `conv1.weight` of shape [2, 3, 1, 1], the network needs [16, 3, 3, 3]"),
        (fixture("zip.pth"), "has nothing for the backbone"),
        (set.beside("gone.pth"), "cannot be read"),
    ] {
        let done = train(&set, "run", &["--weights", path.to_str().unwrap(), "--quiet"]);
        done.refused(&[path.file_name().unwrap().to_str().unwrap(), part]);
        assert!(!set.beside("run").exists(), "{path:?}");
    }
}
