//! `wseg eval`: what else it prints, in every format, and the archive for the test server.

mod cli;

use std::{fs, io::Read as _, path::Path};

use cli::{DataSet, Done, HEIGHT, WIDTH, mask, wseg};
use wseg::picture::{LabelMap, decode_mask, write_mask};

/// Two images: v0 is right, v1 is a dog taken for a cat. The folder has a space and a letter that is not ASCII.
struct Setting {
    data: DataSet,
    masks: std::path::PathBuf,
}

impl Setting {
    fn new() -> Self {
        let data = DataSet::new();
        let masks = data.beside("my m\u{e4}sks");
        for name in ["v0.png", "v1.PNG"] {
            write_mask(&masks.join(name), &mask(WIDTH, HEIGHT, 1)).unwrap();
        }
        Self { data, masks }
    }

    fn eval(&self, flags: &[&str]) -> Done {
        let root = &self.data.root;
        let mut line = vec!["eval".into(), "--pred".into(), self.masks.clone()];
        line.extend(["--gt".into(), root.join("SegmentationClass")]);
        line.extend(["--list".into(), root.join("ImageSets/Segmentation/val.txt")]);
        line.extend(flags.iter().map(Into::into));
        wseg(line)
    }
}

const ALL: [&str; 5] = ["--confusion", "--worst", "1", "--trimap", "4,1"];

#[test]
fn json_has_everything() {
    let setting = Setting::new();
    let flags: Vec<&str> = ALL.into_iter().chain(["--json"]).collect();
    let text = setting.eval(&flags).good();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["confusion"], serde_json::json!([[2688, 0, 0], [0, 576, 0], [0, 576, 0]]));
    assert_eq!(json["boundary"]["classes"], serde_json::json!([100.0, 50.0, 0.0]));
    assert_eq!(json["boundary"]["tolerance"], 0.0075);
    assert_eq!((&json["mean_f"], json["boundary"]["mean_f"].as_f64()), (&serde_json::Value::Null, Some(50.0)));
    // The narrowest band is the two contours of a 24 x 24 square: 92 pixels inside, 96 outside, in each image.
    assert_eq!((json["trimap"][0]["width"].as_u64(), json["trimap"][0]["pixels"].as_u64()), (Some(1), Some(2 * 188)));
    assert_eq!(json["trimap"][1]["width"], 4);
    let worst = &json["worst"];
    assert_eq!((worst.as_array().unwrap().len(), &worst[0]["name"]), (1, &"v1".into()));
    let ious = serde_json::json!([
        {"name": "background", "iou": 100.0}, {"name": "cat", "iou": 0.0}, {"name": "dog", "iou": 0.0}
    ]);
    assert_eq!(worst[0]["classes"], ious);
    // Threads change nothing, to the last digit.
    for threads in ["1", "3"] {
        let flags: Vec<&str> = flags.iter().copied().chain(["--threads", threads]).collect();
        assert_eq!(setting.eval(&flags).good(), text);
    }
}

#[test]
fn tables_come_as_text_markdown_and_csv() {
    let setting = Setting::new();
    let with = |format: &'static str| setting.eval(&[&ALL[..], &["--format", format]].concat()).good();
    let text = with("text");
    // Of v1's 1920 pixels, the 576 of the dog are wrong.
    for line in ["cat 0 576 0", "v1 33.3 70.0 33.3 background 100.0, cat 0.0, dog 0.0", "1 50.0 25.0 75.5 376"] {
        let has = |found: &str| found.split_whitespace().eq(line.split_whitespace());
        assert!(text.lines().any(has), "{line}: {text}");
    }
    let markdown = with("markdown");
    assert!(
        markdown.contains("| dog | 0 | 576 | 0 |") && markdown.contains("\n\nNear true borders\n\n| "),
        "{markdown}"
    );
    let csv = with("csv");
    let tables: Vec<&str> = csv.split("\n\n").collect();
    assert_eq!(tables.len(), 4, "{csv}");
    for table in tables {
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        assert!(reader.records().all(|record| record.is_ok()), "{table}");
    }
    assert!(csv.contains("\ncat,50,50,100,50,576\ndog,0,,0,0,576\n"), "{csv}");
}

#[test]
fn published_tables_stand_around_a_result_over_the_same_classes() {
    let setting = Setting::new();
    setting.eval(&["--compare", "paper"]).refused(&["not those of Pascal VOC", "--classes voc"]);
    let text = setting.eval(&["--compare", "paper", "--classes", "voc", "--format", "markdown"]).good();
    let ours = |mean: &str| {
        text.lines().any(|line| line.starts_with("| Ours + CRF | ") && line.ends_with(&format!("{mean} |")))
    };
    assert!(ours("62.7") && ours("64.3"), "{text}");
    // Values 1 and 2 are the aeroplane and the bicycle then.
    let own = "| this evaluation | 100.0 | 50.0 | 0.0 | -";
    assert_eq!(text.lines().filter(|line| line.starts_with(own)).count(), 2, "{text}");
}

/// Names and bytes of a tar archive's files.
fn untar(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    let text = |field: &[u8]| String::from_utf8(field.iter().copied().take_while(|byte| *byte != 0).collect()).unwrap();
    let (mut rest, mut files) = (bytes.as_slice(), Vec::new());
    while rest[0] != 0 {
        let (header, body) = rest.split_at(512);
        let octal = |field: &[u8]| usize::from_str_radix(text(field).trim(), 8).unwrap();
        let sum: usize =
            header.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { 32 } else { *b as usize }).sum();
        assert_eq!((octal(&header[148..156]), &header[257..265]), (sum, b"ustar\x0000".as_slice()));
        let size = octal(&header[124..136]);
        // A long path is parted in two.
        let parts = [text(&header[345..500]), text(&header[..100])];
        let path = parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("/");
        files.push((path, body[..size].to_vec()));
        rest = &body[size.next_multiple_of(512)..];
    }
    assert_eq!(rest, [0; 1024]);
    files
}

#[test]
fn a_submission_has_the_server_s_layout_and_needs_no_truth() {
    let setting = Setting::new();
    let [first, second] = ["a.tgz", "b.tgz"].map(|name| setting.data.beside(name));
    let submit = |archive: &Path| {
        let flags = ["eval".as_ref(), "--pred".as_ref(), setting.masks.as_os_str()];
        wseg(flags.into_iter().chain(["--submission".as_ref(), archive.as_os_str()]))
    };
    assert!(submit(&first).good().ends_with("a.tgz: 2 masks\n"));
    submit(&second).good();
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap(), "the same masks, the same bytes");
    let files = untar(&first);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let folder = "results/VOC2012/Segmentation/comp6_test_cls";
    assert_eq!(names, [format!("{folder}/v0.png"), format!("{folder}/v1.png")]);
    assert_eq!(decode_mask(Path::new("v1.png"), &files[1].1).unwrap(), mask(WIDTH, HEIGHT, 1));
    // What the server would not take is named, and the archive stays as it was.
    write_mask(&setting.masks.join("v0.png"), &LabelMap { width: 2, height: 1, labels: vec![0, 21] }).unwrap();
    let grey = image::GrayImage::from_pixel(2, 2, image::Luma([1]));
    grey.save_with_format(setting.masks.join("v1.PNG"), image::ImageFormat::Png).unwrap();
    let refused = submit(&second);
    assert_eq!(refused.code, 2);
    for part in ["2 masks cannot be submitted", "v0.png: value 21", "v1.PNG: is not palettised"] {
        assert!(refused.err.contains(part), "{}", refused.err);
    }
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
}
