//! Readers and writers against files of every kind, good and bad.

mod kinds;

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use png::{BitDepth, ColorType};
use proptest::prelude::*;

use super::*;
use crate::palette;

const NAME: &str = "the-file";

fn photo(bytes: &[u8]) -> Result<RgbImage> {
    decode_photo(Path::new(NAME), bytes)
}

fn mask(bytes: &[u8]) -> Result<LabelMap> {
    decode_mask(Path::new(NAME), bytes)
}

/// The refusal's sentence, after checking what every refusal must be.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.expect_err("should be refused");
    assert_eq!(error.exit_code(), 2);
    let sentence = error.to_string();
    assert!(sentence.starts_with(NAME) && !sentence.contains('\n'), "{sentence}");
    sentence
}

fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]))
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    encode_photo(picture, ImageFormat::Jpeg).unwrap()
}

fn png_of(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A PNG straight from packed samples.
fn raw_png(width: u32, height: u32, colour: ColorType, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(Cow::Borrowed(&palette::VOC.as_flattened()[..3 << depth as u8]));
    }
    encoder.write_header().unwrap().write_image_data(samples).unwrap();
    bytes
}

/// What EXIF holds of an orientation.
fn tiff(orientation: u8) -> Vec<u8> {
    [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" as &[u8], &[orientation, 0, 0, 0], &[0; 4]].concat()
}

/// `bytes` of a JPEG with an EXIF segment of the given orientation after the start marker.
fn with_orientation(bytes: &[u8], orientation: u8) -> Vec<u8> {
    let content = [b"Exif\0\0", tiff(orientation).as_slice()].concat();
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&bytes[..2], &[0xff, 0xe1], &length, &content, &bytes[2..]].concat()
}

/// An 8 x 8 JPEG of one colour: its channels have the values 0, 128 or 255, and one block each that has nothing but its
/// mean. `adobe` is the transformation that a segment of Adobe's programs names: 0 none, 1 YCbCr, 2 YCCK.
fn flat_jpeg(adobe: Option<u8>, channels: &[u8]) -> Vec<u8> {
    let count = channels.len() as u8;
    let mut bytes = b"\xff\xd8".to_vec();
    if let Some(transform) = adobe {
        bytes.extend(b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00");
        bytes.push(transform);
    }
    bytes.extend([&[0xff, 0xdb, 0, 67, 0], [1; 64].as_slice()].concat());
    bytes.extend([0xff, 0xc0, 0, 8 + 3 * count, 8, 0, 8, 0, 8, count]);
    bytes.extend((1..=count).flat_map(|id| [id, 0x11, 0]));
    // Means of ten bits are announced by 00, of eleven by 01, none by 10; all other coefficients are ended by 0.
    bytes.extend([&[0xff, 0xc4, 0, 22, 0x00, 0, 3], [0; 14].as_slice(), &[10, 11, 0]].concat());
    bytes.extend([&[0xff, 0xc4, 0, 20, 0x10, 1], [0; 15].as_slice(), &[0]].concat());
    bytes.extend([0xff, 0xda, 0, 6 + 2 * count, count]);
    bytes.extend((1..=count).flat_map(|id| [id, 0]));
    bytes.extend([0, 63, 0]);
    // 255 is (255 - 128) * 8 = 1016, in ten bits; 0 is -1024, in eleven bits, negative ones counted from 2047 down.
    let code = |&value: &u8| match value {
        0 => "01011111111110",
        128 => "100",
        _ => "0011111110000",
    };
    let bits: String = channels.iter().map(code).collect();
    let bits = format!("{bits:1<56}");
    for byte in bits.as_bytes().chunks(8) {
        let value = byte.iter().fold(0_u8, |value, bit| value << 1 | (bit - b'0'));
        bytes.push(value);
        if value == 0xff {
            bytes.push(0);
        }
    }
    bytes.extend(b"\xff\xd9");
    bytes
}

#[test]
fn a_jpeg_comes_back_nearly_as_it_was() {
    let smooth = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 5) as u8, (y * 7) as u8, 90]));
    let back = photo(&jpeg(&smooth)).unwrap();
    assert_eq!(back.dimensions(), smooth.dimensions());
    // Chroma is halved and coefficients are rounded at this quality: a few grey levels.
    let worst = back.iter().zip(smooth.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst < 20, "{worst}");
}

