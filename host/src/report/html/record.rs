//! What a run was told, and what it says of itself.

use toml::Value;

use super::{Content, markup::escaped};
use crate::settings::Config;

/// The run in a line below its name.
pub(super) fn line(content: &Content<'_>) -> String {
    let Some((config, _)) = content.record else { return String::new() };
    let run = &config.run;
    let parts = [
        run.model.map(|model| model.to_string()),
        config.preset.as_ref().map(|preset| format!("preset {preset}")),
        run.photos.map(|photos| format!("{photos} training photos")),
        Some(format!("{} classes", content.classes.len().saturating_sub(1))).filter(|_| content.classes.len() > 1),
        run.version.as_ref().map(|version| format!("wseg {version}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| escaped(&part)).collect();
    format!("<p class=\"line\">{}</p>", parts.join(" \u{b7} "))
}

/// Facts, then the settings section by section, then the file as it is.
pub(super) fn section(config: &Config, text: &str) -> String {
    let run = &config.run;
    let facts = [
        ("command", Some(run.command.join(" ")).filter(|command| !command.is_empty()), true),
        ("data", run.data.clone(), true),
        ("merged with SBD", run.sbd.clone(), true),
        ("held out to validate", run.val_share.map(|share| format!("{share}")), false),
        ("fingerprint of the data", run.fingerprint.clone(), true),
        ("weights to start from", run.weights.clone(), true),
        ("platform", run.platform.clone(), false),
        ("threads", run.threads.map(|threads| threads.to_string()), false),
    ];
    let facts: String = facts
        .into_iter()
        .filter_map(|(name, value, code)| value.map(|value| (name, escaped(&value), code)))
        .map(|(name, value, code)| match code {
            true => format!("<dt>{name}</dt><dd><code>{value}</code></dd>\n"),
            false => format!("<dt>{name}</dt><dd>{value}</dd>\n"),
        })
        .collect();
    let tables: String = toml::from_str::<toml::Table>(text)
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| name != "run")
        .filter_map(|(name, value)| match value {
            Value::Table(table) => Some(settings(&name, &table)),
            _ => None,
        })
        .collect();
    format!(
        "<dl class=\"facts\">\n{facts}</dl>\n<div class=\"settings\">\n{tables}</div>\n\
         <details><summary>run.toml, which repeats the run</summary>\n<pre>{}</pre></details>",
        escaped(text)
    )
}

/// A section of settings; sections within it have their names before the keys.
fn settings(name: &str, table: &toml::Table) -> String {
    let mut rows = Vec::new();
    flatten("", table, &mut rows);
    let rows: String = rows
        .iter()
        .map(|(key, value)| format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escaped(key), escaped(value)))
        .collect();
    format!("<table><caption>{}</caption><tbody>\n{rows}</tbody></table>\n", escaped(name))
}

fn flatten(prefix: &str, table: &toml::Table, rows: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(&format!("{key}."), inner, rows),
            value => rows.push((key, value.to_string())),
        }
    }
}
