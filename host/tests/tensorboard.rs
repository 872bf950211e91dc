//! Event files: read back by a small decoder of its own, which shares nothing with the writer, and by TensorBoard itself.

mod events;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use events::{Event, Value, decode};
use image::RgbImage;
use wseg::{
    log::{EpochLog, RunLog, tensorboard::EventFile},
    picture::encode_photo,
};

/// Set to anything, TensorBoard is not installed for the test; one that is there already is used all the same.
const OPT_OUT: &str = "WSEG_NO_TENSORBOARD";
/// An installation that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(120);

fn event_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().contains("tfevents"));
    files.sort();
    files
}

fn picture(seed: u32) -> RgbImage {
    RgbImage::from_fn(7, 5, |x, y| image::Rgb([(x * 30) as u8, (y * 40) as u8, (seed * 50) as u8]))
}

/// An epoch with every number there can be.
fn epoch(epoch: usize) -> EpochLog {
    EpochLog {
        epoch,
        step: 100 * epoch,
        rate: 0.1 / epoch as f64,
        loss_classification: Some(1.0 / epoch as f64),
        loss_segmentation: Some(2.0 / epoch as f64),
        gradient_norm: Some(3.0),
        photos_per_second: 12.5,
        waiting: Some(0.125),
        validation_loss: Some(1.5),
        validation_loss_segmentation: Some(2.5),
        validation_map: Some(80.0 + epoch as f64),
        validation_miou: Some(50.0 + epoch as f64),
        validation_ap: [("cat".to_owned(), Some(90.0)), ("potted plant".to_owned(), None)].into(),
        validation_iou: [("cat".to_owned(), Some(40.0))].into(),
    }
}

#[test]
fn every_byte_of_a_file_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = EventFile::create(folder.path(), None).unwrap();
    let scalars = [("train/loss".to_owned(), 0.25), ("größe".to_owned(), -1e30), ("odd".to_owned(), f64::NAN)];
    events.scalars(7, &scalars).unwrap();
    events.scalars(usize::MAX >> 1, &[]).unwrap();
    let png = encode_photo(&picture(1), image::ImageFormat::Png).unwrap();
    events.image(8, "masks", (7, 5), &png).unwrap();

    // Everything is in the file while it is still open: the process may be killed now.
    let (found, rest) = decode(&fs::read(events.path()).unwrap());
    assert_eq!((found.len(), rest), (4, 0));
    assert_eq!(found[0].version.as_deref(), Some("brain.Event:2"));
    assert!(found.iter().all(|event| event.wall_time > 1.7e9 && event.wall_time < 1e10), "{found:?}");
    assert_eq!(found[1].step, 7);
    assert_eq!(
        found[1].values[..2],
        [("train/loss".to_owned(), Value::Number(0.25)), ("größe".to_owned(), Value::Number(-1e30)),]
    );
    assert!(matches!(&found[1].values[2], (tag, Value::Number(number)) if tag == "odd" && number.is_nan()));
    assert_eq!((found[2].step, found[2].values.len()), (i64::MAX as u64, 0));
    assert_eq!(found[3].values, [("masks".to_owned(), Value::Image { width: 7, height: 5, colours: 3, encoded: png })]);
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_its_last_whole_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = RunLog::create(folder.path()).unwrap();
    (1..=3).for_each(|number| drop(log.epoch(&epoch(number)).unwrap()));
    let bytes = fs::read(&event_files(folder.path())[0]).unwrap();
    let mut seen = 0;
    for length in 0..=bytes.len() {
        let (found, rest) = decode(&bytes[..length]);
        assert!(found.len() == seen || (found.len() == seen + 1 && rest == 0), "{length}");
        seen = found.len();
    }
    assert_eq!(seen, 4);
    // A flipped bit anywhere is noticed by a checksum.
    for at in (0..bytes.len()).step_by(13) {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1 << (at % 8);
        assert!(decode(&spoilt).1 > 0, "byte {at}");
    }
}

#[test]
fn files_of_one_folder_are_in_the_order_of_their_start() {
    let folder = tempfile::tempdir().unwrap();
    let started: Vec<PathBuf> =
        (0..12).map(|step| EventFile::create(folder.path(), Some(step)).unwrap().path().to_owned()).collect();
    assert_eq!(event_files(folder.path()), started);
    let (found, _) = decode(&fs::read(&started[3]).unwrap());
    assert_eq!((found[1].step, found[1].session), (3, Some(1)), "the start of a session at step 3");
}

