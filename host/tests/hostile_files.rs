//! Every reader of foreign bytes on damaged files: none panics, hangs, or says more than a sentence a problem.
//!
//! A few thousand files a reader, the same ones each time. `WSEG_MUTATE_SECONDS=60 cargo test --release --test
//! hostile_files -- --nocapture` goes on for a minute a reader. The fuzz targets in `fuzz/` look for the same.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use flate2::{
    Compression, Crc,
    write::{DeflateEncoder, ZlibEncoder},
};
use image::{ImageFormat, RgbImage};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use wseg::{
    data::{
        Classes, Problems,
        labels::{LabelFile, Rows},
        list, mat,
    },
    log::{EpochLog, parse_metrics},
    picture::{LabelMap, decode_mask, decode_photo, encode_mask, encode_photo},
    refine::{Masks, Reading},
    settings::{Config, PRESETS},
};
use wseg_tests::golden::Golden;

/// Damaged files for each reader.
const FILES: u64 = 3000;
/// No file may take longer; what is allowed is far more than any takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Numbers at which sizes go wrong.
const SIZES: [u32; 14] = [0, 1, 4, 5, 7, 8, 127, 128, 255, 256, 65_535, 0x7fff_ffff, 0x8000_0000, u32::MAX];

/// A damaged copy of one of `seeds`.
fn damaged(seeds: &[Vec<u8>], words: &[&str], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..rng.random_range(1..=6) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..=32)).min(bytes.len());
        match rng.random_range(0..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 | 3 if at + 4 <= bytes.len() => {
                let size = SIZES[rng.random_range(0..SIZES.len())];
                let size = if rng.random() { size.to_le_bytes() } else { size.to_be_bytes() };
                bytes[at..at + 4].copy_from_slice(&size);
            }
            4 => drop(bytes.drain(at..end)),
            5 => {
                let copy = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            6 if rng.random_range(0..4) == 0 => bytes.truncate(at),
            7 => {
                // The start of one file, the end of another.
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
            _ if !words.is_empty() => {
                let word = words[rng.random_range(0..words.len())];
                drop(bytes.splice(at..end.min(at + word.len()), word.bytes()));
            }
            _ => {}
        }
        bytes.truncate(1 << 20);
    }
    bytes
}

/// Runs a reader on damaged files; it says whether it took one, or with which sentence it refused it.
fn run(name: &str, seeds: &[Vec<u8>], words: &[&str], mut read: impl FnMut(&[u8]) -> Result<(), String>) {
    let seconds = std::env::var("WSEG_MUTATE_SECONDS").ok().and_then(|text| text.parse().ok());
    let longer: Option<Duration> = seconds.map(Duration::from_secs);
    for seed in seeds {
        assert_eq!(read(seed), Ok(()), "{name}: a file to start from cannot be read");
    }
    let started = Instant::now();
    let (mut taken, mut refused) = (0_u64, 0_u64);
    while longer.map_or(taken + refused < FILES, |longer| started.elapsed() < longer) {
        let mut rng = ChaCha8Rng::seed_from_u64(taken + refused);
        let bytes = damaged(seeds, words, &mut rng);
        let before = Instant::now();
        match read(&bytes) {
            Ok(()) => taken += 1,
            Err(sentence) => {
                assert!(!sentence.contains('\n') && sentence.len() < 1000, "{name}: {sentence}");
                refused += 1;
            }
        }
        let took = before.elapsed();
        assert!(took < LIMIT, "{name}: {took:?} for file {}", taken + refused - 1);
    }
    println!("{name}: {taken} files read, {refused} refused in {:.1?}", started.elapsed());
    assert!(refused > 0, "{name}: no damage was noticed");
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first of several problems, after a look at each.
fn first(problems: Problems) -> Result<(), String> {
    let told = problems.into_told();
    for problem in &told {
        assert!(!problem.contains('\n') && problem.len() < 1000, "{problem}");
    }
    told.into_iter().next().map_or(Ok(()), Err)
}

fn picture() -> RgbImage {
    RgbImage::from_fn(37, 23, |x, y| image::Rgb([(x * 7) as u8, (y * 11) as u8, (x * y) as u8]))
}

/// A PNG with the checksums that its chunks should have: without them no damage gets past the first.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes) {
        let end = at + 8 + length as usize;
        let Some(chunk) = bytes.get(at + 4..end) else { break };
        let mut crc = Crc::new();
        crc.update(chunk);
        let sum = crc.sum().to_be_bytes();
        let Some(place) = bytes.get_mut(end..end + 4) else { break };
        place.copy_from_slice(&sum);
        at = end + 4;
    }
    bytes
}

fn mask_of(bytes: &[u8]) -> Result<(), String> {
    let mask = mat::decode_gtcls(bytes).map_err(|error| error.to_string())?;
    assert_eq!(mask.labels.len(), mask.width * mask.height);
    Ok(())
}

