//! Candle's own convolutions are not used: on a GPU their gradients are naive kernels, on a CPU they are slow.

use std::{fs, path::Path};

/// Calls that lead to one, as they stand in source text.
const CALLS: [&str; 6] =
    [".conv1d(", ".conv1d_with_algo(", ".conv2d(", ".conv2d_with_algo(", ".conv_transpose1d(", ".conv_transpose2d("];

/// The calls in the source files of a folder and those below it, with the files they are in; and the number of files.
fn calls(folder: &Path) -> (Vec<String>, usize) {
    let (mut found, mut files) = (Vec::new(), 0);
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let below = calls(&path);
            found.extend(below.0);
            files += below.1;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source text");
            let called = CALLS.iter().filter(|&&call| text.contains(call));
            found.extend(called.map(|call| format!("{}: {call}", path.display())));
            files += 1;
        }
    }
    (found, files)
}

#[test]
fn no_convolution_of_candle_is_called() {
    for package in ["core", "cuda-runner", "host"] {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
        let (found, files) = calls(&sources);
        assert!(found.is_empty(), "{found:?}");
        assert!(files > 10, "{}: {files} files", sources.display());
    }
    // The search finds what there is to find.
    let (found, _) = calls(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    assert!(found.iter().any(|call| call.contains("no_candle_convolution.rs")), "{found:?}");
}
