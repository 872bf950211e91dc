//! `wseg inspect`: networks by preset and checkpoint, tensors of other files, and what is refused.

mod cli;

use std::{fs, path::Path};

use cli::{DataSet, Done, wseg};
use serde_json::Value;

fn inspect(what: &Path, flags: &[&str]) -> Done {
    wseg(["inspect", what.to_str().unwrap()].iter().chain(flags))
}

fn preset(name: &str, flags: &[&str]) -> Value {
    serde_json::from_str(&inspect(Path::new(name), &[flags, &["--json"]].concat()).good()).unwrap()
}

fn layer<'a>(network: &'a Value, name: &str) -> &'a Value {
    let layers = network["layers"].as_array().unwrap();
    layers.iter().find(|layer| layer["name"] == name).unwrap_or_else(|| panic!("no layer {name}: {network}"))
}

#[test]
fn a_network_s_numbers_are_those_of_the_hand_count() {
    let network = preset("small", &["--size", "64", "--classes", "5"]);
    assert_eq!((network["model"].as_str(), network["backbone"].as_str()), (Some("single-stage"), Some("small")));
    assert_eq!((network["size"].as_u64(), network["classes"].as_u64()), (Some(64), Some(5)));
    // Multiply-adds: inputs x kernel area for each element of the output. Parameters: weights, two for each norm's channel.
    for (name, kind, output, per_element, parameters) in [
        ("conv1", "conv 3x3 stride 2 + norm + relu", [1, 16, 32, 32], 3 * 9, 16 * 27 + 32),
        ("conv2", "conv 3x3 stride 2 + norm + relu", [1, 32, 16, 16], 16 * 9, 32 * 16 * 9 + 64),
        ("layer1.0.conv2", "conv 3x3 + norm + residual + relu", [1, 32, 16, 16], 32 * 9, 32 * 32 * 9 + 64),
        ("layer2.0.downsample.0", "conv 1x1 stride 2 + norm", [1, 64, 8, 8], 32, 64 * 32 + 128),
        (
            "layer4.0.conv2",
            "conv 3x3 dilation 2 + norm + residual + relu",
            [1, 128, 8, 8],
            128 * 9,
            128 * 128 * 9 + 256,
        ),
        ("aspp.global_avg_pool.1", "conv 1x1 + norm + relu", [1, 32, 1, 1], 128, 32 * 128 + 64),
        ("shallow_mask.fc_skip.1", "norm", [1, 32, 16, 16], 1, 0),
        ("last_conv.8", "conv 1x1", [1, 5, 16, 16], 32, 5 * 32 + 5),
    ] {
        let layer = layer(&network, name);
        assert_eq!(layer["kind"], kind, "{name}");
        assert_eq!(layer["output"], serde_json::json!(output), "{name}");
        assert_eq!(layer["multiply_adds"], output.iter().product::<u64>() * per_element, "{name}");
        assert_eq!((&layer["parameters"], &layer["trainable"]), (&parameters.into(), &parameters.into()), "{name}");
    }
    let sum = |key: &str| -> u64 {
        network["layers"].as_array().unwrap().iter().map(|layer| layer[key].as_u64().unwrap()).sum()
    };
    for key in ["multiply_adds", "parameters", "trainable"] {
        assert_eq!(network[key], sum(key), "{key}");
    }
    // The first convolution: a photo of 3 x 64 x 64 and 16 maps of 32 x 32, no less.
    assert!(network["prediction_bytes"].as_u64().unwrap() >= 4 * (3 * 64 * 64 + 16 * 32 * 32), "{network}");
    // Norms with the batch's statistics keep two maps a layer.
    let maps: u64 = network["layers"].as_array().unwrap().iter().map(|layer| elements(&layer["output"])).sum();
    assert!(network["training_bytes"].as_u64().unwrap() > 4 * 2 * maps, "{network}");
}

fn elements(shape: &Value) -> u64 {
    shape.as_array().unwrap().iter().map(|extent| extent.as_u64().unwrap()).product()
}

