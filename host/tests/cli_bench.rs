//! `wseg bench`: what it prints. How fast anything is, is for the benchmarks.

mod cli;

use cli::wseg;
use serde_json::Value;

#[test]
fn every_network_and_refinement_has_its_times() {
    let flags =
        ["--size", "32", "--classes", "2", "--batch", "3", "--runs", "2", "--threads", "1", "--json", "--quiet"];
    let done: Value =
        serde_json::from_str(&wseg(["bench", "small", "squeezenet"].iter().chain(&flags)).good()).unwrap();
    assert_eq!((done["threads"].as_u64(), done["runs"].as_u64()), (Some(1), Some(2)));
    let networks = done["networks"].as_array().unwrap();
    assert_eq!(networks.iter().map(|network| &network["preset"]).collect::<Vec<_>>(), ["small", "squeezenet"]);
    for network in networks {
        let number = |key: &str| network[key].as_f64().unwrap();
        assert_eq!((number("size"), number("batch")), (32.0, 3.0));
        let (step, view) = (number("training_ms"), number("view_ms"));
        assert!(step > 0.0 && view > 0.0, "{network}");
        assert!((number("training_images_per_second") * step - 3e3).abs() < 1e-6, "{network}");
        assert!((number("views_per_second") * view - 1e3).abs() < 1e-6, "{network}");
    }
    let [refinement] = &done["pamr"].as_array().unwrap()[..] else { panic!("{done}") };
    assert_eq!((refinement["side"].as_u64(), refinement["classes"].as_u64()), (Some(32), Some(3)));
    assert!(refinement["ms"].as_f64().unwrap() > 0.0, "{done}");
    let crf = &done["crf"];
    assert_eq!(
        (crf["width"].as_u64(), crf["height"].as_u64(), crf["classes"].as_u64()),
        (Some(500), Some(375), Some(3))
    );
    assert!(crf["ms"].as_f64().unwrap() > 0.0, "{done}");
}

#[test]
fn only_what_is_asked_for_is_measured() {
    let flags = ["--classes", "2", "--runs", "1", "--json", "--quiet"];
    let measured = |only: &[&str]| -> Value {
        serde_json::from_str(&wseg(["bench"].iter().chain(only).chain(&flags)).good()).unwrap()
    };
    let view = measured(&["small", "--size", "32", "--only", "view"]);
    assert!(view["networks"][0]["view_ms"].as_f64().unwrap() > 0.0, "{view}");
    assert_eq!((view["networks"][0].get("training_ms"), view["pamr"].as_array().unwrap().len()), (None, 0));
    assert!(view["crf"].is_null(), "{view}");
    let both = measured(&["small", "--size", "32", "--only", "pamr", "--only", "training"]);
    assert_eq!((both["networks"][0].get("view_ms"), both["pamr"].as_array().unwrap().len()), (None, 1));
    let refinements = measured(&["--only", "pamr"]);
    assert_eq!(refinements["networks"].as_array().unwrap().len(), 0);
    let sides: Vec<_> = refinements["pamr"].as_array().unwrap().iter().map(|pamr| pamr["side"].as_u64()).collect();
    assert_eq!(sides, [Some(81), Some(321)]);
    let crf = measured(&["--only", "crf"]);
    assert!(crf["crf"]["ms"].as_f64().unwrap() > 0.0 && crf["pamr"].as_array().unwrap().is_empty(), "{crf}");
}

#[test]
fn a_preset_that_nothing_is_measured_of_is_refused() {
    wseg(["bench", "small", "--only", "pamr"]).refused(&["small", "--only"]);
}

#[test]
fn a_wrong_name_is_said_before_anything_is_measured() {
    wseg(["bench", "small", "resnet5"]).refused(&["resnet5", "resnet50"]);
}

#[test]
fn a_device_that_cannot_be_had_is_refused() {
    wseg(["bench", "small", "--device", "cuda:1"]).refused(&["cuda:1", "CUDA"]);
}
