//! The saved state of a training, out of any bytes: an error is one sentence, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wseg_cuda_runner::train::Saved;

fuzz_target!(|bytes: &[u8]| {
    match Saved::parse(bytes) {
        Ok(saved) => {
            let position = saved.position();
            assert!(position.step.checked_add(1).is_some() && position.batch.checked_add(1).is_some());
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.contains('\n') && sentence.len() < 1000, "{sentence}");
        }
    }
});
