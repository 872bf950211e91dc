//! The reader against real files, files of every make, and hostile ones.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use flate2::{Compression, write::ZlibEncoder};

use super::{
    ByteOrder::{self, Big, Little},
    *,
};
use crate::picture::{LabelMap, read_mask};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/mat").join(name)
}

const MASKS: [&str; 4] = ["gtcls_a.mat", "gtcls_a_compressed.mat", "gtcls_b.mat", "gtcls_b_compressed.mat"];

/// Writes elements in either byte order.
#[derive(Clone, Copy)]
struct Writer(ByteOrder);

impl Writer {
    fn u32(self, value: u32) -> [u8; 4] {
        if self.0 == Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    fn tag(self, code: u32, length: usize) -> Vec<u8> {
        [self.u32(code), self.u32(length as u32)].concat()
    }

    fn element(self, code: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [self.tag(code, data.len()), data.to_vec()].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn small(self, code: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [self.u32((data.len() as u32) << 16 | code).to_vec(), data.to_vec()].concat();
        bytes.resize(8, 0);
        bytes
    }

    fn matrix(self, class: u32, dims: &[u32], name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
        let extents: Vec<u8> = dims.iter().flat_map(|extent| self.u32(*extent)).collect();
        let flags = [self.u32(class), self.u32(0)].concat();
        let name = if (1..=4).contains(&name.len()) {
            self.small(1, name.as_bytes())
        } else {
            self.element(1, name.as_bytes())
        };
        let head = [self.element(6, &flags), self.element(5, &extents), name].concat();
        self.element(14, &[head, parts.concat()].concat())
    }

    /// A struct with the names padded to eight bytes each.
    fn structure(self, name: &str, fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let names: Vec<u8> = fields
            .iter()
            .flat_map(|(name, _)| {
                let mut name = name.as_bytes().to_vec();
                name.resize(16, 0);
                name
            })
            .collect();
        let mut parts = vec![self.small(5, &self.u32(16)), self.element(1, &names)];
        parts.extend(fields.iter().map(|(_, field)| field.clone()));
        self.matrix(2, &[1, 1], name, &parts)
    }

    fn file(self, variables: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"MATLAB 5.0 MAT-file".to_vec();
        bytes.resize(124, b' ');
        bytes.extend(if self.0 == Little { *b"\0\x01IM" } else { *b"\x01\0MI" });
        bytes.extend(variables.concat());
        bytes
    }

    fn compressed(self, variable: &[u8]) -> Vec<u8> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(variable).unwrap();
        let stream = zlib.finish().unwrap();
        [self.tag(15, stream.len()), stream].concat()
    }

    /// A mask of three columns and two rows: 0 1 2 over 3 4 20.
    fn gtcls(self, code: u32, data: &[u8]) -> Vec<u8> {
        let mask = self.matrix(9, &[2, 3], "", &[self.element(code, data)]);
        let cell = self.matrix(1, &[2, 1], "", &[self.element(14, &[]), self.matrix(9, &[0, 0], "", &[])]);
        self.structure("GTcls", &[("Boundaries", cell), ("Segmentation", mask)])
    }
}

const COLUMNS: [u8; 6] = [0, 3, 1, 4, 2, 20];

fn expected() -> LabelMap {
    LabelMap { width: 3, height: 2, labels: vec![0, 1, 2, 3, 4, 20] }
}

/// The refusal's sentence, after checking what every refusal must be.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let sentence = decode_gtcls(bytes).expect_err("should be refused").to_string();
    assert!(!sentence.contains('\n') && sentence.len() < 300, "{sentence}");
    sentence
}

#[test]
fn every_real_file_reads_to_its_picture() {
    for name in MASKS {
        let picture = name.replace("_compressed", "").replace(".mat", ".png");
        let mask = read_gtcls(&fixture(name)).unwrap();
        assert_eq!(mask, read_mask(&fixture(&picture)).unwrap(), "{name}");
        assert_ne!(mask.width, mask.height, "a square mask could be transposed unnoticed");
    }
}

