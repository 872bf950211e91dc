//! `wseg predict`: what it takes, what it leaves, and how it goes on after photos that cannot be used.

mod cli;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use cli::{DataSet, Done, command, photo, wseg};
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, codecs::jpeg::JpegEncoder};
use serde_json::Value;
use wseg::picture::{read_mask, write_photo};

/// A data set with a network that was trained for two steps, and photos to segment.
struct Setting {
    data: DataSet,
    checkpoint: PathBuf,
    photos: PathBuf,
    out: PathBuf,
}

impl Setting {
    fn new() -> Self {
        let data = DataSet::new();
        let run = data.beside("run");
        let flags = ["--epochs", "1", "--batch", "2", "--crop", "32", "--set", "pamr_dilations=[1]", "--quiet"];
        let line = ["train", "--data", data.root.to_str().unwrap(), "--out", run.to_str().unwrap()];
        wseg(line.iter().chain(&flags)).good();
        let (photos, out) = (data.beside("my photos \u{e4}\u{6f22}"), data.beside("masks"));
        fs::create_dir(&photos).unwrap();
        Self { data, checkpoint: run.join("last.safetensors"), photos, out }
    }

    fn line(&self, images: &Path, flags: &[&str]) -> Vec<std::ffi::OsString> {
        let mut line: Vec<std::ffi::OsString> =
            vec!["predict".into(), "--checkpoint".into(), (&self.checkpoint).into()];
        line.extend(["--images".into(), images.into(), "--out".into(), (&self.out).into()]);
        line.extend(flags.iter().map(Into::into));
        line
    }

    fn predict(&self, flags: &[&str]) -> Done {
        wseg(self.line(&self.photos, flags))
    }

    /// The results' names, sorted.
    fn results(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.out).map(|entries| entries.map(|entry| entry.unwrap()).collect());
        let entries: Vec<fs::DirEntry> = entries.unwrap_or_default();
        let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn add(&self, name: &str) {
        write_photo(&self.photos.join(name), &photo(1)).unwrap();
    }
}

/// A JPEG of one colour: a frame and a scan of one block for each channel. Black and inverted, as Adobe writes CMYK.
fn cmyk_jpeg() -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00".to_vec();
    bytes.extend([0xff, 0xdb, 0, 67, 0]);
    bytes.extend([1; 64]);
    bytes.extend([0xff, 0xc0, 0, 20, 8, 0, 8, 0, 8, 4]);
    (1..=4).for_each(|id| bytes.extend([id, 0x11, 0]));
    // One code for each table, of one bit: difference 0, and end of block.
    for class in [0x00, 0x10] {
        bytes.extend([0xff, 0xc4, 0, 20, class, 1]);
        bytes.extend([0; 16]);
    }
    bytes.extend([0xff, 0xda, 0, 14, 4]);
    (1..=4).for_each(|id| bytes.extend([id, 0]));
    bytes.extend([0, 63, 0, 0x00, 0xff, 0xd9]);
    bytes
}

/// A JPEG that is to be turned by a quarter.
fn turned_jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixels = photo(1);
    let encoder = JpegEncoder::new(&mut bytes);
    encoder.write_image(&pixels, pixels.width(), pixels.height(), ExtendedColorType::Rgb8).unwrap();
    let tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00";
    let length = (2 + 6 + tiff.len() as u16).to_be_bytes();
    [&bytes[..2], b"\xff\xe1", &length, b"Exif\0\0", tiff, &bytes[2..]].concat()
}

