//! Changes of single settings: where a key is, what kind of value it takes, and what is said when there is none.

use toml::Value;

use super::{PRESETS, Settings};
use crate::{Error, Result, args::KeyValue, data::nearest};

impl Settings {
    /// The settings with `changes` applied, in order.
    ///
    /// A key is a path such as `recipe.rate`; its last part alone will do where only one section has it.
    ///
    /// # Errors
    /// If a key is unknown or ambiguous, or a value is of the wrong kind; the error names the nearest known key.
    pub fn with(&self, changes: &[KeyValue]) -> Result<Self> {
        let mut settings = self.clone();
        for change in changes {
            let table = settings.to_table()?;
            let path = resolve(&table, &change.key)
                .map_err(|problem| Error::Input(format!("--set {}: {problem}", change.key)))?;
            settings = settings
                .replaced(table, &path, |old| parse(&change.value, old))
                .map_err(|problem| Error::Input(format!("--set {}={}: {problem}", change.key, change.value)))?;
        }
        settings.check()?;
        Ok(settings)
    }

    /// The settings with the values of a table that has their sections and keys, as many of them as it likes. They
    /// are not checked against each other yet.
    ///
    /// # Errors
    /// A sentence without the file's name: an unknown key with the nearest known one, or a value of the wrong kind.
    pub(super) fn overlaid(&self, table: &Value) -> Result<Self, String> {
        let mut leaves = Vec::new();
        collect(table, "", &mut leaves);
        let mut settings = self.with_optional(&leaves)?;
        for path in leaves {
            let known = settings.to_table().map_err(|error| error.to_string())?;
            let value = get(table, &path).cloned().unwrap_or_else(|| Value::Table(toml::Table::new()));
            match (get(&known, &path), &value) {
                // An empty section changes nothing; a name that no section has is a slip all the same.
                (Some(Value::Table(_)), Value::Table(_)) => continue,
                (Some(Value::Table(_)), _) => return Err(format!("`{path}` is a section, not a value")),
                (None, _) => return Err(format!("`{path}`: {}", unknown(&known, &path))),
                (Some(_), _) => {}
            }
            settings = settings.replaced(known, &path, |_| value).map_err(|problem| format!("`{path}`: {problem}"))?;
        }
        Ok(settings)
    }

    /// The settings with those keys and sections of `paths` that they lack and another preset has, at its values: what one
    /// kind of network has a use for only, such as the strides of a DeepLab.
    fn with_optional(&self, paths: &[String]) -> Result<Self, String> {
        let mut known = self.to_table().map_err(|error| error.to_string())?;
        for path in paths {
            let other = || PRESETS.iter().filter_map(|preset| toml::from_str::<Value>(preset.text).ok());
            let Some(other) = other().find(|other| get(other, path).is_some()) else { continue };
            // The first part of the path that is missing is taken as a whole: a section lacks nothing.
            let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
            let missing = ends.map(|end| &path[..end]).find(|part| get(&known, part).is_none());
            let Some(part) = missing else { continue };
            let (section, key) = part.rsplit_once('.').unwrap_or(("", part));
            let mut section = section.split('.').filter(|name| !name.is_empty());
            let section = section.try_fold(&mut known, |table, name| table.get_mut(name));
            if let (Some(Value::Table(section)), Some(value)) = (section, get(&other, part)) {
                section.insert(key.to_owned(), value.clone());
            }
        }
        known.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }

    /// All values as a table of sections.
    pub(crate) fn to_table(&self) -> Result<Value> {
        Value::try_from(self).map_err(|error| Error::Failed(format!("the settings cannot be changed: {error}")))
    }

    /// The settings of `table`, one value replaced.
    fn replaced(&self, mut table: Value, path: &str, new: impl FnOnce(&Value) -> Value) -> Result<Self, String> {
        let Some(slot) = path.split('.').try_fold(&mut table, |table, part| table.get_mut(part)) else {
            return Err("there is no such key".to_owned());
        };
        let old = slot.clone();
        *slot = new(&old);
        table.try_into().map_err(|error: toml::de::Error| {
            let kind = error.message().split('\n').next().unwrap_or_default().to_owned();
            format!("{kind} (now {old})")
        })
    }
}

/// The first key whose values differ in two tables of the same kind, with both values.
pub(crate) fn difference(one: &Value, other: &Value) -> Option<(String, String, String)> {
    let mut known = Vec::new();
    collect(one, "", &mut known);
    collect(other, "", &mut known);
    let shown = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
    known
        .into_iter()
        .map(|path| (shown(get(one, &path)), shown(get(other, &path)), path))
        .find(|(one, other, _)| one != other)
        .map(|(one, other, path)| (path, one, other))
}

/// The value at a path, or the section.
fn get<'a>(table: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(table, |table, part| table.get(part))
}

/// `text` as a value of the kind that `old` is.
fn parse(text: &str, old: &Value) -> Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}")).ok().and_then(|mut t| t.remove("value"));
    match (parsed, old) {
        // `--set rate=1` means 1.0; `--set scales=1,2` means [1.0, 2.0].
        (Some(Value::Integer(whole)), Value::Float(_)) => Value::Float(whole as f64),
        (Some(Value::Array(items)), Value::Array(_)) => Value::Array(items),
        (_, Value::Array(olds)) => {
            let kind = olds.first().unwrap_or(&Value::Integer(0)).clone();
            Value::Array(text.split(',').map(|item| parse(item.trim(), &kind)).collect())
        }
        (Some(value), _) => value,
        (None, _) => Value::String(text.to_owned()),
    }
}

/// The full path of `key`.
fn resolve(table: &Value, key: &str) -> Result<String, String> {
    let mut known = Vec::new();
    collect(table, "", &mut known);
    if known.iter().any(|path| path == key) {
        return Ok(key.to_owned());
    }
    let tail = format!(".{key}");
    let matching: Vec<&String> = known.iter().filter(|path| path.ends_with(&tail)).collect();
    match matching.as_slice() {
        [path] => Ok((*path).clone()),
        [] => Err(unknown(table, key)),
        several => {
            let list: Vec<&str> = several.iter().map(|path| path.as_str()).collect();
            Err(format!("which of {}?", list.join(", ")))
        }
    }
}

/// What is said of a key that no section has: the nearest one that there is.
fn unknown(table: &Value, key: &str) -> String {
    let mut known = Vec::new();
    collect(table, "", &mut known);
    let last = |path: &'_ str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let lasts: Vec<String> = known.iter().map(|path| last(path)).collect();
    let near = nearest(key, known.iter().map(String::as_str)).map(str::to_owned).or_else(|| {
        let near = nearest(&last(key), lasts.iter().map(String::as_str))?;
        lasts.iter().position(|last| last == near).map(|index| known[index].clone())
    });
    match near {
        Some(near) => format!("there is no such key; did you mean `{near}`?"),
        None => {
            // Those of its section, if it has one: all keys of all sections are no sentence.
            let section = key.split('.').next().unwrap_or_default();
            let inside = |path: &&String| path.split('.').next() == Some(section) && path.len() > section.len();
            let keys: Vec<&str> = known.iter().filter(inside).map(String::as_str).collect();
            match keys.is_empty() {
                true => "there is no such key; `wseg presets small` prints all there are".to_owned(),
                false => format!("there is no such key; known: {}", keys.join(", ")),
            }
        }
    }
}

/// The paths of all values, and of sections without any.
fn collect(value: &Value, path: &str, known: &mut Vec<String>) {
    match value {
        Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(value, &path, known);
            }
        }
        Value::Table(_) if path.is_empty() => {}
        _ => known.push(path.to_owned()),
    }
}
