//! Damaged files: cut anywhere, with any bit flipped, or random. Nothing panics, nothing takes more memory than promised,
//! and what a file can tell is damaged is refused.

mod weights_support;

use proptest::{collection::vec, prelude::any, prop_assert, proptest, sample::Index, test_runner::Config};
use weights_support::{FILES, Pickle, Record, fixture, legacy, numbers, parse_bounded, records, refusal, zip};
use wseg_cuda_runner::weights::{StateDict, parse};

fn files() -> Vec<Vec<u8>> {
    FILES.iter().chain(&["expected.safetensors"]).map(|name| fixture(name)).collect()
}

#[test]
fn a_file_cut_anywhere_is_refused_in_one_sentence() {
    for file in files() {
        for length in 0..file.len() {
            refusal(&file[..length]);
        }
    }
}

/// Flips each bit of a file in turn; returns how many of the damaged files were refused, and asserts that a file
/// which was not holds `unnoticed`.
fn flip_every_bit(name: &str, unnoticed: impl Fn(&StateDict) -> bool) -> usize {
    let file = fixture(name);
    let mut refused = 0;
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match parse_bounded(&flipped) {
            Ok(state) => assert!(unnoticed(&state), "{name}: bit {bit} was not noticed"),
            Err(error) => {
                refused += 1;
                let sentence = error.to_string();
                assert!(!sentence.contains('\n') && sentence.len() < 500, "{sentence}");
            }
        }
    }
    refused
}

#[test]
fn a_flipped_bit_of_an_archive_is_refused_or_changes_nothing() {
    let whole = parse(&fixture("zip_nested_module.pth")).unwrap();
    let refused = flip_every_bit("zip_nested_module.pth", |state| *state == whole);
    // What has no checksum has no meaning, either: dates, padding, names of records that are not asked for.
    assert!(refused > 8 * whole.byte_count(), "{refused}");
}

#[test]
fn a_flipped_bit_does_no_harm_where_there_are_no_checksums() {
    for name in ["legacy_nested_module.pth", "expected.safetensors"] {
        let refused = flip_every_bit(name, |state| state.byte_count() < 2000);
        assert!(refused > 1000, "{name}: {refused} are refused");
    }
}

/// Instructions and operands of pickles, from which sense is put together by chance more often than from bytes.
const WORDS: [&[u8]; 48] = [
    b"(",
    b")",
    b"]",
    b"}",
    b"N",
    b"\x88",
    b"\x89",
    b"t",
    b"\x85",
    b"\x86",
    b"\x87",
    b"a",
    b"e",
    b"s",
    b"u",
    b"R",
    b"b",
    b"Q",
    b".",
    b"q\0",
    b"h\0",
    b"q\x01",
    b"h\x01",
    b"q\x02",
    b"h\x02",
    b"\x94",
    b"K\0",
    b"K\x01",
    b"K\x02",
    b"K\x04",
    b"M\xff\xff",
    b"J\xff\xff\xff\xff",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8a\0",
    b"X\x01\0\0\0x",
    b"X\x07\0\0\0storage",
    b"X\x01\0\0\x000",
    b"X\x03\0\0\0cpu",
    b"X\x0a\0\0\0state_dict",
    b"ctorch\nFloatStorage\n",
    b"ctorch\nByteStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch\nSize\n",
    b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x10tQ",
    b"ctorch._utils\n_rebuild_tensor_v2\n(h\0K\0K\x04\x85K\x01\x85\x89}tR",
    b"cos\nsystem\n",
];

proptest! {
    #![proptest_config(Config { cases: 2000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = parse_bounded(&bytes);
        for head in [&b"PK\x03\x04"[..], b"\x80\x02", b"\x10\0\0\0\0\0\0\0{"] {
            let _ = parse_bounded(&[head, &bytes].concat());
        }
        prop_assert!(parse_bounded(&legacy(&Pickle::new().raw(&bytes).0, &[])).is_err(), "chance wrote a state dict");
    }

    #[test]
    fn random_instructions_never_panic(words in vec(0..WORDS.len(), 0..60)) {
        let pickle = words.iter().fold(Pickle::new(), |pickle, &word| pickle.raw(WORDS[word])).end();
        let numbers = numbers();
        for file in [legacy(&pickle, &[("0", 16, &numbers)]), zip(&records(&pickle, &[("0", &numbers)]))] {
            if parse_bounded(&file).is_err() {
                refusal(&file);
            }
        }
    }

    #[test]
    fn changed_bytes_never_panic(
        file in 0..FILES.len() + 1,
        changes in vec((any::<Index>(), any::<u8>()), 1..8),
        cut in any::<Index>(),
        piece in (any::<Index>(), 0_usize..64),
    ) {
        let mut bytes = files().swap_remove(file);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = parse_bounded(&bytes);
        // A piece of the file moved to another place.
        let start = piece.0.index(bytes.len());
        let piece: Vec<u8> = bytes.drain(start..(start + piece.1).min(bytes.len())).collect();
        let place = cut.index(bytes.len());
        bytes.splice(place..place, piece);
        let _ = parse_bounded(&bytes);
    }

    /// The checksums are right, so that the changed pickle is read.
    #[test]
    fn changed_pickles_in_archives_never_panic(changes in vec((any::<Index>(), any::<u8>()), 1..4)) {
        let pickle = pickle_of_zip();
        let mut changed = pickle.clone();
        for (place, value) in changes {
            let place = place.index(changed.len());
            changed[place] = value;
        }
        let storages: Vec<Record> =
            (0..11).map(|key| Record::new(&format!("archive/data/{key}"), &[7; 432])).collect();
        let file = zip(&[vec![Record::new("archive/data.pkl", &changed)], storages].concat());
        if parse_bounded(&file).is_err() {
            refusal(&file);
        }
    }
}

/// The pickle in `zip.pth`.
fn pickle_of_zip() -> Vec<u8> {
    let file = fixture("zip.pth");
    let start = file.windows(2).position(|part| part == b"\x80\x02").unwrap();
    let end = file.windows(4).position(|part| part == b"PK\x07\x08").unwrap();
    file[start..end].to_vec()
}