#[test]
fn a_folder_of_all_kinds_is_done_and_what_cannot_be_used_is_named() {
    let setting = Setting::new();
    let at = |name: &str| setting.photos.join(name);
    let pixels = DynamicImage::from(photo(1));
    for (name, picture) in [
        ("grey.png", DynamicImage::from(pixels.to_luma8())),
        ("sheer.PNG", pixels.to_rgba8().into()),
        ("deep 16.png", pixels.to_rgb16().into()),
        ("deep grey.png", pixels.to_luma16().into()),
        ("\u{e4}\u{f6} \u{732b}.PNG", pixels.clone()),
        ("dot.png", pixels.crop_imm(20, 20, 1, 1)),
        ("line.png", pixels.resize_exact(20_000, 10, image::imageops::FilterType::Nearest)),
    ] {
        picture.save_with_format(at(name), image::ImageFormat::Png).unwrap();
    }
    fs::write(at("turned.JPG"), turned_jpeg()).unwrap();
    fs::write(at("ink.JPEG"), cmyk_jpeg()).unwrap();
    fs::write(at("empty.jpg"), "").unwrap();
    fs::write(at("poem.jpg"), "a poem").unwrap();
    fs::write(at("cut.jpg"), &turned_jpeg()[..400]).unwrap();

    let done = setting.predict(&["--json", "--scales", "1,0.5", "--save", "masks,overlay,color,probs,scores"]);
    assert_eq!(done.code, 2, "{}", done.err);
    for (name, problem) in [("empty.jpg", "empty"), ("poem.jpg", "neither a JPEG nor a PNG"), ("cut.jpg", "cut off")] {
        let told = done.err.lines().any(|line| line.contains(name) && line.contains(problem));
        assert!(told, "{name}: {}", done.err);
    }
    assert!(done.err.contains("error: 3 of 12 photos could not be segmented:"), "{}", done.err);
    let expected = [
        ("grey", (48, 40)),
        ("sheer", (48, 40)),
        ("deep 16", (48, 40)),
        ("deep grey", (48, 40)),
        ("\u{e4}\u{f6} \u{732b}", (48, 40)),
        ("dot", (1, 1)),
        ("line", (20_000, 10)),
        ("turned", (40, 48)),
        ("ink", (8, 8)),
    ];
    for (name, size) in expected {
        let mask = read_mask(&setting.out.join(format!("{name}.png"))).unwrap();
        assert_eq!((mask.width, mask.height), size, "{name}");
        let coloured = image::open(setting.out.join(format!("{name}_color.png"))).unwrap().into_rgb8();
        assert!(coloured.pixels().zip(&mask.labels).all(|(pixel, &label)| pixel.0 == wseg::palette::colour(label)));
        let overlay = wseg::picture::read_photo(&setting.out.join(format!("{name}_overlay.jpg"))).unwrap();
        assert!(overlay.width() as usize >= size.0 && overlay.height() as usize >= size.1, "{name}");
    }
    assert_eq!(setting.results().len(), 5 * expected.len(), "{:?}", setting.results());
    // The same pixels in RGB and in sixteen bits are the same photo.
    let bytes = |name: &str| fs::read(setting.out.join(name)).unwrap();
    assert_eq!(bytes("deep 16_probs.npy"), bytes("\u{e4}\u{f6} \u{732b}_probs.npy"));
    assert_eq!(bytes("deep 16_probs.npy"), bytes("sheer_probs.npy"));
    let lines: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 13);
    assert_eq!(lines.iter().filter(|line| line["error"].is_string()).count(), 3);
    let summary = &lines[12]["summary"];
    let counts = ["photos", "segmented", "skipped", "failed"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [12, 9, 0, 3]);
}

/// Shape and values of a file in half precision.
fn read_npy(path: &Path) -> (String, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((end % 64, bytes[end - 1]), (0, b'\n'));
    let header = String::from_utf8(bytes[10..end].to_vec()).unwrap();
    let values = bytes[end..].as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect();
    (header.trim_end().to_owned(), values)
}

#[test]
fn probabilities_agree_with_the_mask_and_scores_with_the_classes() {
    let setting = Setting::new();
    setting.add("a.jpg");
    // Tiles of 64 pixels where the largest view has 96 x 80, and the photo as a whole.
    for tile in ["64", "1024"] {
        let flags = ["--save", "masks,probs,scores", "--scales", "1,2", "--threshold", "0", "--tile", tile, "--json"];
        let out = setting.predict(&flags).good();
        let found: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        let (header, probs) = read_npy(&setting.out.join("a_probs.npy"));
        assert_eq!(header, "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 40, 48), }");
        let mask = read_mask(&setting.out.join("a.png")).unwrap();
        let pixels = mask.labels.len();
        for (pixel, &label) in mask.labels.iter().enumerate() {
            let of = |channel: usize| probs[channel * pixels + pixel];
            assert!((of(0) + of(1) + of(2) - 1.0).abs() < 2e-3, "half precision has 11 bits");
            assert!((0..3).all(|channel| of(channel) <= of(usize::from(label))));
        }
        let (header, scores) = read_npy(&setting.out.join("a_scores.npy"));
        assert!(header.contains("'shape': (2,)") && scores.iter().all(|score| (0.0..=1.0).contains(score)));
        for class in found["classes"].as_array().unwrap() {
            let index = if class["class"] == "cat" { 0 } else { 1 };
            assert!((class["confidence"].as_f64().unwrap() - f64::from(scores[index])).abs() < 1e-3);
        }
    }
}

