//! Trainings that end before their time, and go on: killed, stopped by signals, out of disk, on changed data.

mod cli;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use cli::{DataSet, Done, command, wseg};

/// A training of a few seconds that saves its state after every step.
const SHORT: [&str; 20] = [
    "--batch",
    "1",
    "--crop",
    "32",
    "--threads",
    "2",
    "--set",
    "pamr_dilations=[1]",
    "--set",
    "recipe.classification_epochs=2",
    "--set",
    "checkpoint.steps=1",
    "--set",
    "average=0.9",
    // Untrained masks are flat: with these, their peaks are claimed, and there is a segmentation loss.
    "--set",
    "cutoff_low=0",
    "--set",
    "cutoff_background=0.98",
    "--set",
    "cutoff_class=0.98",
];
/// Flags beside [`SHORT`] in most tests: two batches a step, the three best checkpoints kept.
const MORE: [&str; 6] = ["--set", "accumulate=2", "--set", "checkpoint.keep=3", "--set", "validation.every=1"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn train_line<'a>(set: &'a DataSet, out: &'a Path, flags: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec!["train", "--data", text(&set.root), "--out", text(out)];
    line.extend(SHORT.iter().chain(&MORE).chain(flags));
    if !flags.contains(&"--epochs") {
        line.extend(["--epochs", "6"]);
    }
    line
}

fn train(set: &DataSet, out: &Path, flags: &[&str]) -> Done {
    wseg(train_line(set, out, flags))
}

fn resume(out: &Path, flags: &[&str]) -> Done {
    wseg(["train", "--resume", text(out)].iter().chain(flags))
}

fn start(line: &[&str]) -> Child {
    command().args(line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The files of a run that must not depend on what happened to it, with their bytes; the log without its speeds.
fn results(out: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "safetensors"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files.push(("metrics.jsonl".to_owned(), log(out).into_bytes()));
    files
}

/// The log without what is a matter of speed.
fn log(out: &Path) -> String {
    let lines = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let plain = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        for speed in ["photos_per_second", "waiting"] {
            line.as_object_mut().unwrap().remove(speed).expect("a speed");
        }
        format!("{line}\n")
    };
    lines.lines().map(plain).collect()
}

#[track_caller]
fn assert_same(run: &Path, undisturbed: &Path) {
    let [one, other] = [run, undisturbed].map(results);
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for ((name, one), (_, other)) in one.iter().zip(&other) {
        assert!(one == other, "{name} differs from the undisturbed run's");
    }
}

/// Waits until a run has logged an epoch and saved a state.
fn wait_for_an_epoch(child: &mut Child, out: &Path) {
    let begun = Instant::now();
    let logged = || fs::read_to_string(out.join("metrics.jsonl")).is_ok_and(|log| log.contains('\n'));
    while !logged() || !out.join("state.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(begun.elapsed() < Duration::from_secs(60), "no epoch in a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `WSEG_KILLS` says how often; a few times will do for every change.
#[test]
fn killed_at_random_moments_it_ends_as_if_nothing_had_happened() {
    let kills: u32 = std::env::var("WSEG_KILLS").ok().map_or(4, |count| count.parse().expect("WSEG_KILLS is a number"));
    let set = DataSet::new();
    let (undisturbed, run) = (set.beside("undisturbed"), set.beside("run"));
    // Long enough for so many kills, each of which lets it come a little further.
    let epochs = kills.max(6);
    let (many, begun) = (epochs.to_string(), Instant::now());
    train(&set, &undisturbed, &["--quiet", "--epochs", &many]).good();
    let longest = begun.elapsed() * 2 / kills.max(1) + Duration::from_millis(200);
    let lines: Vec<serde_json::Value> =
        log(&undisturbed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), epochs as usize);
    let segmentation = lines.last().unwrap()["loss_segmentation"].as_f64().unwrap();
    assert!(segmentation > 0.0, "a part of the training is missing: {lines:?}");

    let mut random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ());
    let (mut killed, mut places) = (0, Vec::new());
    while killed < kills {
        // Nothing was begun yet: there is nothing to go on from.
        let first = train_line(&set, &run, &["--quiet", "--overwrite", "--epochs", &many]);
        let again = ["train", "--quiet", "--resume", text(&run)];
        let line: &[&str] = if run.join("run.toml").exists() { &again } else { &first };
        let mut child = start(line);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(longest.mul_f64((random >> 33) as f64 / f64::from(u32::MAX >> 1)));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() || said.is_empty(), "{said}");
        places.push(fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |log| log.lines().count()));
        if output.status.success() {
            // It came to its end before it was killed; the next one starts anew.
            assert_same(&run, &undisturbed);
            fs::remove_dir_all(&run).unwrap();
        } else {
            assert!(output.status.code().is_none_or(|code| code != 1 && code != 2), "{said}");
        }
    }
    match run.join("run.toml").exists() {
        true => resume(&run, &["--quiet"]).good(),
        false => train(&set, &run, &["--quiet", "--overwrite", "--epochs", &many]).good(),
    };
    assert_same(&run, &undisturbed);
    println!("killed {killed} times, after epochs {places:?} of {epochs}; the results are bit for bit the same");
}

