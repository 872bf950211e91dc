//! Settings in a TOML file: a person's own, with as many keys as they like, or a run's `run.toml`, which has them all.
//!
//! ```toml
//! preset = "small"        # what the other keys change; `small` if it is missing
//!
//! [run]                   # optional: what else a training is told
//! data = "mine"
//!
//! [recipe]
//! rate = 0.05
//! ```

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use wseg_cuda_runner::model::ModelKind;

use super::{DEFAULT_PRESET, Settings};
use crate::{
    Error, Result,
    data::{nearest, reason},
};

/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// What a training is told beside its settings, and what it says of itself: the section `run`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Origin {
    /// Which network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelKind>,
    /// Folder of the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Folder of the masks it learns from, for a network that does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<String>,
    /// Folder of the Semantic Boundaries Dataset that is merged with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sbd: Option<String>,
    /// Share of the photos that is held out for validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_share: Option<f64>,
    /// Whether photos that cannot be read are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_bad: bool,
    /// File of the weights it starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Number of threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// The command that started it; for the record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Version of wseg; for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// System and processor; for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Number of training photos; for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photos: Option<usize>,
    /// See [`fingerprint`](crate::training::fingerprint()).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Origin {
    /// The names of its keys.
    const KEYS: [&str; 13] = [
        "model",
        "data",
        "masks",
        "sbd",
        "val_share",
        "skip_bad",
        "weights",
        "threads",
        "command",
        "version",
        "platform",
        "photos",
        "fingerprint",
    ];
}

/// A file of settings.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    /// The preset that it changes.
    pub preset: Option<String>,
    /// What else a training is told.
    pub run: Origin,
    /// The settings' sections.
    settings: Value,
}

impl Config {
    /// Reads a file of settings.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has an unknown key outside of the settings; the error names the file.
    pub fn read(path: &Path) -> Result<Self> {
        let mut text = Vec::new();
        let file = File::open(path).map_err(|error| Error::input(path, reason(&error)))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| Error::input(path, reason(&error)))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(Error::input(path, "is too large for a file of settings"));
        }
        let text = String::from_utf8(text).map_err(|_| Error::input(path, "is not a text file in UTF-8"))?;
        Self::parse(path, &text).map_err(|problem| Error::input(path, problem))
    }

    /// Reads the text of such a file; `path` is the name that later errors use.
    ///
    /// # Errors
    /// What is wrong with the text, as a sentence.
    pub fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let mut table: Table = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            format!("line {line}: {}", error.message().lines().next().unwrap_or_default())
        })?;
        let preset = match table.remove("preset") {
            None => None,
            Some(Value::String(name)) => Some(name),
            Some(other) => return Err(format!("`preset` must be a name, not {other}")),
        };
        let run = match table.remove("run") {
            None => Origin::default(),
            Some(Value::Table(run)) => {
                for key in run.keys() {
                    known(key, &Origin::KEYS).map_err(|hint| format!("`run.{key}`: {hint}"))?;
                }
                Value::Table(run).try_into().map_err(|error: toml::de::Error| {
                    format!("section `run`: {}", error.message().lines().next().unwrap_or_default())
                })?
            }
            Some(_) => return Err("`run` is a section, not a value".to_owned()),
        };
        let sections = Settings::preset(DEFAULT_PRESET).and_then(|any| any.to_table()).map_err(|e| e.to_string())?;
        let mut names = vec!["preset", "run"];
        names.extend(sections.as_table().into_iter().flat_map(|sections| sections.keys().map(String::as_str)));
        for key in table.keys() {
            known(key, &names).map_err(|hint| format!("`{key}`: {hint}"))?;
        }
        Ok(Self { path: path.to_owned(), preset, run, settings: Value::Table(table) })
    }

    /// The file's settings over those of its preset, or of `preset` if it is given.
    ///
    /// # Errors
    /// There is no such preset; or, with the file's name, an unknown key, or a value of the wrong kind or range.
    pub fn settings(&self, preset: Option<&str>) -> Result<Settings> {
        let preset = preset.or(self.preset.as_deref()).unwrap_or(DEFAULT_PRESET);
        let settings = Settings::preset(preset)?.overlaid(&self.settings);
        let settings = settings.map_err(|problem| Error::input(&self.path, problem))?;
        settings.check().map_err(|problem| Error::input(&self.path, problem))?;
        Ok(settings)
    }

    /// The text of a `run.toml`: it holds everything that is needed to repeat the run.
    ///
    /// # Errors
    /// None that can be met: every value has a form in TOML.
    pub fn text(preset: &str, run: &Origin, settings: &Settings) -> Result<String> {
        #[derive(Serialize)]
        struct Document<'a> {
            preset: &'a str,
            run: &'a Origin,
            #[serde(flatten)]
            settings: &'a Settings,
        }
        let text = toml::to_string_pretty(&Document { preset, run, settings })
            .map_err(|error| Error::Failed(format!("the settings cannot be written: {error}")))?;
        Ok(format!(
            "# A run of wseg, for the record. To repeat it: wseg train --config THIS_FILE --out NEW_FOLDER\n\n{text}"
        ))
    }
}

