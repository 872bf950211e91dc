//! The presets: settings to start from.

use super::Settings;
use crate::{Error, Result};

/// Settings to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    /// The settings as TOML; the first line is a comment that says in a line what they are for.
    pub text: &'static str,
}

/// The preset of a training that names none.
pub const DEFAULT_PRESET: &str = "small";
/// The preset of a DeepLab's training that names none.
pub const DEFAULT_DEEPLAB_PRESET: &str = "deeplab-small";

/// The presets.
pub const PRESETS: &[Preset] = &[
    Preset { name: "small", text: include_str!("../../presets/small.toml") },
    Preset { name: "demo", text: include_str!("../../presets/demo.toml") },
    Preset { name: "squeezenet", text: include_str!("../../presets/squeezenet.toml") },
    Preset { name: "resnet18", text: include_str!("../../presets/resnet18.toml") },
    Preset { name: "resnet38", text: include_str!("../../presets/resnet38.toml") },
    Preset { name: "vgg16", text: include_str!("../../presets/vgg16.toml") },
    Preset { name: "resnet50", text: include_str!("../../presets/resnet50.toml") },
    Preset { name: "resnet101", text: include_str!("../../presets/resnet101.toml") },
    Preset { name: "xception65", text: include_str!("../../presets/xception65.toml") },
    Preset { name: "deeplab-small", text: include_str!("../../presets/deeplab-small.toml") },
    Preset { name: "deeplab-squeezenet", text: include_str!("../../presets/deeplab-squeezenet.toml") },
    Preset { name: "deeplab-resnet18", text: include_str!("../../presets/deeplab-resnet18.toml") },
    Preset { name: "deeplab-resnet50", text: include_str!("../../presets/deeplab-resnet50.toml") },
    Preset { name: "deeplab-resnet101", text: include_str!("../../presets/deeplab-resnet101.toml") },
    Preset { name: "deeplab-xception65", text: include_str!("../../presets/deeplab-xception65.toml") },
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
}
