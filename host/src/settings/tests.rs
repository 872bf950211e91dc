//! Presets, changes by key, and what is refused.

use std::path::Path;

use wseg_cuda_runner::{infer::Inference, model::Architecture, train::Recipe};

use super::*;
use crate::{args::KeyValue, data::augment::Augment};

fn set(changes: &[&str]) -> Result<Settings> {
    let changes: Vec<KeyValue> = changes.iter().map(|text| text.parse().unwrap()).collect();
    Settings::preset("small")?.with(&changes)
}

#[test]
fn the_text_of_every_preset_is_a_file_of_settings() {
    for preset in PRESETS {
        let config = Config::parse(Path::new("mine.toml"), preset.text).unwrap();
        let own = Settings::preset(preset.name).unwrap();
        for base in PRESETS {
            let laid = config.settings(Some(base.name)).unwrap_or_else(|error| panic!("over {}: {error}", base.name));
            // What only some presets have comes along, and as it stands in the file.
            assert!(own.network.deeplab.is_none() || laid.network.deeplab == own.network.deeplab, "over {}", base.name);
            assert!(own.augment.scale.is_none() || laid.augment.scale == own.augment.scale, "over {}", base.name);
        }
    }
}

#[test]
fn every_preset_can_be_trained_and_says_what_it_is_for() {
    for preset in PRESETS {
        Settings::preset(preset.name).unwrap().check().unwrap();
        assert!(preset.text.starts_with("# ") && preset.description().ends_with('.'), "{}", preset.name);
    }
}

#[test]
fn every_preset_has_a_backbone_that_exists_and_every_backbone_a_preset() {
    let backbones: Vec<String> =
        PRESETS.iter().map(|preset| Settings::preset(preset.name).unwrap().network.backbone.name).collect();
    for name in wseg_cuda_runner::backbone::NAMES {
        assert!(backbones.iter().any(|backbone| backbone == name), "no preset has {name}");
    }
    assert!(backbones.iter().all(|backbone| wseg_cuda_runner::backbone::NAMES.contains(&backbone.as_str())));
}

#[test]
fn the_papers_presets_are_the_papers() {
    for (name, crop, rate, multipliers) in [
        ("resnet38", 321, 1e-3, [1.0, 2.0, 10.0, 20.0]),
        ("vgg16", 448, 1e-3, [1.0, 2.0, 10.0, 20.0]),
        ("resnet50", 448, 5e-4, [1.0, 1.0, 10.0, 10.0]),
        ("resnet101", 448, 1e-3, [1.0, 1.0, 10.0, 10.0]),
    ] {
        let settings = Settings::preset(name).unwrap();
        assert_eq!(settings.recipe, Recipe { crop, rate, multipliers, ..Recipe::default() }, "{name}");
        assert_eq!(settings.network, Architecture::paper(settings.network.backbone.clone()), "{name}");
        assert_eq!((settings.augment, settings.cam.epochs), (Augment::default(), 6), "{name}");
        let narrow = Inference { scales: vec![1.0, 0.75, 1.25, 1.5], threshold: 0.3, ..Inference::default() };
        let expected = match name {
            "resnet38" => Inference::default(),
            "vgg16" => Inference { background_power: 1.0, ..narrow },
            _ => narrow,
        };
        assert_eq!(settings.inference, expected, "{name}");
    }
}

#[test]
fn a_key_is_found_by_its_path_or_its_last_part() {
    assert_eq!(set(&["recipe.rate=0.5"]).unwrap().recipe.rate, 0.5);
    assert_eq!(set(&["rate=1"]).unwrap().recipe.rate, 1.0);
    assert_eq!(set(&["scales=1,0.5"]).unwrap().inference.scales, [1.0, 0.5]);
    assert_eq!(set(&["pamr_dilations=[1, 2]"]).unwrap().recipe.pamr_dilations, [1, 2]);
    assert!(!set(&["inference.flip=false"]).unwrap().inference.flip);
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest() {
    let message = set(&["recipe.rat=1"]).unwrap_err().to_string();
    assert!(message.contains("`recipe.rate`"), "{message}");
    let message = set(&["momentun=1"]).unwrap_err().to_string();
    assert!(message.contains("`recipe.momentum`"), "{message}");
}

#[test]
fn a_key_that_several_sections_have_is_not_guessed() {
    let message = set(&["epochs=3"]).unwrap_err().to_string();
    assert!(message.contains("recipe.epochs") && message.contains("cam.epochs"), "{message}");
}

#[test]
fn values_of_the_wrong_kind_or_range_are_refused() {
    for bad in ["rate=fast", "batch=-1", "batch=0", "psi=1", "schedule=sine", "scales=0", "aspp.dilations=1,2"] {
        let error = set(&[bad]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{bad}");
    }
}