/// Refuses a key that is none of `names`, with the nearest of them.
fn known(key: &str, names: &[&str]) -> Result<(), String> {
    if names.contains(&key) {
        return Ok(());
    }
    Err(match nearest(key, names.iter().copied()) {
        Some(near) => format!("there is no such key; did you mean `{near}`?"),
        None => format!("there is no such key; known: {}", names.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)?.settings(None)
    }

    #[test]
    fn a_file_changes_what_it_names_of_its_preset() {
        let small = Settings::preset("small").unwrap();
        assert_eq!(settings("").unwrap(), small);
        let changed = settings("[recipe]\nrate = 1\npamr_dilations = [3]\n[network.aspp]\nwidth = 16\n").unwrap();
        let mut expected = small;
        (expected.recipe.rate, expected.network.aspp.width) = (1.0, 16);
        expected.recipe.pamr_dilations = vec![3];
        assert_eq!(changed, expected);
        let vgg16 = settings("preset = \"vgg16\"\n[recipe]\n").unwrap();
        assert_eq!(vgg16, Settings::preset("vgg16").unwrap());
    }

    #[test]
    fn what_is_written_for_the_record_is_read_back() {
        for preset in super::super::PRESETS {
            let mut written = Settings::preset(preset.name).unwrap();
            (written.recipe.rate, written.recipe.seed) = (0.1 + 0.2, u64::from(u32::MAX) * 9);
            let run = Origin {
                model: Some(ModelKind::Cam),
                data: Some("a \"quoted\" \\ folder".to_owned()),
                threads: Some(2),
                command: vec!["wseg".to_owned(), "train".to_owned()],
                ..Origin::default()
            };
            let text = Config::text(preset.name, &run, &written).unwrap();
            let read = Config::parse(Path::new("run.toml"), &text).unwrap();
            assert_eq!((read.preset.as_deref(), &read.run), (Some(preset.name), &run), "{text}");
            assert_eq!(read.settings(None).unwrap(), written, "{text}");
        }
    }

    #[test]
    fn slips_name_the_file_the_key_and_the_nearest_one() {
        for (text, parts) in [
            ("[recipe]\nrat = 1\n", ["`recipe.rat`", "`recipe.rate`"]),
            ("[recipie]\nrate = 1\n", ["`recipie`", "`recipe`"]),
            ("[recipie]\n", ["`recipie`", "`recipe`"]),
            ("[network.asp]\n", ["`network.asp`", "did you mean"]),
            ("[run]\ndate = \"x\"\n", ["`run.date`", "`data`"]),
            ("[run]\nthreads = \"two\"\n", ["section `run`", "two"]),
            ("pre-set = \"vgg16\"\n", ["`pre-set`", "`preset`"]),
            ("preset = \"vgg17\"\n", ["`vgg17`", "vgg16"]),
            ("[recipe]\nrate = \"fast\"\n", ["`recipe.rate`", "fast"]),
            ("[recipe]\nbatch = 0\n", ["batch", "1"]),
            ("[recipe.rate]\nvalue = 1\n", ["`recipe.rate.value`", "no such key"]),
            ("recipe = 3\n", ["`recipe`", "section"]),
            ("[recipe]\nrate = 1\nrate = 2\n", ["line 3", "duplicate key"]),
            ("recipe\n", ["line 1", ""]),
        ] {
            let error = settings(text).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
            let message = error.to_string();
            assert!(parts.iter().all(|part| message.contains(part)) && !message.contains('\n'), "{text}: {message}");
            assert!(message.contains("mine.toml") || text.contains("vgg17"), "{message}");
        }
    }

    #[test]
    fn what_is_no_text_or_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.toml");
        for (bytes, expected) in [(vec![b'#'; (1 << 20) + 1], "too large"), (vec![0xFF, 0xFE], "UTF-8")] {
            std::fs::write(&path, bytes).unwrap();
            let message = Config::read(&path).unwrap_err().to_string();
            assert!(message.contains("big.toml") && message.contains(expected), "{message}");
        }
        assert!(Config::read(&dir.path().join("none.toml")).unwrap_err().to_string().contains("no such file"));
    }
}
