//! Any bytes are a photo, JPEG or PNG, or one sentence.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wseg::picture::decode_photo;

fuzz_target!(|bytes: &[u8]| match decode_photo(Path::new("photo"), bytes) {
    Ok(photo) => assert_eq!(photo.as_raw().len(), 3 * photo.width() as usize * photo.height() as usize),
    Err(error) => {
        let sentence = error.to_string();
        assert!(!sentence.contains('\n') && sentence.len() < 1000, "{sentence}");
    }
});
