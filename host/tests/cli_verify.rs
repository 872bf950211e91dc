//! `wseg verify`: a line a file and backend, and an exit code that tells.

mod cli;

use std::{
    fs,
    path::{Path, PathBuf},
};

use cli::wseg;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn verify(flags: &[&str], path: &Path) -> cli::Done {
    wseg(["verify"].iter().chain(flags).map(|flag| flag.to_string()).chain([path.display().to_string()]))
}

/// A fixture with the first value of an expected output changed.
fn altered(name: &str, output: &str, folder: &Path) -> PathBuf {
    let mut bytes = fs::read(fixture(name)).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let start = 8 + length + header[output]["data_offsets"][0].as_u64().unwrap() as usize;
    assert_eq!(header[output]["dtype"], "F64");
    bytes[start..start + 8].copy_from_slice(&1e3_f64.to_le_bytes());
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_good_file_is_ok_on_both_backends() {
    let path = fixture("stochastic_gate.safetensors");
    let lines = verify(&[], &path).good();
    assert_eq!(lines.lines().count(), 4, "{lines}");
    for backend in ["arena_f32", "arena_f64", "candle_f32", "candle_f64"] {
        let line = lines.lines().find(|line| line.contains(backend)).unwrap_or_else(|| panic!("{backend}: {lines}"));
        assert!(line.starts_with("stochastic_gate.safetensors") && line.contains(" ok"), "{line}");
    }
    assert_eq!(verify(&["--backend", "arena"], &path).good().lines().count(), 2);
    for line in verify(&["--backend", "candle", "--json"], &path).good().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&row["op"], &row["verdict"]), (&"stochastic_gate".into(), &"ok".into()));
        assert!(row["relative_error"].as_f64().unwrap() <= row["tolerance"].as_f64().unwrap());
    }
}

#[test]
fn a_wrong_number_is_a_fail_with_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = altered("stochastic_gate.safetensors", "out.eval", dir.path());
    let done = verify(&["--backend", "arena"], &path);
    assert_eq!(done.code, 1);
    assert!(done.out.lines().all(|line| line.contains("FAIL") && line.contains("`eval`")), "{}", done.out);
    assert_eq!(done.err, "error: 2 of 2 checks failed\n");
}

#[test]
fn a_file_that_cannot_be_judged_is_a_fail_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read(fixture("stochastic_gate.safetensors")).unwrap();
    let place = text.windows(15).position(|part| part == b"stochastic_gate").unwrap();
    let mut unknown = text;
    unknown[place..place + 15].copy_from_slice(b"stochastic_gait");
    let path = dir.path().join("unknown.safetensors");
    fs::write(&path, unknown).unwrap();
    let done = verify(&[], &path);
    assert_eq!(done.code, 1);
    assert!(done.out.contains("FAIL") && done.out.contains("`stochastic_gait` is not implemented"), "{}", done.out);
    let path = dir.path().join("broken.safetensors");
    fs::write(&path, "no tensors").unwrap();
    let done = verify(&[], &path);
    assert_eq!((done.code, done.out.lines().count()), (1, 1));
    assert!(done.out.contains("broken.safetensors") && done.out.contains("FAIL"), "{}", done.out);
}

#[test]
fn a_path_without_golden_files_is_bad_input() {
    let dir = tempfile::tempdir().unwrap();
    verify(&[], &dir.path().join("gone")).refused(&["gone"]);
    verify(&[], dir.path()).refused(&["no .safetensors file"]);
    assert_eq!(wseg(["verify"]).code, 2, "a path is needed");
}
