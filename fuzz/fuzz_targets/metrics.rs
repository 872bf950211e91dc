//! Any bytes are a log of epochs, or are refused in a sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wseg::log::parse_metrics;

fuzz_target!(|bytes: &[u8]| {
    if let Err(problem) = parse_metrics(bytes) {
        assert!(!problem.is_empty() && !problem.contains('\n'));
    }
});
