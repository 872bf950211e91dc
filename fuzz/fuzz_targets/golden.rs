//! Any bytes are a golden file or one sentence, and so is every array in it.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wseg_tests::golden::Golden;

fuzz_target!(|bytes: &[u8]| {
    let read = || {
        let golden = Golden::from_bytes(Path::new("golden"), bytes.to_vec())?;
        golden.outputs().iter().try_for_each(|name| golden.array(&format!("out.{name}")).map(drop))
    };
    if let Err(error) = read() {
        let sentence = error.to_string();
        assert!(sentence.len() < 2000, "{sentence}");
    }
});