#[test]
fn a_layer_that_runs_twice_has_its_parameters_once() {
    let network = preset("small", &["--size", "64", "--model", "cam"]);
    let scores: Vec<&Value> =
        network["layers"].as_array().unwrap().iter().filter(|layer| layer["name"] == "fc8").collect();
    assert_eq!(scores.len(), 2);
    assert_eq!(scores.iter().map(|run| run["parameters"].as_u64().unwrap()).collect::<Vec<_>>(), [20 * 128, 0]);
    let parameters: u64 =
        network["layers"].as_array().unwrap().iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
    assert_eq!(network["parameters"], parameters);
}

/// torchvision's ResNet-18 has 11 689 512, of which 513 000 are those of its last layer, which is not here.
#[test]
fn resnet18_has_the_published_number_of_parameters() {
    let network = preset("resnet18", &["--size", "64", "--model", "cam", "--classes", "20"]);
    assert_eq!(network["parameters"], 11_176_512 + 20 * 512);
    assert!(network["trainable"].as_u64() < network["parameters"].as_u64(), "its stem is fixed");
    assert_eq!(layer(&network, "conv1")["trainable"], 0);
    // Where norms are frozen a layer keeps no more than its output: beside the layers there is little.
    let maps = |trained: bool| -> u64 {
        let layers = network["layers"].as_array().unwrap();
        4 * layers.iter().filter(|l| !trained || l["trainable"] != 0).map(|l| elements(&l["output"])).sum::<u64>()
    };
    let kept = network["training_bytes"].as_u64().unwrap();
    assert!((maps(true)..maps(true) + maps(true) / 4).contains(&kept), "{kept} for {}", maps(true));
}

#[test]
fn the_table_says_the_same_for_people() {
    let table = inspect(Path::new("small"), &["--size", "64", "--classes", "5"]).good();
    let network = preset("small", &["--size", "64", "--classes", "5"]);
    assert!(table.starts_with("single-stage, backbone small, 5 classes, a photo of 64 x 64 pixels\n"), "{table}");
    let row = table.lines().find(|line| line.starts_with("conv1 ")).unwrap();
    assert!(row.ends_with("16 x 32 x 32         464        442 368"), "{row}");
    let count = network["parameters"].as_u64().unwrap();
    let (thousands, rest) = (count / 1000, count % 1000);
    assert!(table.contains(&format!("parameters  {thousands} {rest:03} trained, 0 fixed; ")), "{count}: {table}");
    let bytes = |key: &str| network[key].as_u64().unwrap() as f64;
    let training = format!("training    {:.1} MB of maps kept for the gradients\n", bytes("training_bytes") / 1e6);
    assert!(table.contains(&training), "{table}");
    let prediction = format!("prediction  at least {:.1} kB of maps at once\n", bytes("prediction_bytes") / 1e3);
    assert!(table.ends_with(&prediction), "{table}");
}

#[test]
fn a_checkpoint_is_inspected_as_the_network_it_is() {
    let set = DataSet::new();
    let run = set.beside("run");
    let [data, out] = [&set.root, &run].map(|path| path.to_str().unwrap());
    let line = ["train", "--quiet", "--data", data, "--out", out, "--model", "cam"];
    let flags = ["--epochs", "1", "--batch", "2", "--crop", "32"];
    wseg(line.into_iter().chain(flags)).good();
    let checkpoint = run.join("last.safetensors");
    let network: Value = serde_json::from_str(&inspect(&checkpoint, &["--json"]).good()).unwrap();
    assert_eq!((&network["model"], &network["classes"], &network["size"]), (&"cam".into(), &2.into(), &32.into()));
    let same = preset("small", &["--model", "cam", "--classes", "2", "--size", "32"]);
    assert_eq!(network["layers"], same["layers"]);
    assert_eq!(network["prediction_bytes"], same["prediction_bytes"]);
    for flag in [["--model", "cam"], ["--classes", "3"]] {
        inspect(&checkpoint, &flag).refused(&["last.safetensors", flag[0], "presets"]);
    }
    let cut = set.beside("cut.safetensors");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    inspect(&cut, &[]).refused(&["cut.safetensors"]);
}

