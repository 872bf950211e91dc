//! Writes a synthetic data set: `cargo run --release -p wseg --example synth -- OUT SEED IMAGES VAL CLASSES SIZE`.

use std::path::Path;
use std::process::ExitCode;

use wseg::synth::{Synth, generate};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| match arguments.get(index) {
        None => Ok(default),
        Some(text) => text.parse::<u64>().map_err(|_| format!("'{text}' is not a whole number")),
    };
    let run = || -> Result<(), String> {
        let out = arguments.first().ok_or("usage: synth OUT [SEED [IMAGES [VAL [CLASSES [SIZE]]]]]")?;
        let default = Synth::default();
        let settings = Synth {
            seed: number(1, default.seed)?,
            images: number(2, default.images as u64)? as usize,
            val: number(3, default.val as u64)? as usize,
            classes: number(4, default.classes as u64)? as usize,
            size: number(5, default.size as u64)? as usize,
        };
        generate(&settings, Path::new(out), |_, _| {}).map_err(|error| error.to_string())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}
