//! Any bytes are a state dict or one sentence; a state dict is written and read again unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wseg_cuda_runner::weights::{encode, parse};

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(state) => {
            assert!(state.byte_count() <= (16 << 20).max(4 * bytes.len()), "more than the promised memory");
            let written = encode(&state).expect("what was read can be written");
            let again = parse(&written).expect("what was written can be read");
            assert!(state.iter().eq(again.iter()), "it is not the same");
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.contains('\n') && sentence.len() < 1000, "{sentence}");
        }
    }
});