#[test]
fn all_of_a_real_file_can_be_read_not_just_the_mask() {
    for name in MASKS {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let file = MatFile::open(&bytes).unwrap();
        assert_eq!(file.order(), Little);
        let variable = file.variables().next().unwrap().unwrap();
        let gtcls = variable.matrix().unwrap();
        assert_eq!((gtcls.name().as_str(), gtcls.class(), gtcls.dims()), ("GTcls", Class::Struct, &[1, 1][..]));
        let size = gtcls.field("Segmentation").unwrap().unwrap().dims().to_vec();
        let boundaries = gtcls.field("Boundaries").unwrap().unwrap();
        assert_eq!((boundaries.class(), boundaries.dims()), (Class::Cell, &[20, 1][..]));
        let cells: Vec<_> = boundaries.cells().map(Result::unwrap).collect();
        assert_eq!(cells.len(), 20);
        assert!(
            cells.iter().all(|cell| cell.class() == Class::Other && cell.dims() == size),
            "sparse, of the mask's size"
        );
        let present: Vec<f64> =
            gtcls.field("CategoriesPresent").unwrap().unwrap().numbers().unwrap().unwrap().collect();
        let mask = decode_gtcls(&bytes).unwrap().present();
        let found: Vec<f64> = (1..=20).filter(|class| mask[*class]).map(|class| class as f64).collect();
        assert_eq!(present, found, "{name}");
        assert!(gtcls.field("Bound").unwrap().is_none() && gtcls.cells().next().is_none());
        assert!(boundaries.field("Segmentation").unwrap().is_none() && boundaries.numbers().unwrap().is_none());
    }
}

#[test]
fn another_matlab_file_is_refused_in_one_sentence() {
    let sentence = read_gtcls(&fixture("not_gtcls.mat")).unwrap_err().to_string();
    assert!(sentence.ends_with("not_gtcls.mat: is not a mask of SBD: it holds no variable `GTcls`, but `x`, `s`; its masks are the files in `dataset/cls`"), "{sentence}");
    assert!(read_gtcls(&fixture("gone.mat")).unwrap_err().to_string().ends_with("gone.mat: no such file"));
    assert!(read_gtcls(&fixture("")).unwrap_err().to_string().contains("is not a file"));
}

#[test]
fn either_byte_order_any_type_of_numbers_plain_or_compressed() {
    let wide = |width: usize, order: ByteOrder, bits: &dyn Fn(u8) -> u64| {
        COLUMNS
            .iter()
            .flat_map(|value| {
                let bytes = bits(*value).to_le_bytes()[..width].to_vec();
                if order == Little { bytes } else { bytes.into_iter().rev().collect() }
            })
            .collect::<Vec<u8>>()
    };
    for order in [Little, Big] {
        let writer = Writer(order);
        let whole = |value: u8| u64::from(value);
        for (code, data) in [
            (1, COLUMNS.to_vec()),
            (2, COLUMNS.to_vec()),
            (3, wide(2, order, &whole)),
            (4, wide(2, order, &whole)),
            (5, wide(4, order, &whole)),
            (6, wide(4, order, &whole)),
            (7, wide(4, order, &|value| u64::from(f32::from(value).to_bits()))),
            (9, wide(8, order, &|value| f64::from(value).to_bits())),
            (12, wide(8, order, &whole)),
            (13, wide(8, order, &whole)),
        ] {
            let variable = writer.gtcls(code, &data);
            let other = writer.matrix(6, &[1, 1], "x", &[writer.small(2, &[7])]);
            let plain = writer.file(&[other.clone(), variable.clone()]);
            let packed = writer.file(&[writer.compressed(&other), writer.compressed(&variable)]);
            assert_eq!(decode_gtcls(&plain), Ok(expected()), "{order:?}, type {code}");
            assert_eq!(decode_gtcls(&packed), Ok(expected()), "{order:?}, type {code}");
        }
    }
}

#[test]
fn numbers_keep_their_signs() {
    let writer = Writer(Big);
    let file = |code, data: &[u8]| writer.file(&[writer.matrix(6, &[1, 1], "x", &[writer.element(code, data)])]);
    for (code, data) in [
        (1, vec![0xfe]),
        (3, vec![0xff, 0xfe]),
        (5, vec![0xff, 0xff, 0xff, 0xfe]),
        (7, (-2_f32).to_be_bytes().to_vec()),
        (9, (-2_f64).to_be_bytes().to_vec()),
        (12, (-2_i64).to_be_bytes().to_vec()),
    ] {
        let bytes = file(code, &data);
        let variable = MatFile::open(&bytes).unwrap().variables().next().unwrap().unwrap();
        assert_eq!(variable.matrix().unwrap().numbers().unwrap().unwrap().collect::<Vec<_>>(), [-2.0], "type {code}");
    }
}