#[test]
fn a_run_repeats_from_its_record() {
    let set = DataSet::new();
    let (one, two) = (set.beside("one"), set.beside("two"));
    train(&set, &one, &["--model", "cam", "--seed", "7", "--epochs", "2", "--quiet"]).good();
    let record = fs::read_to_string(one.join("run.toml")).unwrap();
    for part in ["preset = \"small\"", "model = \"cam\"", "threads = 2", "seed = 7", "fingerprint = \"", "\"--model\""]
    {
        assert!(record.contains(part), "{part}: {record}");
    }
    wseg(["train", "--quiet", "--config", text(&one.join("run.toml")), "--out", text(&two)]).good();
    assert_same(&two, &one);
    // Flags go before the file, which goes before the preset.
    let (three, config) = (set.beside("three"), text(&one.join("run.toml")).to_owned());
    let flags = ["--set", "recipe.rate=0.25", "--epochs", "1"];
    wseg(["train", "--quiet", "--config", &config, "--out", text(&three)].iter().chain(&flags)).good();
    let log = log(&three);
    assert_eq!(log.lines().count(), 1);
    let settings = fs::read_to_string(three.join("run.toml")).unwrap();
    assert!(settings.contains("rate = 0.25") && settings.contains("seed = 7"), "{settings}");
}

#[test]
fn slips_in_a_config_name_the_file_and_the_key() {
    let set = DataSet::new();
    let (out, config) = (set.beside("run"), set.beside("mine.toml"));
    let line = ["train", "--data", text(&set.root), "--out", text(&out), "--config", text(&config)];
    for (text, parts) in [
        ("[recipe]\nmomentun = 0.5\n", ["mine.toml", "`recipe.momentun`", "`recipe.momentum`"]),
        ("[recipes]\n", ["mine.toml", "`recipes`", "`recipe`"]),
        ("preset = \"smal\"\n", ["`smal`", "known", "small"]),
        ("recipe = [", ["mine.toml", "line 1", ""]),
    ] {
        fs::write(&config, text).unwrap();
        wseg(line).refused(&parts);
    }
    fs::write(&config, "preset = \"small\"\n").unwrap();
    wseg(["train", "--out", text(&out), "--config", text(&config)]).refused(&["mine.toml", "--data"]);
    assert!(!out.exists());
}

#[test]
fn changed_data_and_settings_are_refused_in_one_sentence() {
    let set = DataSet::new();
    let run = set.beside("run");
    let mut child = start(&train_line(&set, &run, &["--quiet", "--epochs", "500"]));
    wait_for_an_epoch(&mut child, &run);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = results(&run);

    let record = run.join("run.toml");
    let text = fs::read_to_string(&record).unwrap();
    let rate = text.lines().find(|line| line.starts_with("rate = ")).unwrap();
    fs::write(&record, text.replace(rate, "rate = 0.0625")).unwrap();
    resume(&run, &[]).refused(&["state.safetensors", "recipe.rate", "0.0625", "run.toml"]);
    fs::write(&record, text.replace("model = \"single-stage\"", "model = \"cam\"")).unwrap();
    resume(&run, &[]).refused(&["single-stage", "cam"]);
    fs::write(&record, text.replace("momentum = ", "momentun = ")).unwrap();
    resume(&run, &[]).refused(&["run.toml", "`recipe.momentum`"]);
    fs::write(&record, &text).unwrap();

    let state = run.join("state.safetensors");
    let bytes = fs::read(&state).unwrap();
    fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    resume(&run, &[]).refused(&["state.safetensors", "damaged"]);
    fs::copy(run.join("last.safetensors"), &state).unwrap();
    resume(&run, &[]).refused(&["state.safetensors", "not the saved state"]);
    fs::write(&state, &bytes).unwrap();

    set.write("labels.csv", "t0,cat\nt1,dog\nt2,cat\nt3,cat\nv0,cat\nv1,dog\n");
    resume(&run, &[]).refused(&["state.safetensors", "other data", "fingerprint"]);
    fs::remove_file(set.root.join("labels.csv")).unwrap();
    set.write("ImageSets/Segmentation/train.txt", "t1\nt0\nt2\nt3\n");
    resume(&run, &[]).refused(&["other data"]);
    assert_eq!(before, results(&run), "what is refused changes nothing");

    resume(&set.beside("nowhere"), &[]).refused(&["nowhere"]);
    resume(&set.root, &[]).refused(&["data", "run.toml"]);
    assert!(resume(&run, &["--epochs", "3"]).err.contains("--resume"), "flags that change a run are refused");
}

#[test]
fn a_complete_run_says_so_and_stays_as_it_is() {
    let set = DataSet::new();
    let run = set.beside("run");
    train(&set, &run, &["--epochs", "2", "--quiet"]).good();
    let before = results(&run);
    let done = resume(&run, &[]);
    assert!(done.code == 0 && done.err.contains("complete"), "{done:?}");
    assert_eq!(before, results(&run));
    let listed = wseg(["inspect", text(&run.join("state.safetensors"))]).good();
    assert!(["weights.", "velocity.", "average."].iter().all(|kind| listed.contains(kind)), "{listed}");
}

