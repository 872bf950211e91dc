//! Golden files of whole networks: wrong numbers are noticed, foreign files are refused, and files that are not among
//! the fixtures hold as well where they are at hand.

mod common;

use std::path::{Path, PathBuf};

use common::{fixture, rewritten, with_wrong_value};
use wseg_tests::{
    bench::candle::CandleF32,
    case,
    golden::Golden,
    verify::{Backends, Verdict, verify_file},
};

/// Every output of a file changed at once: each must be complained about.
fn every_wrong_output_is_noticed(name: &str) {
    let file = fixture(name);
    let mut bytes = std::fs::read(&file).expect("a fixture");
    let outputs = Golden::read(&file).expect("a fixture").outputs();
    for output in &outputs {
        bytes = with_wrong_value(&bytes, &format!("out.{output}"));
    }
    let golden = Golden::from_bytes(&file, bytes).expect("still a golden file");
    let report = case::run_network(&CandleF32, &golden).expect("a case that runs");
    for output in outputs {
        let named = format!("`{output}` (network)");
        assert!(report.complaints.iter().any(|line| line.starts_with(&named)), "{name}: {:?}", report.complaints);
    }
}

#[test]
fn every_wrong_output_of_a_backbone_is_noticed() {
    every_wrong_output_is_noticed("backbone_resnet18");
    every_wrong_output_is_noticed("backbone_squeezenet1_0");
    every_wrong_output_is_noticed("backbone_xception65");
}

#[test]
fn every_wrong_output_of_a_network_is_noticed() {
    every_wrong_output_is_noticed("network_vgg16");
}

#[test]
fn other_weights_give_other_features() {
    for (from, to) in [("\"weight_seed\":\"21\"", "\"weight_seed\":\"20\""), ("1.344", "1.345")] {
        let golden = rewritten("backbone_resnet18", from, to);
        let report = case::run_network(&CandleF32, &golden).expect("a case that runs");
        assert_eq!(report.complaints.len(), 2, "{from}: {:?}", report.complaints);
    }
}

/// Why a fixture with one text of its header replaced is refused.
fn refusal(name: &str, from: &str, to: &str) -> String {
    let golden = rewritten(name, from, to);
    let reason = case::run_network(&CandleF32, &golden).expect_err("a file that asks for nonsense").into_reason();
    assert!(!reason.contains('\n'), "{reason}");
    reason
}

#[test]
fn what_a_file_may_ask_for_is_bounded_and_refused_in_a_sentence() {
    let classes = "\"classes\":\"21\"";
    for (name, from, to, expected) in [
        ("network_vgg16", classes, "\"classes\":\"100000000\"", "`classes` is not an integer up to 255"),
        ("network_vgg16", classes, "\"classes\":\"1\"", "`classes` must be 1 to 254"),
        ("network_vgg16", classes, "\"classes\":\"20\"", "shape"),
        ("network_vgg16", "\"vgg16\"", "\"vgg19\"", "no backbone `vgg19`"),
        ("network_vgg16", "\"ae\"", "\"vae\"", "the model `vae`"),
        ("network_vgg16", "conv1_1.bias", "conv9_1.bias", "no gradient norm of the parameter `conv1_1.bias`"),
        (
            "network_vgg16",
            "[\\\"conv1_1.weight",
            "[\\\"conv0.weight\\\", \\\"conv1_1.weight",
            "the parameter `conv0.weight`",
        ),
        ("backbone_resnet18", "\"21\"", "\"5000000000\"", "`weight_seed` is not an integer"),
        ("backbone_resnet18", "\"1.344\"", "\"1e300\"", "`gain` is not a number from 0"),
        ("backbone_resnet18", "\"1.344\"", "\"much\"", "`gain` is not a finite number"),
        ("backbone_resnet18", "\"names\"", "\"mames\"", "no parameter `names`"),
        ("backbone_resnet18", "layer4.1.bn2.bias", "layer4.1.bn2.bios", "no parameter `layer4.1.bn2.bias`"),
        ("backbone_resnet18", "\"resnet18\"", "\"resnet34\"", "no backbone `resnet34`"),
    ] {
        let reason = refusal(name, from, to);
        assert!(reason.contains(expected), "{reason} instead of {expected}");
    }
}

#[test]
fn photos_beyond_a_bound_and_photos_without_colour_are_refused() {
    for (extents, expected) in [([1, 3, 300, 300], "at most 65536 pixels"), ([1, 1, 9, 9], "expected [n, 3, h, w]")] {
        let data = vec![0; 4 * extents.iter().product::<usize>()];
        let header = format!(
            r#"{{"__metadata__":{{"op":"backbone","backbone":"resnet18","weight_seed":"1","gain":"1","names":"[]"}},"in.image":{{"dtype":"F32","shape":{extents:?},"data_offsets":[0,{}]}}}}"#,
            data.len()
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        let golden = Golden::from_bytes(Path::new("odd.safetensors"), bytes).expect("a golden file");
        let reason = case::run_network(&CandleF32, &golden).expect_err("no such photo").into_reason();
        assert!(reason.starts_with("odd.safetensors: `in.image` has shape") && reason.contains(expected), "{reason}");
    }
}

/// The golden files of networks that are too large to be fixtures, where the folder with all of them lies beside the
/// checkout.
#[test]
fn the_other_networks_hold_where_their_files_are_at_hand() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    for name in ["network_resnet101", "cam_vgg16", "cam_resnet50", "cam_resnet101"] {
        let file = folder.join(format!("{name}.safetensors"));
        if !file.exists() {
            println!("skipped: {} is not there", file.display());
            continue;
        }
        for row in verify_file(&file, Backends::Candle) {
            assert_eq!(row.verdict, Verdict::Ok, "{name} on {:?}", row.backend);
        }
    }
}