#[test]
fn the_crf_refines_the_probabilities_that_are_saved() {
    let setting = Setting::new();
    setting.add("a.jpg");
    let probabilities = |flags: &[&str]| {
        let all = ["--save", "probs", "--scales", "1", "--threshold", "0"].iter().chain(flags);
        setting.predict(&all.copied().collect::<Vec<_>>()).good();
        read_npy(&setting.out.join("a_probs.npy")).1
    };
    let plain = probabilities(&[]);
    let far = |other: &[f32]| plain.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // Without an iteration the field is the probabilities themselves.
    assert!(far(&probabilities(&["--crf", "--crf-iterations", "0"])) < 2e-3);
    let refined = probabilities(&["--crf"]);
    assert!(far(&refined) > 0.01, "{}", far(&refined));
    let pixels = plain.len() / 3;
    assert!((0..pixels).all(|p| (refined[p] + refined[p + pixels] + refined[p + 2 * pixels] - 1.0).abs() < 2e-3));
}

#[test]
fn a_mask_is_an_eight_bit_palette_png_with_the_colours_of_voc() {
    let setting = Setting::new();
    setting.add("a.jpg");
    setting.predict(&["--save", "masks"]).good();
    let bytes = fs::read(setting.out.join("a.png")).unwrap();
    assert_eq!((bytes[24], bytes[25]), (8, 3), "eight bits, colour type 3: Pillow's mode P");
    let palette = bytes.windows(4).position(|name| name == b"PLTE").unwrap();
    assert_eq!(bytes[palette + 4..palette + 10], [0, 0, 0, 128, 0, 0]);
    assert_eq!(bytes[palette - 4..palette], 768_u32.to_be_bytes(), "all 256 colours");
}

#[test]
fn a_job_that_was_cut_off_goes_on_and_shards_are_the_whole() {
    let setting = Setting::new();
    for name in ["a.jpg", "b.jpg", "c.png", "d.jpg", "e.jpg"] {
        setting.add(name);
    }
    let summary = |flags: &[&str]| {
        let out = setting.predict(flags).good();
        let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        ["photos", "segmented", "skipped"].map(|key| last["summary"][key].as_u64().unwrap())
    };
    assert_eq!(summary(&["--json", "--shard", "1/3", "--save", "masks"]), [2, 2, 0]);
    assert_eq!(setting.results(), ["a.png", "d.png"]);
    assert_eq!(summary(&["--json", "--shard", "2/3", "--save", "masks"]), [2, 2, 0]);
    let before = fs::read(setting.out.join("a.png")).unwrap();
    fs::write(setting.out.join("a.png"), "kept").unwrap();
    assert_eq!(summary(&["--json", "--skip-existing", "--save", "masks"]), [5, 1, 4]);
    assert_eq!(fs::read(setting.out.join("a.png")).unwrap(), b"kept");
    // What is asked for is not all there.
    assert_eq!(summary(&["--json", "--skip-existing", "--save", "masks,scores", "--batch", "3"]), [5, 5, 0]);
    assert_eq!(fs::read(setting.out.join("a.png")).unwrap(), before, "a batch changes nothing");
    assert_eq!(setting.results().len(), 10);
    assert_eq!(summary(&["--json", "--shard", "9/9"]), [0, 0, 0]);
}

#[test]
fn photos_come_from_patterns_and_standard_input() {
    let setting = Setting::new();
    for name in ["a1.jpg", "a 2.JPG", "b.jpg"] {
        setting.add(name);
    }
    wseg(setting.line(&setting.photos.join("a*"), &["--save", "masks", "--quiet"])).good();
    assert_eq!(setting.results(), ["a 2.png", "a1.png"]);
    let mut child = command()
        .args(setting.line(Path::new("-"), &["--save", "masks", "--quiet"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let paths = format!("{0}/b.jpg\n{0}/gone.jpg\n", setting.photos.display());
    child.stdin.take().unwrap().write_all(paths.as_bytes()).unwrap();
    let done = Done::from(child.wait_with_output().unwrap());
    done.refused(&["gone.jpg: no such file"]);
    assert_eq!(setting.results(), ["a 2.png", "a1.png", "b.png"], "the rest is done");
}

#[test]
fn photos_are_never_overwritten() {
    let setting = Setting::new();
    setting.add("a.png");
    let before = fs::read(setting.photos.join("a.png")).unwrap();
    let Setting { data, checkpoint, photos, .. } = setting;
    let setting = Setting { out: photos.clone(), data, checkpoint, photos };
    setting.predict(&["--quiet"]).refused(&["a.png", "would be overwritten", "--out"]);
    assert_eq!(fs::read(setting.photos.join("a.png")).unwrap(), before);
    setting.add("a_color.jpg");
    let setting = Setting { out: setting.data.beside("masks"), ..setting };
    setting.predict(&["--quiet", "--save", "masks,color"]).refused(&["a_color.png", "`a`", "`a_color`"]);
    assert!(!setting.out.exists());
    for flags in [["--shard", "0/2"], ["--shard", "3/2"], ["--tile", "5"], ["--batch", "0"]] {
        assert_eq!(setting.predict(&flags).code, 2, "{flags:?}");
    }
}