#[test]
fn the_best_epochs_are_kept_and_patience_ends_a_run_early() {
    let set = DataSet::new();
    let run = set.beside("run");
    // Without any learning every look is like the first one: the third has waited long enough.
    let still = ["--lr", "1e-30", "--set", "average=0", "--set", "validation.patience=2", "--set", "checkpoint.keep=2"];
    let said = train(&set, &run, &still);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("ends after epoch"), "{}", said.err);
    let lines = log(&run);
    let losses: Vec<f64> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["validation_loss"].as_f64().unwrap())
        .collect();
    let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    assert_eq!(losses.len(), best + 1 + 2, "two looks after the best: {losses:?}");
    let mut ranked: Vec<usize> = (0..losses.len()).collect();
    ranked.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    let mut kept: Vec<PathBuf> = ranked[..2].iter().map(|e| run.join(format!("epoch-{}.safetensors", e + 1))).collect();
    kept.sort();
    let mut found: Vec<PathBuf> = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("epoch-"));
    found.sort();
    assert_eq!(found, kept);
    let first = run.join(format!("epoch-{}.safetensors", best + 1));
    assert!(fs::read(first).unwrap() == fs::read(run.join("best.safetensors")).unwrap());
    assert!(resume(&run, &[]).err.contains("complete"), "what has ended early does not go on");
}

#[test]
fn a_rule_that_the_data_cannot_serve_is_refused() {
    let set = DataSet::new();
    let out = set.beside("run");
    fs::remove_file(set.root.join("ImageSets/Segmentation/val.txt")).unwrap();
    train(&set, &out, &["--set", "validation.best=miou"]).refused(&["validation.best", "masks"]);
    train(&set, &out, &["--set", "patience=3"]).refused(&["validation.patience", "validation split"]);
    train(&set, &out, &["--set", "validation.best=mean"]).refused(&["validation.best", "miou"]);
    assert!(!out.exists());
    train(&set, &out, &["--epochs", "1", "--quiet"]).good();
    assert!(out.join("best.safetensors").exists());
}

#[test]
fn a_loss_that_is_not_finite_names_step_photos_and_the_last_good_checkpoint() {
    let set = DataSet::new();
    let run = set.beside("run");
    let wild = ["--quiet", "--lr", "1e12", "--epochs", "50", "--set", "warmup=0", "--set", "average=0"];
    // Given twice, the later value counts.
    let done = train(&set, &run, &wild);
    assert_eq!((done.code, done.err.lines().count()), (1, 1), "{done:?}");
    for part in ["no longer finite at step ", "with the photos ", "/JPEGImages/t", "last good checkpoint is ", "step "]
    {
        assert!(done.err.contains(part), "`{part}` is missing: {}", done.err);
    }
    let state = wseg_cuda_runner::train::Saved::read(&run.join("state.safetensors")).unwrap();
    let told = format!("of epoch 1 after step {}", state.position().step);
    assert!(state.position().epoch == 0 && done.err.contains(&told), "{}", done.err);
}

#[cfg(unix)]
mod unix {
    use super::*;

    fn signal(child: &Child, name: &str) {
        let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    #[test]
    fn a_signal_ends_the_step_saves_and_says_how_to_go_on() {
        let set = DataSet::new();
        let undisturbed = set.beside("undisturbed");
        train(&set, &undisturbed, &["--epochs", "12", "--quiet"]).good();
        for (name, code) in [("-INT", 130), ("-TERM", 143)] {
            let run = set.beside(name);
            let mut child = start(&train_line(&set, &run, &["--epochs", "12", "--quiet"]));
            wait_for_an_epoch(&mut child, &run);
            signal(&child, name);
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains("after step ") && said.contains("wseg train --resume "), "{said}");
            resume(&run, &["--quiet"]).good();
            assert_same(&run, &undisturbed);
        }
    }

    /// A limit on the size of files stands in for a full disk: it needs neither rights nor a disk.
    #[test]
    fn a_full_disk_leaves_the_old_checkpoint() {
        let set = DataSet::new();
        let run = set.beside("run");
        let mut child = start(&train_line(&set, &run, &["--epochs", "500", "--quiet"]));
        wait_for_an_epoch(&mut child, &run);
        signal(&child, "-INT");
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let before = results(&run);
        let size = fs::metadata(run.join("state.safetensors")).unwrap().len();
        // In blocks of 512 or 1024 bytes; a signal that is ignored stays so in the program that is started.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", size / 1024 / 4);
        let exe = env!("CARGO_BIN_EXE_wseg");
        let line = ["-c", &script, "sh", exe, "train", "--quiet", "--resume", text(&run)];
        let done = Done::from(std::process::Command::new("sh").args(line).output().unwrap());
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.contains(".safetensors: writing failed"), "{}", done.err);
        assert!(done.err.contains("last good checkpoint"), "{}", done.err);
        assert_eq!(before, results(&run), "a file was changed");
        let parts = fs::read_dir(&run)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".part"));
        assert_eq!(parts.count(), 0, "half a file is left");
    }
}