#[test]
fn matlab_files() {
    let seeds =
        ["gtcls_a.mat", "gtcls_a_compressed.mat", "gtcls_b_compressed.mat"].map(|name| fixture(&format!("mat/{name}")));
    run("mat", &seeds, &["GTcls", "Segmentation", "IM", "MI"], mask_of);
}

#[test]
fn matlab_files_whose_checksums_hold() {
    // A variable is damaged, then compressed, so that the damage is behind a checksum.
    let seeds = ["gtcls_a.mat", "gtcls_b.mat"].map(|name| fixture(&format!("mat/{name}"))[128..].to_vec());
    let header = fixture("mat/gtcls_a.mat")[..128].to_vec();
    run("mat, compressed", &seeds, &["GTcls", "Segmentation"], |variable| {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut zlib, variable).unwrap();
        let stream = zlib.finish().unwrap();
        let tag = [15_u32.to_le_bytes(), (stream.len() as u32).to_le_bytes()].concat();
        mask_of(&[header.clone(), tag, stream].concat())
    });
}

#[test]
fn label_files() {
    let csv = b"image,labels\n# remark\na.jpg,cat\n\"b, \"\"2\"\"/c\",dog;cat\nd,\n\n\xc3\xa9,dog\n".to_vec();
    let jsonl = b"{\"image\": \"a.jpg\", \"labels\": [\"cat\"]}\n\n{\"labels\": [\"dog\", \"cat\"], \"x\": [{}, null, 1e9], \"image\": \"b\"}\n".to_vec();
    let classes = Classes::of_objects(["cat", "dog"]).unwrap();
    let words = ["\"", ",", ";", "\n", "\r\n", "#", "cat", "{", "}", "[[[[", "\\u0000", "1e999", "\u{feff}"];
    for (name, seed) in [("labels.csv", csv), ("labels.jsonl", jsonl)] {
        run(name, &[seed], &words, |bytes| {
            let mut problems = Problems::default();
            let rows = Rows::parse(Path::new(name), &text(bytes), &mut problems);
            let labels = LabelFile::new(&rows, &classes, &mut problems);
            for image in labels.images() {
                assert_eq!(labels.labels(&image.name).unwrap(), &image.labels);
                assert!(!Path::new(&image.name).is_absolute() && !image.name.split('/').any(|part| part == ".."));
            }
            if let Err(error) = rows.classes() {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
            first(problems)
        });
    }
}

#[test]
fn lists_and_class_names() {
    let names = b"2007_000033\n\n a b \nc.jpg\n".to_vec();
    let pairs =
        b"/JPEGImages/a.jpg /SegmentationClass/a.png\n/JPEGImages/b c.jpg\t/SegmentationClass/b c.mat\n".to_vec();
    run("list", &[names, pairs], &["/", "..", ".jpg", " ", ".png", "\n", "\t", "\u{feff}"], |bytes| {
        let mut problems = Problems::default();
        for line in list::parse(Path::new("train.txt"), &text(bytes), &mut problems) {
            // Wherever the parts of a line lead, it is below the data set's folder or up from it, never elsewhere.
            assert!(line.photo_in(Path::new("root")).starts_with("root"), "{line:?}");
            assert!(line.mask_in(Path::new("root")).is_none_or(|mask| mask.starts_with("root")), "{line:?}");
        }
        first(problems)
    });
    let classes = b"background\ncat\ndog\n".to_vec();
    run("classes.txt", &[classes], &["background", "\n", ",", ";", "\u{feff}"], |bytes| {
        Classes::parse(Path::new("classes.txt"), &text(bytes)).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn masks() {
    let map = LabelMap { width: 37, height: 23, labels: (0..37 * 23).map(|pixel| (pixel / 9 % 21) as u8).collect() };
    let grey = image::GrayImage::from_raw(37, 23, map.labels.clone()).unwrap();
    let mut grey_png = std::io::Cursor::new(Vec::new());
    grey.write_to(&mut grey_png, ImageFormat::Png).unwrap();
    let seeds = [encode_mask(&map).unwrap(), grey_png.into_inner()];
    run("mask, PNG", &seeds, &["IHDR", "IDAT", "PLTE", "tRNS", "IEND", "acTL"], |bytes| {
        let mask = decode_mask(Path::new("mask.png"), &with_checksums(bytes)).map_err(|error| error.to_string())?;
        assert_eq!(mask.labels.len(), mask.width * mask.height);
        Ok(())
    });
}

#[test]
fn arrays() {
    let plain = |kind: &str, shape: &str, elements: &[u8]| {
        let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
        [b"\x93NUMPY\x01\0\x76\0", format!("{text:<117}\n").as_bytes(), elements].concat()
    };
    let seeds = [
        plain("<f4", "(2, 2, 3)", &0.5_f32.to_le_bytes().repeat(12)),
        plain("<f2", "(3, 4)", &[0, 0x38].repeat(12)),
        plain("|u1", "(3, 4)", &[0, 1, 2, 255].repeat(3)),
        plain("<i8", "(1, 2)", &1_i64.to_le_bytes().repeat(2)),
    ];
    let reading = Reading { confidence: 0.7, grey_labels: false, array: None };
    let read = |name: &str, bytes: &[u8]| {
        let masks = Masks::decode_array(Path::new(name), bytes, reading).map_err(|error| error.to_string())?;
        assert_eq!(masks.values.len(), masks.labels.len() * masks.width * masks.height);
        Ok(())
    };
    let words = ["<f8", "|b1", "(9999999999, 9999999999)", "(0, 1)", "True", "shape", "-1", "\x01\0"];
    run("array, NumPy", &seeds, &words, |bytes| read("mask.npy", bytes));
    // The archive is whole, so that the damage is in its array.
    run("array, archive", &seeds, &words, |bytes| read("mask.npz", &archive(bytes)));
    run("archive, NumPy", &seeds.map(|seed| archive(&seed)), &["PK\x03\x04", "PK\x05\x06", ".npy", "\0\0"], |bytes| {
        read("mask.npz", bytes)
    });
}

/// An archive with one array, as `np.savez_compressed` writes it.
fn archive(array: &[u8]) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut packed, array).unwrap();
    let (packed, name) = (packed.finish().unwrap(), b"mask.npy");
    let mut checksum = Crc::new();
    checksum.update(array);
    let mut common = [20_u16, 0, 8, 0, 33].map(u16::to_le_bytes).concat();
    common.extend([checksum.sum(), packed.len() as u32, array.len() as u32].map(u32::to_le_bytes).concat());
    common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
    let mut bytes = [b"PK\x03\x04", common.as_slice(), name, &packed].concat();
    let start = bytes.len() as u32;
    let entry = [b"PK\x01\x02\x14\0", common.as_slice(), &[0; 10], &[0; 4], name].concat();
    bytes.extend(&entry);
    bytes.extend([b"PK\x05\x06\0\0\0\0\x01\0\x01\0", (entry.len() as u32).to_le_bytes().as_slice()].concat());
    bytes.extend([start.to_le_bytes().as_slice(), &[0, 0]].concat());
    bytes
}

#[test]
fn photos() {
    let [jpeg, png] = [ImageFormat::Jpeg, ImageFormat::Png].map(|format| encode_photo(&picture(), format).unwrap());
    let read = |bytes: &[u8]| {
        let photo = decode_photo(Path::new("photo"), bytes).map_err(|error| error.to_string())?;
        assert_eq!(photo.as_raw().len(), 3 * photo.width() as usize * photo.height() as usize);
        Ok(())
    };
    run("photo, JPEG", &[jpeg], &["Exif\0\0II*\0", "\u{ff}\u{d9}"], read);
    run("photo, PNG", &[png], &["IHDR", "IDAT", "eXIf", "iCCP", "tRNS", "IEND"], |bytes| read(&with_checksums(bytes)));
}

#[test]
fn settings() {
    let seeds: Vec<Vec<u8>> = PRESETS.iter().map(|preset| preset.text.as_bytes().to_vec()).collect();
    run("settings, TOML", &seeds, &["[", "]", "=", "\n", "1e999", "-1", "nan", "[recipe]", "\"", "'''"], |bytes| {
        let config = Config::parse(Path::new("settings"), &text(bytes))?;
        config.settings(None).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn logs() {
    let log = EpochLog { epoch: 1, validation_ap: [("cat".to_owned(), None)].into(), ..EpochLog::default() };
    let line = log.line().unwrap();
    let seed = format!("{line}\n{}\n", line.replace("\"epoch\":1", "\"epoch\":2")).into_bytes();
    run("metrics.jsonl", &[seed], &["{", "}", "\n", "null", "1e999", "\"epoch\":", "-1"], |bytes| {
        parse_metrics(bytes).map(drop)
    });
}

#[test]
fn golden_files() {
    let seeds = ["stochastic_gate.safetensors", "pamr_tiny.safetensors"].map(fixture);
    run("golden", &seeds, &["in.", "out.", "{", "}", "\"op\"", "F64", "9999999999", "__metadata__"], |bytes| {
        let golden = Golden::from_bytes(Path::new("golden"), bytes.to_vec()).map_err(|error| error.to_string())?;
        for name in golden.outputs() {
            golden.array(&format!("out.{name}")).map_err(|error| error.to_string())?;
        }
        Ok(())
    });
}
