//! Any bytes are masks of NumPy, plain or in an archive, or one sentence.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wseg::refine::{Masks, Reading};

fuzz_target!(|bytes: &[u8]| {
    let reading = Reading { confidence: 0.7, grey_labels: false, array: None };
    for name in ["mask.npy", "mask.npz"] {
        match Masks::decode_array(Path::new(name), bytes, reading) {
            Ok(masks) => assert_eq!(masks.values.len(), masks.labels.len() * masks.width * masks.height),
            Err(error) => {
                let sentence = error.to_string();
                assert!(!sentence.contains('\n') && sentence.len() < 1000, "{sentence}");
            }
        }
    }
});
