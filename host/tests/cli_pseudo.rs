//! `wseg pseudo`: pseudo labels of a split, in parts and after interruptions, and how true they are.

mod cli;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use cli::{DataSet, Done, HEIGHT, WIDTH, mask, photo, wseg};
use serde_json::Value;
use wseg::{
    palette::VOID,
    picture::{LabelMap, read_mask, write_mask, write_photo},
};

/// A data set with a network that has learnt a little.
struct Setting {
    data: DataSet,
    checkpoint: PathBuf,
    out: PathBuf,
}

impl Setting {
    fn new() -> Self {
        let data = DataSet::new();
        // Another size, and a photo that shows nothing.
        write_photo(
            &data.photo("wide"),
            &image::imageops::resize(&photo(1), 60, 40, image::imageops::FilterType::Nearest),
        )
        .unwrap();
        write_mask(&data.mask("wide"), &LabelMap { width: 60, height: 40, labels: vec![1; 2400] }).unwrap();
        write_photo(&data.photo("empty"), &image::RgbImage::from_pixel(48, 40, image::Rgb([110, 120, 110]))).unwrap();
        write_mask(&data.mask("empty"), &LabelMap { width: WIDTH, height: HEIGHT, labels: vec![0; 1920] }).unwrap();
        data.write("ImageSets/Segmentation/train.txt", "t3\nt0\nwide\nt1\nt2\nempty\n");
        // All tests have the same data, so one training will do.
        static NETWORK: OnceLock<Vec<u8>> = OnceLock::new();
        let network = NETWORK.get_or_init(|| {
            let run = data.beside("run");
            let flags = ["--epochs", "30", "--batch", "3", "--crop", "32", "--preset", "demo", "--quiet"];
            let changes = ["--set", "classification_epochs=29", "--set", "pamr_dilations=[1]", "--set", "warmup=0"];
            let line = ["train", "--data", text(&data.root), "--out", text(&run), "--threads", "2"];
            wseg(line.iter().chain(&flags).chain(&changes)).good();
            fs::read(run.join("last.safetensors")).unwrap()
        });
        let checkpoint = data.beside("network.safetensors");
        fs::write(&checkpoint, network).unwrap();
        let out = data.beside("pseudo");
        Self { data, checkpoint, out }
    }

    fn run(&self, flags: &[&str]) -> Done {
        self.run_into(&self.out, flags)
    }

    fn run_into(&self, out: &Path, flags: &[&str]) -> Done {
        let mut line: Vec<std::ffi::OsString> = vec!["pseudo".into(), "--checkpoint".into(), (&self.checkpoint).into()];
        line.extend(["--data".into(), (&self.data.root).into(), "--out".into(), out.into()]);
        line.extend(flags.iter().map(Into::into));
        wseg(line)
    }

    /// The summary of a run that went well.
    #[track_caller]
    fn summary(&self, flags: &[&str]) -> Value {
        summary(&self.run(&[flags, &["--json", "--quiet"]].concat()).good())
    }

