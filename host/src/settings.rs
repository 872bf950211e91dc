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

/// The presets: name and settings as TOML.
const PRESETS: &[(&str, &str)] =
    &[("small", include_str!("../presets/small.toml")), ("demo", include_str!("../presets/demo.toml"))];

/// Names of the presets.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

impl Settings {
    /// The preset called `name`.
    ///
    /// # Errors
    /// If there is no such preset; the error names those there are.
    pub fn preset(name: &str) -> Result<Self> {
        let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = preset_names().collect();
            return Err(Error::Input(format!("there is no preset `{name}`; known: {}", known.join(", "))));
        };
        toml::from_str(text)
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
    fn every_preset_can_be_trained() {
        for name in preset_names() {
            Settings::preset(name).unwrap().check().unwrap();
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
