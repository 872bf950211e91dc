//! Everything a training run can be told, as one checked value: preset, then `--set key=value`, then flags.

use serde::{Deserialize, Serialize};
use wseg_cuda_runner::{
    infer::Inference,
    model::{Architecture, ModelKind, NetworkConfig},
    train::Recipe,
};

use crate::{Error, Result, args::KeyValue, data::augment::Augment};

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Layers and widths.
    pub network: Architecture,
    /// How to train.
    pub recipe: Recipe,
    /// What of it differs for the CAM baseline.
    pub cam: CamRecipe,
    /// How training photos are varied.
    pub augment: Augment,
    /// How photos are predicted.
    pub inference: Inference,
    /// How a run is watched.
    pub validation: Validation,
}

/// How a run is watched on the validation split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Epochs between two looks at the validation split; the last epoch is always looked at.
    pub every: usize,
}

/// What differs for the CAM baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CamRecipe {
    /// Passes over the training photos.
    pub epochs: usize,
}

/// Names of so many classes, where it does not matter what they are.
#[must_use]
pub fn numbered_classes(count: usize) -> Vec<String> {
    (1..=count).map(|class| format!("class {class}")).collect()
}

/// Settings to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    /// The settings as TOML; the first line is a comment that says in a line what they are for.
    pub text: &'static str,
}

/// The presets.
pub const PRESETS: &[Preset] = &[
    Preset { name: "small", text: include_str!("../presets/small.toml") },
    Preset { name: "demo", text: include_str!("../presets/demo.toml") },
    Preset { name: "squeezenet", text: include_str!("../presets/squeezenet.toml") },
    Preset { name: "resnet18", text: include_str!("../presets/resnet18.toml") },
    Preset { name: "resnet38", text: include_str!("../presets/resnet38.toml") },
    Preset { name: "vgg16", text: include_str!("../presets/vgg16.toml") },
    Preset { name: "resnet50", text: include_str!("../presets/resnet50.toml") },
    Preset { name: "resnet101", text: include_str!("../presets/resnet101.toml") },
];

impl Preset {
    /// The preset called `name`.
    ///
    /// # Errors
    /// If there is no such preset; the error names those there are.
    pub fn named(name: &str) -> Result<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
            let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            Error::Input(format!("there is no preset `{name}`; known: {}", known.join(", ")))
        })
    }

    /// What it is for, in a line.
    #[must_use]
    pub fn description(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }
}

impl Settings {
    /// The preset called `name`.
    ///
    /// # Errors
    /// If there is no such preset; the error names those there are.
    pub fn preset(name: &str) -> Result<Self> {
        toml::from_str(Preset::named(name)?.text)
            .map_err(|error| Error::Failed(format!("the preset `{name}` is broken: {}", error.message())))
    }

    /// The settings with `changes` applied, in order.
    ///
    /// A key is a path such as `recipe.rate`; its last part alone will do where only one section has it.
    ///
    /// # Errors
    /// If a key is unknown or ambiguous, or a value is of the wrong kind; the error names the nearest known key.
    pub fn with(&self, changes: &[KeyValue]) -> Result<Self> {
        let broken = |error: &dyn std::fmt::Display| Error::Failed(format!("the settings cannot be changed: {error}"));
        let mut settings = self.clone();
        for change in changes {
            let mut table = toml::Value::try_from(&settings).map_err(|error| broken(&error))?;
            let path = resolve(&table, &change.key)?;
            let slot = path.split('.').try_fold(&mut table, |table, part| table.get_mut(part));
            let slot = slot.ok_or_else(|| broken(&path))?;
            let old = slot.clone();
            *slot = parse(&change.value, &old);
            settings = table.try_into().map_err(|error: toml::de::Error| {
                let kind = error.message().split('\n').next().unwrap_or_default().to_owned();
                Error::Input(format!("--set {}={}: {kind} (now {old})", change.key, change.value))
            })?;
        }
        settings.check()?;
        Ok(settings)
    }

    /// The recipe for a kind of model.
    #[must_use]
    pub fn recipe_for(&self, model: ModelKind) -> Recipe {
        match model {
            ModelKind::SingleStage => self.recipe.clone(),
            ModelKind::Cam => Recipe { epochs: self.cam.epochs, ..self.recipe.clone() },
        }
    }

    /// The network for a kind of model and classes.
    #[must_use]
    pub fn network_for(&self, model: ModelKind, classes: Vec<String>) -> NetworkConfig {
        NetworkConfig {
            model,
            classes,
            architecture: self.network.clone(),
            crop: self.recipe.crop,
            inference: self.inference.clone(),
        }
    }

    /// Refuses settings that cannot be trained with.
    ///
    /// # Errors
    /// An input error naming the key and its range.
    pub fn check(&self) -> Result<()> {
        self.recipe.check()?;
        self.recipe_for(ModelKind::Cam).check()?;
        self.network_for(ModelKind::SingleStage, vec!["object".to_owned()]).check()?;
        if self.validation.every == 0 {
            return Err(Error::Input("`validation.every` must be 1 or more epochs".to_owned()));
        }
        self.augment.check()
    }
}

/// `text` as a value of the kind that `old` is.
fn parse(text: &str, old: &toml::Value) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}")).ok().and_then(|mut t| t.remove("value"));
    match (parsed, old) {
        // `--set rate=1` means 1.0; `--set scales=1,2` means [1.0, 2.0].
        (Some(toml::Value::Integer(whole)), toml::Value::Float(_)) => toml::Value::Float(whole as f64),
        (Some(toml::Value::Array(items)), toml::Value::Array(_)) => toml::Value::Array(items),
        (_, toml::Value::Array(olds)) => {
            let kind = olds.first().unwrap_or(&toml::Value::Integer(0)).clone();
            toml::Value::Array(text.split(',').map(|item| parse(item.trim(), &kind)).collect())
        }
        (Some(value), _) => value,
        (None, _) => toml::Value::String(text.to_owned()),
    }
}

/// The full path of `key`.
fn resolve(table: &toml::Value, key: &str) -> Result<String> {
    let mut known = Vec::new();
    collect(table, "", &mut known);
    if known.iter().any(|path| path == key) {
        return Ok(key.to_owned());
    }
    let tail = format!(".{key}");
    let matching: Vec<&String> = known.iter().filter(|path| path.ends_with(&tail)).collect();
    match matching.as_slice() {
        [path] => Ok((*path).clone()),
        [] => {
            let last = |path: &'_ str| path.rsplit('.').next().unwrap_or(path).to_owned();
            let lasts: Vec<String> = known.iter().map(|path| last(path)).collect();
            let near = crate::data::nearest(&last(key), lasts.iter().map(String::as_str))
                .and_then(|near| lasts.iter().position(|last| last == near));
            let hint = match near {
                Some(index) => format!("; did you mean `{}`?", known[index]),
                None => format!("; known: {}", known.join(", ")),
            };
            Err(Error::Input(format!("--set {key}: there is no such key{hint}")))
        }
        several => {
            let list: Vec<&str> = several.iter().map(|path| path.as_str()).collect();
            Err(Error::Input(format!("--set {key}: which of {}?", list.join(", "))))
        }
    }
}

fn collect(value: &toml::Value, path: &str, known: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(value, &path, known);
            }
        }
        _ => known.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(changes: &[&str]) -> Result<Settings> {
        let changes: Vec<KeyValue> = changes.iter().map(|text| text.parse().unwrap()).collect();
        Settings::preset("small")?.with(&changes)
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
}