#[test]
fn the_size_is_known_before_the_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    let stored = jpeg(&gradient(32, 16));
    for orientation in 1..=8 {
        let bytes = with_orientation(&stored, orientation);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(super::photo_size(&path).unwrap(), photo(&bytes).unwrap().dimensions(), "orientation {orientation}");
    }
    std::fs::write(&path, &stored[..stored.len() / 2]).unwrap();
    assert!(super::photo_size(&path).unwrap_err().to_string().contains("cut off"));
}

#[test]
fn a_cut_off_photo_is_refused() {
    let whole = jpeg(&gradient(64, 48));
    for end in [3, 20, whole.len() / 2, whole.len() - 40, whole.len() - 1] {
        assert!(refusal(photo(&whole[..end])).contains("cut off"), "at {end}");
    }
    let whole = png_of(gradient(64, 48));
    for end in [9, 40, whole.len() / 2] {
        assert!(refusal(photo(&whole[..end])).contains("corrupt"), "at {end}");
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    assert!(refusal(photo(b"GIF89a and so on")).contains("neither a JPEG nor a PNG"));
    assert!(refusal(photo(b"\xff\xd8\xff\xe0\x00\x04ab\xff\xd9")).contains("corrupt"));
    assert!(refusal(mask(&jpeg(&gradient(8, 8)))).contains("not a PNG"));
    let folder = tempfile::tempdir().unwrap();
    for (name, content, expected) in [("none.png", None, "no such file"), ("empty.png", Some(""), "empty")] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        for error in [read_photo(&path).unwrap_err(), read_mask(&path).unwrap_err()] {
            assert!(error.to_string().contains(name) && error.to_string().contains(expected), "{error}");
        }
    }
    assert!(read_photo(folder.path()).unwrap_err().to_string().contains("not a file"));
}

#[test]
fn sizes_beyond_the_limits_are_refused_before_decoding() {
    let mut header = raw_png(1, 1, ColorType::Indexed, BitDepth::Eight, &[0]);
    for (width, height) in [(0_u32, 5_u32), (70_000, 2), (30_000, 30_000), (u32::MAX >> 1, u32::MAX >> 1)] {
        header[16..20].copy_from_slice(&width.to_be_bytes());
        header[20..24].copy_from_slice(&height.to_be_bytes());
        let checksum = crc32(&header[12..29]);
        header[29..33].copy_from_slice(&checksum.to_be_bytes());
        refusal(photo(&header));
        refusal(mask(&header));
    }
    let mut wide = jpeg(&gradient(16, 16));
    let frame = wide.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    wide[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    assert!(refusal(photo(&wide)).contains("too "));
}

/// The checksum of PNG, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn palette_indices_of_any_depth_are_labels() {
    for (depth, packed, expected) in [
        (BitDepth::One, &[0b1010_0110, 0b1000_0000][..], &[1, 0, 1, 0, 0, 1, 1, 0, 1][..]),
        (BitDepth::Two, &[0b00_01_10_11, 0b10_00_00_00], &[0, 1, 2, 3, 2]),
        (BitDepth::Four, &[0x0f, 0x70], &[0, 15, 7]),
        (BitDepth::Eight, &[0, 20, 255], &[0, 20, 255]),
    ] {
        let read = mask(&raw_png(expected.len() as u32, 1, ColorType::Indexed, depth, packed)).unwrap();
        assert_eq!((read.width, read.height), (expected.len(), 1));
        assert_eq!(read.labels, expected, "{depth:?}");
    }
    let grey = mask(&raw_png(3, 2, ColorType::Grayscale, BitDepth::Eight, &[0, 1, 2, 3, 21, 255])).unwrap();
    assert_eq!(grey, LabelMap { width: 3, height: 2, labels: vec![0, 1, 2, 3, 21, 255] });
}