#[test]
fn what_is_no_mask_is_told_from_what_is_broken() {
    let w = Writer(Little);
    let with = |field: Vec<u8>| w.file(&[w.structure("GTcls", &[("Segmentation", field)])]);
    let numbers = |dims: &[u32], count: usize| w.matrix(9, dims, "", &[w.element(2, &vec![1; count])]);
    for (bytes, expected) in [
        (b"not a MATLAB file".to_vec(), "is not a MATLAB file"),
        (vec![0; 4096], "is not a MATLAB file"),
        (w.file(&[]), "it holds no variable `GTcls`, but nothing"),
        (w.file(&[w.structure("GTcls", &[("Other", numbers(&[1, 1], 1))])]), "no struct with a field `Segmentation`"),
        (w.file(&[w.matrix(9, &[1, 1], "GTcls", &[w.small(2, &[1])])]), "no struct with a field `Segmentation`"),
        (with(numbers(&[0, 3], 0)), "has not two axes, or is empty"),
        (with(numbers(&[2, 3, 1], 6)), "has not two axes"),
        (with(w.element(14, &[])), "has not two axes, or is empty"),
        (with(w.matrix(4, &[1, 1], "", &[w.small(16, b"a")])), "is no array of numbers"),
        (with(w.matrix(0x806, &[1, 1], "", &[w.small(2, &[1]), w.small(2, &[1])])), "has complex numbers"),
        (with(w.matrix(6, &[1, 1], "", &[w.element(9, &f64::NAN.to_le_bytes())])), "a number that is no class"),
        (with(w.matrix(6, &[1, 1], "", &[w.element(9, &0.5_f64.to_le_bytes())])), "a number that is no class"),
        (with(w.matrix(10, &[1, 1], "", &[w.small(3, &[0xff, 0xff])])), "a number that is no class"),
        (with(numbers(&[2, 3], 5)), "not as many numbers as its dimensions say"),
        (with(numbers(&[2, 3], 0)), "not as many numbers as its dimensions say"),
        (with(w.matrix(9, &[1, 1], "", &[w.small(14, &[1])])), "of no type of numbers"),
    ] {
        let sentence = refusal(&bytes);
        assert!(sentence.contains(expected), "`{expected}`: {sentence}");
    }
    let mut newer = w.file(&[]);
    newer[124..126].copy_from_slice(&[0, 2]);
    assert!(refusal(&newer).contains("MATLAB 7.3"));
}

