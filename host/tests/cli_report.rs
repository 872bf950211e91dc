//! `wseg report`: the page's structure, that it needs nothing but itself, and how a browser shows it.

mod cli;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cli::{DataSet, Done, mask, wseg};
use roxmltree::{Document, Node, ParsingOptions};
use wseg::picture::write_mask;

fn train(set: &DataSet, out: &Path) {
    let tiny = ["--epochs", "3", "--batch", "2", "--crop", "32", "--threads", "2", "--quiet"];
    let changes = ["--set", "classification_epochs=1", "--set", "pamr_dilations=[1]", "--set", "validation.every=2"];
    let line = ["train", "--data", set.root.to_str().unwrap(), "--out", out.to_str().unwrap()];
    wseg(line.iter().chain(&tiny).chain(&changes)).good();
}

fn report(run: &Path, flags: &[&str]) -> Done {
    wseg(["report", run.to_str().unwrap()].iter().chain(flags))
}

fn parsed(page: &str) -> Document<'_> {
    Document::parse_with_options(page, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() }).unwrap()
}

fn section<'d>(document: &'d Document<'_>, id: &str) -> Option<Node<'d, 'd>> {
    document.descendants().find(|node| node.has_tag_name("section") && node.attribute("id") == Some(id))
}

fn count(node: Node<'_, '_>, tag: &str) -> usize {
    node.descendants().filter(|node| node.tag_name().name() == tag).count()
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect::<Vec<_>>().join(" ")
}

/// Whatever a page could fetch or execute is in it, as data.
fn needs_nothing(page: &str) {
    let document = parsed(page);
    for node in document.descendants() {
        assert!(!["script", "link", "iframe", "object", "embed"].contains(&node.tag_name().name()), "{node:?}");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on"), "{name}");
            if ["src", "href"].contains(&name) {
                assert!(value.starts_with('#') || value.starts_with("data:image/"), "{name}={}", &value[..40]);
            }
        }
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
}

#[test]
fn a_run_is_reported_with_all_its_parts() {
    let set = DataSet::new();
    let run = set.beside("run <one>");
    train(&set, &run);
    let json = report(&run, &["--json", "--quiet"]).good();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["report"]["images"].as_u64(), json["photos"].as_array().unwrap().len()), (Some(2), 2));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    needs_nothing(&page);
    let document = parsed(&page);
    let heading = document.descendants().find(|node| node.has_tag_name("h1")).unwrap();
    assert_eq!(heading.text(), Some("run <one>"));

    let curves = section(&document, "curves").unwrap();
    assert!(count(curves, "svg") == 1 && text(curves).contains("Mean IoU (%)"));
    let classes = section(&document, "classes").unwrap();
    // A heading, three classes, two means.
    assert_eq!(count(classes, "tr"), 6);
    assert!(text(classes).contains("best.safetensors") && text(classes).contains("average precision %"));
    // The best epoch's own look and the page's are one.
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mious: Vec<f64> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["validation_miou"].as_f64())
        .collect();
    let miou = json["report"]["mean_iou"].as_f64().unwrap();
    assert!(mious.iter().any(|logged| (logged - miou).abs() < 1e-6), "{miou} is none of {mious:?}");

    let photos = section(&document, "photos").unwrap();
    assert_eq!((count(photos, "figure"), count(photos, "img")), (2, 6));
    let settings = section(&document, "settings").unwrap();
    let record = fs::read_to_string(run.join("run.toml")).unwrap();
    let fingerprint = record.lines().find_map(|line| line.strip_prefix("fingerprint = ")).unwrap().trim_matches('"');
    assert!(text(settings).contains(fingerprint) && text(settings).contains("pamr_iterations"));

    let before = page.len();
    fs::remove_dir_all(&set.root).unwrap();
    let done = report(&run, &[]);
    assert!(done.err.contains("warning: ") && done.err.contains("--data"), "{}", done.err);
    done.good();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let document = parsed(&page);
    assert!(page.len() < before && section(&document, "confusion").is_none());
    // What was logged is there all the same.
    assert!(text(section(&document, "classes").unwrap()).contains("cat"));
}