#[test]
fn voc_colours_are_labels_and_other_colours_are_not() {
    let colours: Vec<u8> = [0, 15, 255, 7].iter().flat_map(|&label| palette::colour(label)).collect();
    assert_eq!(mask(&raw_png(2, 2, ColorType::Rgb, BitDepth::Eight, &colours)).unwrap().labels, [0, 15, 255, 7]);
    let opaque: Vec<u8> = colours.chunks(3).flat_map(|rgb| [rgb, &[255]].concat()).collect();
    assert_eq!(mask(&raw_png(2, 2, ColorType::Rgba, BitDepth::Eight, &opaque)).unwrap().labels, [0, 15, 255, 7]);
    let mut odd = colours.clone();
    odd[10] += 1;
    let sentence = refusal(mask(&raw_png(2, 2, ColorType::Rgb, BitDepth::Eight, &odd)));
    assert!(sentence.contains("column 1, row 1"), "{sentence}");
    let mut sheer = opaque;
    sheer[3] = 254;
    assert!(refusal(mask(&raw_png(2, 2, ColorType::Rgba, BitDepth::Eight, &sheer))).contains("transparent"));
    for (colour, depth, samples) in [
        (ColorType::Grayscale, BitDepth::Four, &[0x12][..]),
        (ColorType::Grayscale, BitDepth::Sixteen, &[0, 1, 0, 2]),
        (ColorType::GrayscaleAlpha, BitDepth::Eight, &[1, 255, 2, 255]),
    ] {
        assert!(refusal(mask(&raw_png(2, 1, colour, depth, samples))).contains("bits"), "{colour:?} {depth:?}");
    }
}

#[test]
fn a_written_mask_is_palettised_with_voc_colours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("masks/a.png");
    let labels = LabelMap { width: 2, height: 2, labels: vec![0, 1, 20, 255] };
    write_mask(&path, &labels).unwrap();
    assert_eq!(read_mask(&path).unwrap(), labels);
    let painted: Vec<u8> = [0, 1, 20, 255].iter().flat_map(|&label| palette::colour(label)).collect();
    assert_eq!(read_photo(&path).unwrap().into_raw(), painted);
    let short = LabelMap { width: 2, height: 2, labels: vec![0] };
    assert!(write_mask(&folder.path().join("b.png"), &short).is_err());
    assert!(!folder.path().join("b.png").exists());
}

#[test]
fn a_photo_is_written_as_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let picture = gradient(9, 5);
    write_photo(&folder.path().join("a.PNG"), &picture).unwrap();
    assert_eq!(read_photo(&folder.path().join("a.PNG")).unwrap(), picture);
    write_photo(&folder.path().join("a.jpeg"), &picture).unwrap();
    assert!(std::fs::read(folder.path().join("a.jpeg")).unwrap().starts_with(b"\xff\xd8"));
    for name in ["a.gif", "a"] {
        assert_eq!(write_photo(&folder.path().join(name), &picture).unwrap_err().exit_code(), 2);
        assert!(!folder.path().join(name).exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_never_panic(start in 0..3_usize, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let start: &[u8] = [&b""[..], b"\xff\xd8", PNG_SIGNATURE][start];
        let bytes = [start, &bytes].concat();
        for error in [photo(&bytes).err(), mask(&bytes).err()].into_iter().flatten() {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn damaged_files_never_panic(
        kind in 0..3_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let picture = gradient(24, 17);
        let labels = LabelMap { width: 24, height: 17, labels: (0..24 * 17).map(|at| (at % 256) as u8).collect() };
        let mut bytes = vec![jpeg(&picture), png_of(picture), encode_mask(&labels).unwrap()].swap_remove(kind);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        for error in [photo(&bytes).err(), mask(&bytes).err()].into_iter().flatten() {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn masks_come_back_exactly(width in 1..40_usize, height in 1..40_usize, seed in any::<u64>()) {
        let mut state = seed | 1;
        let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state as u8 };
        let labels = LabelMap { width, height, labels: (0..width * height).map(|_| next()).collect() };
        prop_assert_eq!(mask(&encode_mask(&labels).unwrap()).unwrap(), labels);
    }
}
