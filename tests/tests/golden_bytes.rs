//! Golden files from anywhere: damaged bytes are refused in a sentence that names the file, and never panic.

mod common;

use std::path::Path;

use common::{ensure, fixture, for_all, for_all_of};
use proptest::{num::u8, sample::Index};
use wseg_tests::{
    failure::Failure,
    golden::{Golden, MAX_FILE_BYTES},
    verify::{Backends, Verdict, verify_file, verify_golden},
};

const NAME: &str = "odd.safetensors";

fn refusal(bytes: Vec<u8>) -> String {
    Golden::from_bytes(Path::new(NAME), bytes).expect_err("not a golden file").to_string()
}

/// A safetensors file with that header and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn every_refusal_is_one_sentence_that_names_the_file() {
    let empty_tensor = r#"{"in.x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let refused = [
        (Vec::new(), "is not a safetensors file"),
        (b"PK\x03\x04 not a tensor file".to_vec(), "header claims"),
        (u64::MAX.to_le_bytes().to_vec(), "header claims"),
        (file("{}", &[]), "does not name the `op`"),
        (file("not json", &[]), "is not a safetensors file"),
        (file(empty_tensor, &[0; 4]), "does not name the `op`"),
        (file(empty_tensor, &[0; 3]), "is not a safetensors file"),
        (vec![0; MAX_FILE_BYTES as usize + 1], "is larger than"),
    ];
    for (bytes, reason) in refused {
        let sentence = refusal(bytes);
        assert!(sentence.starts_with("odd.safetensors: ") && sentence.contains(reason), "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_failed_row_that_names_it() {
    let rows = verify_file(Path::new("nowhere.safetensors"), Backends::All);
    assert_eq!(rows.len(), 1);
    let Verdict::Fail(reason) = &rows[0].verdict else { panic!("{rows:?}") };
    assert!(reason.starts_with("nowhere.safetensors: cannot be read"), "{reason}");
}

/// The one reason for which a file with this header fails on every backend.
fn reason_of(header: &str, data: &[u8]) -> String {
    let golden = Golden::from_bytes(Path::new(NAME), file(header, data)).expect("a golden file");
    let mut reasons: Vec<String> = verify_golden(&golden, Backends::All)
        .into_iter()
        .map(|row| match row.verdict {
            Verdict::Fail(reason) => reason,
            verdict => panic!("{verdict:?}"),
        })
        .collect();
    reasons.dedup();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.remove(0)
}

#[test]
fn what_a_case_needs_and_does_not_find_is_named() {
    let gate = r#"{"__metadata__":{"op":"stochastic_gate","psi":"PSI"},
        "in.deep":{"dtype":"TYPE","shape":SHAPE,"data_offsets":[0,8]}}"#;
    let with = |psi: &str, dtype: &str, shape: &str| {
        let header = gate.replace("PSI", psi).replace("TYPE", dtype).replace("SHAPE", shape);
        reason_of(&header, &[0; 8])
    };
    assert_eq!(with("much", "F32", "[2]"), "odd.safetensors: parameter `psi` is not a finite number");
    assert_eq!(with("0.3", "F32", "[2]"), "odd.safetensors: has no array `in.shallow`");
    assert_eq!(with("0.3", "I64", "[1]"), "odd.safetensors: `in.deep` has element type I64, expected U8, F32 or F64");
    assert_eq!(with("0.3", "F32", "[1,1,1,1,2]"), "odd.safetensors: `in.deep` has 5 axes, expected at most 4");
    let no_parameter = gate.replace(r#","psi":"PSI""#, "").replace("TYPE", "F32").replace("SHAPE", "[2]");
    assert_eq!(reason_of(&no_parameter, &[0; 8]), "odd.safetensors: has no parameter `psi`");
    let empty = r#"{"__metadata__":{"op":"bilinear"},"in.x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    assert_eq!(reason_of(empty, &[]), "odd.safetensors: `in.x` is empty");
    let endless = r#"{"__metadata__":{"op":"pamr","iterations":"1e9"}}"#;
    assert_eq!(reason_of(endless, &[]), "odd.safetensors: parameter `iterations` is not an integer up to 100");
}

/// A small file of every op.
const FILES: [&str; 8] = [
    "bilinear_down",
    "classification_small",
    "merge_multiscale",
    "metrics",
    "pamr_tiny",
    "pseudo_labels_small",
    "segmentation_loss_small",
    "stochastic_gate",
];

fn originals() -> Vec<Vec<u8>> {
    FILES.iter().map(|name| std::fs::read(fixture(name)).expect("a fixture")).collect()
}

/// Reads the bytes and, if they are a golden file still, runs it: anything but a panic is fine, as long as a refusal
/// is a sentence.
fn survive(bytes: Vec<u8>) -> Result<(), Failure> {
    match Golden::from_bytes(Path::new(NAME), bytes) {
        Ok(golden) => {
            let rows = verify_golden(&golden, Backends::All);
            ensure!(!rows.is_empty(), "no row");
            Ok(())
        }
        Err(error) => {
            let sentence = error.to_string();
            ensure!(sentence.starts_with("odd.safetensors: "), "{sentence}");
            Ok(())
        }
    }
}

#[test]
fn changed_bytes_never_panic() -> Result<(), Failure> {
    let originals = originals();
    let change = (0..FILES.len(), proptest::collection::vec((proptest::prelude::any::<Index>(), u8::ANY), 1..6));
    for_all_of(500, change, |(file, changes)| {
        let mut bytes = originals[file].clone();
        for (place, value) in changes {
            // Headers are a small part of a file, and the part that matters.
            let reach = bytes.len().min(900);
            bytes[place.index(reach)] = value;
        }
        survive(bytes)
    })
}

#[test]
fn cut_and_grown_files_never_panic() -> Result<(), Failure> {
    let originals = originals();
    let cut = (0..FILES.len(), proptest::prelude::any::<Index>(), 0_usize..64);
    for_all_of(200, cut, |(file, end, more)| {
        let mut bytes = originals[file].clone();
        let end = end.index(bytes.len());
        let mut grown = bytes.clone();
        grown.resize(grown.len() + more, 7);
        survive(grown)?;
        bytes.truncate(end);
        survive(bytes)
    })
}

/// Digits in the header are extents, offsets and parameters: changing them alone keeps the JSON valid, which changed
/// bytes seldom do.
#[test]
fn changed_numbers_never_panic() -> Result<(), Failure> {
    let originals = originals();
    let digits = proptest::collection::vec((proptest::prelude::any::<Index>(), b'0'..=b'9'), 1..4);
    for_all_of(500, (0..FILES.len(), digits), |(file, changes)| {
        let mut bytes = originals[file].clone();
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
        let places: Vec<usize> = (8..8 + header).filter(|&place| bytes[place].is_ascii_digit()).collect();
        for (place, digit) in changes {
            bytes[places[place.index(places.len())]] = digit;
        }
        survive(bytes)
    })
}

/// Shapes that permute or regroup the same elements keep offsets valid: they reach the cases themselves.
#[test]
fn regrouped_shapes_never_panic() -> Result<(), Failure> {
    let originals = originals();
    for_all((0..FILES.len(), proptest::num::u64::ANY), |(file, seed)| {
        let mut sample = wseg_tests::sample::Sample::new(seed);
        let bytes = &originals[file];
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
        let mut json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header])?;
        for (name, entry) in json.as_object_mut().into_iter().flatten() {
            if name == "__metadata__" || sample.below(2) == 0 {
                continue;
            }
            let shape: Vec<usize> = serde_json::from_value(entry["shape"].clone())?;
            let mut count: usize = shape.iter().product();
            let mut regrouped = Vec::new();
            for _ in 0..sample.below(4) {
                let factors: Vec<usize> = (1..=count.min(40)).filter(|factor| count.is_multiple_of(*factor)).collect();
                let factor = factors[sample.below(factors.len())];
                regrouped.push(factor);
                count /= factor;
            }
            regrouped.push(count);
            entry["shape"] = serde_json::to_value(regrouped)?;
        }
        let mut changed = json.to_string().into_bytes();
        let mut odd = (changed.len() as u64).to_le_bytes().to_vec();
        odd.append(&mut changed);
        odd.extend(&bytes[8 + header..]);
        survive(odd)
    })
}