/// Reads a folder as TensorBoard does, and prints what it finds as JSON.
const READER: &str = r#"
import json, sys
from io import BytesIO
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0})
found.Reload()
def pixels(event):
    image = Image.open(BytesIO(event.encoded_image_string))
    image.load()
    return [event.step, event.width, event.height, image.mode, list(image.size), event.encoded_image_string.hex()]
print(json.dumps({
    "scalars": {tag: [[e.step, e.value] for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]},
    "images": {tag: [pixels(e) for e in found.Images(tag)] for tag in found.Tags()["images"]},
}))
"#;

#[test]
fn tensorboard_reads_tags_steps_values_and_images() {
    let scratch = tempfile::tempdir().unwrap();
    let python = match python(scratch.path()) {
        Ok(python) => python,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let run = scratch.path().join("run");
    let mut log = RunLog::create(&run).unwrap();
    for number in 1..=4 {
        log.epoch(&epoch(number)).unwrap();
        log.picture(number, "validation/masks", &picture(number as u32)).unwrap();
    }
    drop(log);
    // The first process was killed while it wrote, and its epochs 3 and 4 were lost; the second one trains them anew.
    let first = &event_files(&run)[0];
    let bytes = fs::read(first).unwrap();
    fs::write(first, &bytes[..bytes.len() - 5]).unwrap();
    let mut log = RunLog::resume(&run, 2).unwrap();
    let again = EpochLog { loss_classification: Some(0.125), ..epoch(3) };
    log.epoch(&again).unwrap();
    log.picture(3, "validation/masks", &picture(5)).unwrap();

    let output = Command::new(&python).args(["-c", READER]).arg(&run).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let mut expected = std::collections::BTreeMap::new();
    for log in [epoch(1), epoch(2), again] {
        for (tag, value) in log.scalars() {
            expected.entry(tag).or_insert_with(Vec::new).push((log.epoch, f64::from(value as f32)));
        }
    }
    assert_eq!(found["scalars"], serde_json::to_value(&expected).unwrap());
    assert_eq!(expected.len(), 12, "{:?}", expected.keys());
    let hex = |seed| {
        let jpeg = encode_photo(&picture(seed), image::ImageFormat::Jpeg).unwrap();
        jpeg.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let image = |step: usize, seed| serde_json::json!([step, 7, 5, "RGB", [7, 5], hex(seed)]);
    assert_eq!(found["images"], serde_json::json!({ "validation/masks": [image(1, 1), image(2, 2), image(3, 5)] }));
}

/// A Python that has TensorBoard and Pillow: the system's, or one in `folder` with both installed by pip.
fn python(folder: &Path) -> Result<PathBuf, String> {
    let system = PathBuf::from("python3");
    match Command::new(&system).args(["-c", "import tensorboard, PIL"]).output() {
        Err(_) => return Err("there is no python3".to_owned()),
        Ok(output) if output.status.success() => return Ok(system),
        Ok(_) if std::env::var_os(OPT_OUT).is_some() => {
            return Err(format!("python3 has no TensorBoard, and {OPT_OUT} forbids to install it"));
        }
        Ok(_) => {}
    }
    let place = folder.join("python");
    let started = Instant::now();
    patiently(started, Command::new(&system).args(["-m", "venv"]).arg(&place))
        .map_err(|reason| format!("python3 has no TensorBoard, and no place to install it can be made ({reason})"))?;
    let python = place.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"];
    patiently(started, Command::new(&python).args(pip).args(["--only-binary", ":all:", "tensorboard>=2.15,<3"]))
        .map_err(|reason| format!("TensorBoard cannot be installed ({reason})"))?;
    Ok(python)
}

/// Runs a command that may take until [`PATIENCE`] after `started`.
fn patiently(started: Instant, command: &mut Command) -> Result<(), String> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().map_err(|error| error.to_string())?;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(status.to_string()),
            None if started.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} seconds", PATIENCE.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The events of a killed run are what was written before, and nothing of a later file is lost.
#[test]
fn a_run_and_its_successor_are_two_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    RunLog::create(folder.path()).unwrap().epoch(&epoch(1)).unwrap();
    RunLog::resume(folder.path(), 1).unwrap().epoch(&epoch(2)).unwrap();
    let steps = |path: &PathBuf| -> Vec<u64> {
        let (events, rest) = decode(&fs::read(path).unwrap());
        assert_eq!(rest, 0);
        events.iter().filter(|event: &&Event| !event.values.is_empty()).map(|event| event.step).collect()
    };
    assert_eq!(event_files(folder.path()).iter().map(steps).collect::<Vec<_>>(), [vec![1], vec![2]]);
}