    /// What is in the folder, sorted.
    fn results(&self) -> Vec<String> {
        let names = fs::read_dir(&self.out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn mask(&self, name: &str) -> LabelMap {
        read_mask(&self.out.join(format!("{name}.png"))).unwrap()
    }

    /// What `wseg eval` says of the split.
    fn evaluate(&self, flags: &[&str]) -> Done {
        let list = self.data.root.join("ImageSets/Segmentation/train.txt");
        let line = ["eval", "--pred", text(&self.out), "--gt", text(&self.data.root.join("SegmentationClass"))]
            .map(str::to_owned)
            .into_iter()
            .chain(["--list".to_owned(), text(&list).to_owned(), "--json".to_owned()])
            .chain(flags.iter().map(|&flag| flag.to_owned()));
        wseg(line)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn summary(out: &str) -> Value {
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    last["summary"].clone()
}

fn counts(summary: &Value) -> [u64; 4] {
    ["photos", "labelled", "skipped", "failed"].map(|key| summary[key].as_u64().unwrap())
}

const ALL: [&str; 6] = ["empty.png", "t0.png", "t1.png", "t2.png", "t3.png", "wide.png"];

#[test]
fn labels_are_the_masks_of_clean_mode_with_crf_and_are_judged_as_eval_does() {
    let setting = Setting::new();
    let told = setting.summary(&["--batch", "2"]);
    assert_eq!(counts(&told), [6, 6, 0, 0]);
    assert_eq!(setting.results(), ALL);
    // The same by `predict`, told the labels.
    let (masks, list) = (setting.data.beside("masks"), setting.data.root.join("ImageSets/Segmentation/train.txt"));
    let labels = setting.data.root.join("SegmentationClass");
    let line = ["predict", "--checkpoint", text(&setting.checkpoint), "--images", text(&list), "--out", text(&masks)];
    let predict = |flags: &[&str]| {
        wseg(line.iter().chain(&["--labels", text(&labels), "--save", "masks", "--quiet"]).chain(flags)).good();
    };
    let same = || {
        ALL.iter()
            .filter(|name| fs::read(setting.out.join(name)).unwrap() == fs::read(masks.join(name)).unwrap())
            .count()
    };
    predict(&["--crf"]);
    assert_eq!(same(), 6);
    predict(&[]);
    assert!(same() < 6, "the CRF changes something");
    setting.summary(&["--no-crf"]);
    assert_eq!(same(), 6, "--no-crf leaves the network's masks");
    // No class that the image labels do not name, though the network is free to take cats for dogs.
    for (name, class) in [("t0", 1), ("t1", 2), ("empty", 0)] {
        assert!(setting.mask(name).labels.iter().all(|&label| label == 0 || label == class), "{name}");
    }

    let told = setting.summary(&[]);
    let statistics = &told["statistics"];
    let report: Value = serde_json::from_str(&setting.evaluate(&[]).good()).unwrap();
    for key in ["mean_iou", "mean_iou_objects", "pixel_accuracy", "images", "confusion"] {
        assert_eq!(statistics["truth"][key], report[key], "{key}");
    }
    assert!(report["mean_iou"].as_f64().unwrap() > 20.0, "there is something to compare: {report}");
    assert_eq!(statistics["ignored_percent"], 0.0);
    let classes = statistics["classes"].as_array().unwrap();
    let shares: f64 = classes.iter().map(|class| class["percent"].as_f64().unwrap()).sum();
    assert!((shares - 100.0).abs() < 1e-9, "{classes:?}");
    let dogs = ALL.iter().filter(|name| read_mask(&setting.out.join(name)).unwrap().present()[2]).count() as u64;
    assert_eq!(classes[2]["photos"].as_u64(), Some(dogs));

    let text = setting.run(&["--quiet"]).good();
    let mean = format!("{:.1}", report["mean_iou"].as_f64().unwrap());
    assert!(text.lines().any(|line| line.starts_with("mean ") && line.contains(&mean)), "{text}");
    assert!(text.contains("6 masks, 6 of them compared"), "{text}");
}

#[test]
fn shards_part_the_split_and_what_is_missing_is_done_again() {
    let setting = Setting::new();
    let parts = ["1/2", "2/2"].map(|shard| setting.summary(&["--shard", shard]));
    assert_eq!(parts.each_ref().map(counts), [[3, 3, 0, 0], [3, 3, 0, 0]], "every photo once");
    assert_eq!(setting.results(), ALL);
    let bytes: Vec<Vec<u8>> = ALL.iter().map(|name| fs::read(setting.out.join(name)).unwrap()).collect();
    // Pixels of the parts are those of the whole, which nothing has to be done for.
    let whole = setting.summary(&["--skip-existing"]);
    assert_eq!(counts(&whole), [6, 0, 6, 0]);
    let pixels = |summary: &Value| summary["statistics"]["truth"]["pixels"].as_u64().unwrap();
    assert_eq!(pixels(&parts[0]) + pixels(&parts[1]), pixels(&whole));
    assert_eq!(pixels(&whole), (5 * WIDTH * HEIGHT + 60 * 40) as u64);

    // As after a process that was killed while it wrote.
    fs::remove_file(setting.out.join("t1.png")).unwrap();
    fs::write(setting.out.join(".wseg-Ab12.part"), "half").unwrap();
    let again = setting.summary(&["--skip-existing"]);
    assert_eq!(counts(&again), [6, 1, 5, 0]);
    assert_eq!(again["statistics"], whole["statistics"]);
    assert_eq!(setting.results(), ALL, "nothing half-written is left");
    let same = ALL.iter().zip(&bytes).all(|(name, bytes)| fs::read(setting.out.join(name)).unwrap() == *bytes);
    assert!(same, "the same labels whatever the order");
    assert_eq!(counts(&setting.summary(&["--shard", "9/9"])), [0, 0, 0, 0]);
}

#[test]
fn what_is_unsure_is_written_as_255_and_left_out_of_the_comparison() {
    let setting = Setting::new();
    setting.summary(&["--no-crf"]);
    let sure: Vec<LabelMap> = ALL.iter().map(|name| setting.mask(name.trim_end_matches(".png"))).collect();
    let mut before = 0.0;
    for confidence in ["0.55", "0.7", "0.95"] {
        let told = setting.summary(&["--no-crf", "--confidence", confidence]);
        let statistics = &told["statistics"];
        let (mut void, mut pixels) = (0, 0);
        for (name, sure) in ALL.iter().zip(&sure) {
            let banded = setting.mask(name.trim_end_matches(".png"));
            assert!(banded.labels.iter().zip(&sure.labels).all(|(&label, &sure)| label == sure || label == VOID));
            void += banded.labels.iter().filter(|label| **label == VOID).count();
            pixels += banded.labels.len();
        }
        let share = 100.0 * void as f64 / pixels as f64;
        assert!((statistics["ignored_percent"].as_f64().unwrap() - share).abs() < 1e-9 && share > before, "{share}");
        before = share;
        assert_eq!(statistics["truth"]["pixels"].as_u64().unwrap() as usize, pixels - void);
        let refused = setting.evaluate(&[]);
        assert!(refused.code == 2 && refused.err.contains("value 255") && refused.err.contains("--undecided"));
        let report: Value = serde_json::from_str(&setting.evaluate(&["--undecided"]).good()).unwrap();
        assert_eq!(statistics["truth"]["mean_iou"], report["mean_iou"]);
    }
    assert!(before < 100.0);
    // Photos of one class have two probabilities.
    let shares = [["--confidence", "0.7"], ["--margin", "0.4"]].map(|band| {
        setting.summary(&["--no-crf", band[0], band[1]])["statistics"]["ignored_percent"].as_f64().unwrap()
    });
    assert!((shares[0] - shares[1]).abs() < 0.1, "{shares:?}");
    assert_eq!(setting.run(&["--confidence", "1.5"]).code, 2);
}

#[test]
fn photos_that_cannot_be_used_are_named_and_the_others_done() {
    let setting = Setting::new();
    setting.data.corrupt("t0");
    fs::remove_file(setting.data.photo("t2")).unwrap();
    write_mask(&setting.data.mask("t3"), &mask(WIDTH, HEIGHT, 7)).unwrap();
    let done = setting.run(&["--json", "--quiet"]);
    assert_eq!(done.code, 2, "{}", done.err);
    assert!(done.err.contains("3 of 6 photos could not be labelled"), "{}", done.err);
    for part in ["t0.jpg", "t2.jpg: no such file", "t3.png: value 7"] {
        assert!(done.err.contains(part), "{part}: {}", done.err);
    }
    let told = summary(&done.out);
    assert_eq!(counts(&told), [6, 3, 0, 3]);
    assert_eq!(told["statistics"]["masks"], 3);
    assert_eq!(setting.results(), ["empty.png", "t1.png", "wide.png"]);
    // Each is named by one of the shards.
    let failed = ["1/2", "2/2"].map(|shard| counts(&summary(&setting.run(&["--json", "--shard", shard]).out))[3]);
    assert_eq!(failed.iter().sum::<u64>(), 3);

    // What lies in a mask's place and is none is not taken for one.
    fs::write(setting.out.join("t1.png"), "no mask").unwrap();
    write_mask(&setting.out.join("wide.png"), &mask(WIDTH, HEIGHT, 1)).unwrap();
    let done = setting.run(&["--skip-existing"]);
    assert!(
        done.code == 2 && done.err.contains("t1.png: is not a PNG") && done.err.contains("remove it"),
        "{}",
        done.err
    );
}

#[test]
fn nothing_of_the_data_set_is_written_over_and_slips_are_told() {
    let setting = Setting::new();
    let truth = setting.data.root.join("SegmentationClass");
    let before = fs::read(setting.data.mask("t0")).unwrap();
    setting.run_into(&truth, &[]).refused(&["t3.png", "would be overwritten", "--out"]);
    assert_eq!(fs::read(setting.data.mask("t0")).unwrap(), before);
    setting.run(&["--split", "trian"]).refused(&["trian.txt", "no such file"]);
    setting.run(&["--crf-iterations", "5", "--gaussian-sxy", "1e-300"]).refused(&["Gaussian", "sxy"]);
    setting.data.write("classes.txt", "background\ndog\ncat\n");
    setting.run(&[]).refused(&["data", "not the classes that the network learnt"]);
    assert!(!setting.out.exists(), "nothing was made");
}

/// A run that is told to stop stops between two photos, and goes on from there.
#[cfg(unix)]
#[test]
fn a_signal_ends_between_two_photos() {
    let setting = Setting::new();
    let names: Vec<String> = (0..200).map(|index| format!("n{index:03}")).collect();
    let (photo, mask) = (fs::read(setting.data.photo("t0")).unwrap(), fs::read(setting.data.mask("t0")).unwrap());
    for name in &names {
        fs::write(setting.data.photo(name), &photo).unwrap();
        fs::write(setting.data.mask(name), &mask).unwrap();
    }
    setting.data.write("ImageSets/Segmentation/train.txt", &names.join("\n"));
    let mut child = cli::command()
        .args(["pseudo", "--checkpoint", text(&setting.checkpoint), "--data", text(&setting.data.root)])
        .args(["--out", text(&setting.out), "--scales", "1,1.5,2"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !setting.out.join("n000.png").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, 143, "{}", done.err);
    assert!(done.err.contains("stopped by SIGTERM after") && done.err.contains("--skip-existing"), "{}", done.err);
    let made = setting.results();
    assert!((1..200).contains(&made.len()), "{}", made.len());
    for name in &made {
        read_mask(&setting.out.join(name)).unwrap();
    }
    let told = setting.summary(&["--skip-existing", "--scales", "1,1.5,2"]);
    assert_eq!(counts(&told), [200, 200 - made.len() as u64, made.len() as u64, 0]);
}
