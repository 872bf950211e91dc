//! Any bytes are a mask or one sentence. (The png crate checks no checksums while it is fuzzed.)

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wseg::picture::{decode_mask, encode_mask};

fuzz_target!(|bytes: &[u8]| match decode_mask(Path::new("mask.png"), bytes) {
    // Large ones take long to write, and teach nothing.
    Ok(mask) if mask.labels.len() <= 1 << 16 => {
        let written = encode_mask(&mask).expect("what was read can be written");
        assert_eq!(decode_mask(Path::new("mask.png"), &written).expect("what was written can be read"), mask);
    }
    Ok(mask) => assert_eq!(mask.labels.len(), mask.width * mask.height),
    Err(error) => {
        let sentence = error.to_string();
        assert!(!sentence.contains('\n') && sentence.len() < 1000, "{sentence}");
    }
});
