//! Damaged JPEG and PNG bytes: every reader of pictures answers with a picture or one sentence, in bounded memory.
//!
//! A process of its own, so that its peak of memory is that of the readers.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use image::{ImageFormat, Rgb, RgbImage};
use wseg::picture::{LabelMap, encode_mask, encode_photo, photo_size, read_mask, read_photo};

/// Damaged copies of every file.
const COPIES: usize = 150;
/// Copies of every file that claim another size.
const SIZES: usize = 8;
/// Most memory that reading any of them may take: the largest picture that is read at all, 64 megapixels, decoded with the
/// tables of a progressive JPEG.
#[cfg(target_os = "linux")]
const MOST_KIB: u64 = 1_280 << 10;

/// Numbers that look random: xorshift.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.throw() % end.max(1) as u64) as usize
    }
}

fn whole_files() -> Vec<(String, Vec<u8>)> {
    let photo = RgbImage::from_fn(40, 27, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]));
    let mask = LabelMap { width: 40, height: 27, labels: (0..40 * 27).map(|at| (at % 21) as u8).collect() };
    let mut files = vec![
        ("plain.jpg".to_owned(), encode_photo(&photo, ImageFormat::Jpeg).unwrap()),
        ("plain.png".to_owned(), encode_photo(&photo, ImageFormat::Png).unwrap()),
        ("mask.png".to_owned(), encode_mask(&mask).unwrap()),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pictures");
    for name in ["progressive_420.jpg", "baseline_422_restarts.jpg", "cmyk.jpg", "grey_progressive.jpg"] {
        files.push((name.to_owned(), fs::read(folder.join(name)).unwrap()));
    }
    files
}

fn damaged(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..1 + dice.below(6) {
        let at = dice.below(bytes.len());
        match dice.below(6) {
            0 => bytes[at] = dice.throw() as u8,
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes[at] = [0, 0xff, 0x7f, 0x80][dice.below(4)],
            3 => drop(bytes.drain(at..(at + 1 + dice.below(9)).min(bytes.len()))),
            4 => {
                let piece = bytes[at..(at + 1 + dice.below(40)).min(bytes.len())].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(at.max(2)),
        }
        if bytes.is_empty() {
            return vec![0xff];
        }
    }
    // Half of the PNGs get their checksums back, or nothing behind the first would ever be looked at.
    if bytes.starts_with(b"\x89PNG") && dice.below(2) == 0 {
        mend_checksums(&mut bytes);
    }
    bytes
}

/// Another width and height in the frame header of a JPEG or the first chunk of a PNG.
fn resized(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    if bytes.starts_with(b"\x89PNG") {
        for side in [16, 20] {
            let extent = dice.throw() as u32 >> dice.below(32);
            bytes[side..side + 4].copy_from_slice(&extent.to_be_bytes());
        }
        mend_checksums(&mut bytes);
    } else {
        let frame = bytes.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
        for side in [5, 7] {
            let extent = dice.throw() as u16 >> dice.below(8);
            bytes[frame + side..frame + side + 2].copy_from_slice(&extent.to_be_bytes());
        }
    }
    bytes
}

/// Makes the checksum of every chunk right that is whole.
fn mend_checksums(png: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = png.get(at..at + 4).map(|l| u32::from_be_bytes([l[0], l[1], l[2], l[3]]) as usize) {
        let end = at.saturating_add(8).saturating_add(length);
        if end.saturating_add(4) > png.len() {
            return;
        }
        let checksum = crc32fast::hash(&png[at + 4..end]);
        png[end..end + 4].copy_from_slice(&checksum.to_be_bytes());
        at = end + 4;
    }
}

/// Reads a file in every way; a refusal must be one sentence about the file.
fn read_all(path: &Path) {
    let refusals = [photo_size(path).err(), read_photo(path).err(), read_mask(path).err()];
    for error in refusals.into_iter().flatten() {
        let told = error.to_string();
        assert!(
            error.exit_code() == 2 && told.starts_with(&path.display().to_string()) && !told.contains('\n'),
            "{told}"
        );
    }
    if let (Ok(size), Ok(photo)) = (photo_size(path), read_photo(path)) {
        assert_eq!(photo.dimensions(), size);
    }
}

/// Peak of the address space so far.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn damaged_pictures_are_read_or_refused_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("picture");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    #[cfg(target_os = "linux")]
    let before = peak_kib();
    let (mut read, mut refused) = (0, 0);
    for (name, whole) in whole_files() {
        for copy in 0..COPIES + SIZES {
            let bytes = if copy < COPIES { damaged(&whole, &mut dice) } else { resized(&whole, &mut dice) };
            fs::write(&path, &bytes).unwrap();
            let outcome = catch_unwind(|| {
                read_all(&path);
                read_photo(&path).is_ok()
            });
            match outcome {
                Ok(true) => read += 1,
                Ok(false) => refused += 1,
                Err(_) => panic!("copy {copy} of {name}, {} bytes, made a reader panic", bytes.len()),
            }
        }
    }
    // Damage that nothing notices, or that all is refused for, would test nothing.
    assert!(read > 50 && refused > 300, "{read} read, {refused} refused");
    #[cfg(target_os = "linux")]
    {
        let grown = peak_kib() - before;
        assert!(grown < MOST_KIB, "reading took {} MiB", grown >> 10);
    }
}

/// Chroma is enlarged and inverse transforms are rounded in other ways than Pillow's: a few grey levels.
#[test]
fn kinds_we_do_not_write_look_as_in_pillow() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pictures");
    for name in ["progressive_420", "baseline_422_restarts", "cmyk", "grey_progressive"] {
        let ours = read_photo(&folder.join(format!("{name}.jpg"))).unwrap();
        let pillow = read_photo(&folder.join(format!("{name}.png"))).unwrap();
        assert_eq!(ours.dimensions(), pillow.dimensions());
        let differences: Vec<u8> = ours.iter().zip(pillow.iter()).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / differences.len() as f64;
        let worst = differences.iter().max().unwrap();
        assert!(mean < 0.8 && *worst <= 8, "{name}: {mean:.2} on average, {worst} at most");
    }
}