/// A log without a training, and masks of which every one is right but for the last.
fn given(set: &DataSet) -> (PathBuf, Vec<String>) {
    let run = set.beside("run");
    fs::create_dir_all(&run).unwrap();
    let line = |epoch: usize| {
        format!(
            "{{\"epoch\":{epoch},\"step\":{epoch},\"rate\":0.01,\"loss_classification\":{},\"photos_per_second\":40.5,\
             \"validation_loss\":0.{epoch},\"validation_miou\":{}}}\n",
            1.0 / epoch as f64,
            50 + epoch
        )
    };
    fs::write(run.join("metrics.jsonl"), (1..=9).map(line).collect::<String>()).unwrap();
    let masks = set.beside("masks");
    fs::create_dir_all(&masks).unwrap();
    for (name, class) in [("t0", 1), ("t1", 2), ("t2", 1), ("t3", 2), ("v0", 1), ("v1", 1)] {
        write_mask(&masks.join(format!("{name}.png")), &mask(cli::WIDTH, cli::HEIGHT, class)).unwrap();
    }
    let truth = set.root.join("SegmentationClass");
    let flags = ["--pred", masks.to_str().unwrap(), "--gt", truth.to_str().unwrap()].map(str::to_owned).to_vec();
    (run, flags)
}

#[test]
fn given_masks_are_counted_and_shown() {
    let set = DataSet::new();
    let (run, flags) = given(&set);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--photos", "3"]).collect();
    report(&run, &flags).good();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    needs_nothing(&page);
    let document = parsed(&page);
    let cells: Vec<String> = section(&document, "confusion")
        .unwrap()
        .descendants()
        .filter(|node| node.has_tag_name("td"))
        .map(|node| node.attribute("title").unwrap().to_owned())
        .collect();
    // One of three dogs was taken for a cat: 24 x 24 pixels.
    assert_eq!(cells.len(), 9);
    assert_eq!(cells[4], "cat seen as cat: 100.00 %, 1,728 pixels");
    assert_eq!(cells[7], "dog seen as cat: 33.33 %, 576 pixels");
    assert_eq!(count(section(&document, "photos").unwrap(), "img"), 9);
    assert!(text(document.root_element()).contains("no run.toml"));
}

#[test]
fn what_cannot_be_reported_is_refused() {
    let set = DataSet::new();
    let (run, flags) = given(&set);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    report(&set.beside("nowhere"), &[]).refused(&["nowhere", "no such folder"]);
    report(&set.root, &[]).refused(&["metrics.jsonl"]);
    fs::remove_file(set.beside("masks").join("t1.png")).unwrap();
    report(&run, &flags).refused(&["t1.png", "no such file"]);
    fs::write(run.join("run.toml"), "preset = ").unwrap();
    report(&run, &["--log-only"]).refused(&["run.toml", "line 1"]);
    assert!(!run.join("report.html").exists());
}

/// The browser, if there is one.
fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}

/// A picture of the page as a browser shows it to a person who likes it dark, or light.
fn shot(browser: &str, page: &Path, dark: bool) -> image::RgbImage {
    let profile = tempfile::tempdir().unwrap();
    let picture = profile.path().join("shot.png");
    let scheme =
        if dark { "--blink-settings=preferredColorScheme=0" } else { "--blink-settings=preferredColorScheme=1" };
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"])
        .args(["--no-first-run", "--virtual-time-budget=2000", "--window-size=1000,1400", scheme])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.canonicalize().unwrap().display()))
        .output()
        .unwrap();
    assert!(picture.exists(), "{}", String::from_utf8_lossy(&output.stderr));
    image::open(picture).unwrap().into_rgb8()
}

#[test]
fn a_browser_shows_it_light_and_dark() {
    let Some(browser) = browser() else {
        println!("skipped: no chromium here");
        return;
    };
    let set = DataSet::new();
    let (run, flags) = given(&set);
    let page = set.beside("page.html");
    let out = ["--out", page.to_str().unwrap()];
    report(&run, &flags.iter().map(String::as_str).chain(out).collect::<Vec<_>>()).good();
    for (dark, paper) in [(false, [255, 255, 255]), (true, [22, 24, 29])] {
        let shot = shot(browser, &page, dark);
        assert_eq!(shot.get_pixel(2, 2).0, paper, "dark: {dark}");
        // Words and curves: the page is not an empty sheet.
        let other = shot.pixels().filter(|pixel| pixel.0 != paper).count();
        assert!(other > shot.pixels().len() / 50, "{other} of {}", shot.pixels().len());
    }
}