#[test]
fn hostile_sizes_are_refused_at_once() {
    let w = Writer(Little);
    let started = Instant::now();
    let numbers = |dims: &[u32]| w.matrix(9, dims, "GTcls", &[w.small(2, &[1])]);
    let claiming = |code: u32| w.file(&[w.tag(code, u32::MAX as usize)]);
    let bomb = w.compressed(&[w.tag(14, 1 << 30), vec![0; 64 << 20]].concat());
    let long = w.compressed(&[w.element(14, &[]), vec![0; 32 << 20]].concat());
    let short = w.compressed(&w.tag(14, 64));
    let names = |length: &[u8], names: &[u8]| {
        w.file(&[w.matrix(2, &[1, 1], "GTcls", &[w.small(5, length), w.element(1, names)])])
    };
    for (bytes, expected) in [
        (claiming(14), "cut off or corrupt"),
        (claiming(15), "cut off or corrupt"),
        (w.file(&[vec![14, 0, 0]]), "cut off or corrupt"),
        (w.file(&[numbers(&[u32::MAX, u32::MAX])]), "more elements in an array"),
        (w.file(&[numbers(&[1 << 16; 32])]), "more elements in an array"),
        (w.file(&[numbers(&[0, u32::MAX, u32::MAX])]), "more elements in an array"),
        (w.file(&[numbers(&[1; 33])]), "more axes in an array"),
        (w.file(&[numbers(&[1])]), "dimensions make no sense"),
        (w.file(&[bomb]), "more bytes than"),
        (w.file(&[long]), "not as long as it says"),
        (w.file(&[short]), "not as long as it says"),
        (w.file(&[w.element(15, &[])]), "cannot be unpacked"),
        (w.file(&[w.tag(15, 2), vec![0x78, 0x9c]]), "cannot be unpacked"),
        (w.file(&[w.compressed(&w.element(9, &[0; 8]))]), "is no variable"),
        (w.file(&[w.compressed(&w.compressed(&w.gtcls(2, &COLUMNS)))]), "corrupt"),
        (w.file(&[w.element(9, &[0; 8])]), "is no variable"),
        (w.file(&vec![w.element(14, &[]); 1025]), "more variables"),
        (names(&[0; 4], &[0; 8]), "not of one length"),
        (names(&[5, 0, 0, 0], &[0; 8]), "not of one length"),
        (names(&[0xff; 4], &[0; 8]), "not of one length"),
        (names(&[1, 0, 0, 0], &[b'a'; 4097]), "more fields in a struct"),
    ] {
        let sentence = refusal(&bytes);
        assert!(sentence.contains(expected), "`{expected}`: {sentence}");
    }
    let mut small = w.file(&[w.gtcls(2, &COLUMNS)]);
    let last = small.len() - 24;
    small[last..last + 4].copy_from_slice(&w.u32(5 << 16 | 2));
    assert!(refusal(&small).contains("corrupt"));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn nesting_costs_nothing() {
    let w = Writer(Little);
    let started = Instant::now();
    // Built from the inside out, each level within one more cell: lengths only, as the data would be copied at each level.
    let heads: Vec<Vec<u8>> = (0..50_000)
        .map(|_| {
            let whole = w.matrix(1, &[1, 1], "", &[]);
            whole[8..].to_vec()
        })
        .collect();
    let level = heads[0].len() + 8;
    let mut nested = Vec::with_capacity(level * heads.len());
    for (depth, head) in heads.iter().enumerate() {
        nested.extend(w.tag(14, (heads.len() - depth) * level - 8));
        nested.extend(head);
    }
    let field = |name: &str| w.structure("GTcls", &[(name, nested.clone())]);
    assert!(refusal(&w.file(&[field("Segmentation")])).contains("is no array of numbers"));
    assert!(refusal(&w.file(&[field("Boundaries")])).contains("no struct with a field"));
    let bytes = w.file(&[nested]);
    let file = MatFile::open(&bytes).unwrap();
    let variable = file.variables().next().unwrap().unwrap();
    let mut cell = Some(variable.matrix().unwrap());
    let mut depth = 0;
    while let Some(matrix) = cell {
        depth += 1;
        cell = matrix.cells().next().and_then(Result::ok);
    }
    assert_eq!(depth, heads.len());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for name in MASKS {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for length in 0..bytes.len() {
            // A header alone is a file without variables; that is told, too.
            refusal(&bytes[..length]);
        }
    }
    let big = Writer(Big);
    let bytes = big.file(&[big.gtcls(2, &COLUMNS)]);
    (0..bytes.len()).for_each(|length| drop(refusal(&bytes[..length])));
}

#[test]
fn a_flipped_bit_of_compressed_data_is_refused_or_changes_nothing() {
    for name in ["gtcls_a_compressed.mat", "gtcls_b_compressed.mat"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let whole = decode_gtcls(&bytes).unwrap();
        let mut refused = 0;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match decode_gtcls(&flipped) {
                Ok(mask) => assert_eq!(mask, whole, "{name}: bit {bit} was not noticed"),
                Err(error) => {
                    assert!(!error.to_string().contains('\n'));
                    refused += 1;
                }
            }
        }
        // The text of the header means nothing; everything after it has a checksum.
        assert!(refused >= (bytes.len() - 128) * 8 - 8, "{name}: {refused}");
    }
}

#[test]
fn a_flipped_bit_of_plain_data_does_no_harm() {
    let bytes = std::fs::read(fixture("gtcls_a.mat")).unwrap();
    let (width, height) = decode_gtcls(&bytes).map(|mask| (mask.width, mask.height)).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match decode_gtcls(&flipped) {
            Ok(mask) => assert_eq!(mask.width * mask.height, width * height, "bit {bit}"),
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
    }
}
