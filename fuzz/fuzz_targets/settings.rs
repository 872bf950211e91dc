//! Any text is settings, good or bad, or none; changes of settings are refused in a sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wseg::{args::KeyValue, settings::Settings};

fuzz_target!(|text: &str| {
    if let Ok(settings) = toml::from_str::<Settings>(text) {
        // Whether they can be trained with is another question.
        let _ = settings.check();
    }
    // The same text as a value of `--set`.
    if let (Ok(change), Ok(settings)) = (text.parse::<KeyValue>(), Settings::preset("small"))
        && let Err(error) = settings.with(&[change])
    {
        assert!(!error.to_string().is_empty());
    }
});
