//! Any bytes are a mask of SBD or one sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wseg::data::mat::decode_gtcls;

fuzz_target!(|bytes: &[u8]| match decode_gtcls(bytes) {
    Ok(mask) => assert_eq!(mask.labels.len(), mask.width * mask.height),
    Err(error) => {
        let sentence = error.to_string();
        assert!(!sentence.contains('\n') && sentence.len() < 1000, "{sentence}");
    }
});