/// A safetensors file with a header and some data.
fn write(path: &Path, header: &str, data: usize) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn other_safetensors_files_are_listed_by_tensor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("foreign.safetensors");
    let header = r#"{"__metadata__":{"format":"pt"},"b\u001b[2J":{"dtype":"BF16","shape":[1000],"data_offsets":[24,2024]},
        "a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
    write(&path, header, 2024);
    let table = inspect(&path, &[]).good();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["a.weight", "F32", "2", "x", "3", "6"], "{table}");
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["b\\u{1b}[2J", "BF16", "1000", "1", "000"], "{table}");
    assert_eq!(lines.last(), Some(&"2 tensors, 2.0 kB (safetensors)"), "{table}");
    let json: Value = serde_json::from_str(&inspect(&path, &["--json"]).good()).unwrap();
    assert_eq!((&json["elements"], &json["bytes"]), (&1006.into(), &2024.into()));
    assert_eq!(json["tensors"][0]["shape"], serde_json::json!([2, 3]));
    inspect(&path, &["--size", "64"]).refused(&["foreign.safetensors", "--size is for networks"]);
}

#[test]
fn a_file_of_pytorch_is_listed_by_tensor_as_well() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pth/legacy_nested_module.pth");
    let json: Value = serde_json::from_str(&inspect(&path, &["--json"]).good()).unwrap();
    let expected = path.with_file_name("expected.safetensors");
    let same: Value = serde_json::from_str(&inspect(&expected, &["--json"]).good()).unwrap();
    assert_eq!(json["format"], "PyTorch legacy pickle");
    assert!(json["tensors"].as_array().unwrap().len() > 5, "{json}");
    assert_eq!(json["tensors"], same["tensors"]);
}

#[test]
fn what_is_no_network_and_no_weights_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.safetensors");
    let tensor = |offsets: &str| format!(r#"{{"t":{{"dtype":"F32","shape":[4],"data_offsets":{offsets}}}}}"#);
    for (header, data, expected) in [
        (tensor("[0,16]"), 15, "is a damaged safetensors file"),
        (tensor("[0,16]"), 17, "is a damaged safetensors file"),
        (tensor("[16,0]"), 16, "is a damaged safetensors file"),
        (tensor("[0,12]"), 12, "is a damaged safetensors file"),
        (tensor("[0,16]").replace("[4]", "[4294967296,4294967296,4294967296]"), 16, "is a damaged safetensors file"),
        (tensor("[0,16]").replace("[4]", "[-4]"), 16, "is a damaged safetensors file"),
        (r#"{"__metadata__":{"wseg":"{}"}}"#.to_owned(), 0, "describes a network this version cannot build"),
        ("[".repeat(5000), 0, "is neither a safetensors file nor one that PyTorch writes"),
        (String::new(), 0, "is neither a safetensors file nor one that PyTorch writes"),
    ] {
        write(&path, &header, data);
        inspect(&path, &[]).refused(&["bad.safetensors", expected]);
    }
    for bytes in [&b"short"[..], b"not weights but a line of text\n", &[0xFF; 64]] {
        fs::write(&path, bytes).unwrap();
        inspect(&path, &[]).refused(&["bad.safetensors", "is neither a safetensors file nor one that PyTorch writes"]);
    }
    inspect(dir.path(), &[]).refused(&["is not a file"]);
    inspect(Path::new("smal"), &[]).refused(&["smal", "no preset of this name", "small, demo"]);
    for flags in [["--size", "15"], ["--size", "5000"], ["--classes", "0"], ["--classes", "255"]] {
        assert_eq!(inspect(Path::new("small"), &flags).code, 2);
    }
    inspect(Path::new("squeezenet"), &["--size", "16"]).refused(&["at least 17x17"]);
}
