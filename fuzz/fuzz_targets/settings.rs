//! Any text is settings, good or bad, or none; changes of settings are refused in a sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use wseg::{
    args::KeyValue,
    settings::{Config, Settings},
};

fuzz_target!(|text: &str| {
    match Config::parse(Path::new("fuzz.toml"), text) {
        Ok(config) => drop(config.settings(None)),
        Err(problem) => assert!(!problem.is_empty() && !problem.contains('\n')),
    }
    // The same text as a value of `--set`.
    if let (Ok(change), Ok(settings)) = (text.parse::<KeyValue>(), Settings::preset("small"))
        && let Err(error) = settings.with(&[change])
    {
        assert!(!error.to_string().is_empty());
    }
});
