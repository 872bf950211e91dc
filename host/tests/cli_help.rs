//! Help, versions, completions, and what happens to output that nobody reads.

mod cli;

use std::process::Stdio;

use cli::{Done, command, wseg};

const COMMANDS: [&str; 13] = [
    "synth",
    "data",
    "train",
    "import",
    "predict",
    "pseudo",
    "eval",
    "plot",
    "verify",
    "presets",
    "inspect",
    "demo",
    "completions",
];

#[test]
fn every_command_has_help_with_examples() {
    let overview = wseg(["--help"]).good();
    for name in COMMANDS {
        assert!(overview.contains(&format!("  {name} ")), "{overview}");
        let help = wseg([name, "--help"]).good();
        assert!(help.contains(&format!("Usage: wseg {name}")), "{help}");
        assert!(help.contains("Examples:\n  wseg "), "{help}");
        assert!(help.contains("--quiet") && help.contains("--color"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 160), "{help}");
    }
}

#[test]
fn the_help_of_train_says_what_masks_are_read_for() {
    let help = wseg(["train", "--help"]).good().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        help.contains("derived from the training split's masks, and those masks are read for nothing else"),
        "{help}"
    );
    assert!(help.contains("Masks of the validation split are used for reporting only"), "{help}");
}

#[test]
fn the_version_is_the_package_s() {
    assert_eq!(wseg(["--version"]).good(), format!("wseg {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_line_that_makes_no_sense_is_bad_input() {
    let unknown_flag = wseg(["eval", "--pred", "a", "--gt", "b", "--jsn"]);
    assert_eq!(unknown_flag.code, 2);
    assert!(unknown_flag.err.contains("'--jsn'") && unknown_flag.err.contains("'--json'"), "{}", unknown_flag.err);
    let unknown_command = wseg(["evaluate"]);
    assert_eq!(unknown_command.code, 2);
    assert!(unknown_command.err.contains("'eval'"), "{}", unknown_command.err);
    let nothing: [&str; 0] = [];
    assert_eq!(wseg(nothing).code, 2);
    let line = ["train", "--data", "d", "--out", "o"];
    for (flags, expected) in [
        (&["--set", "epochs"][..], "KEY=VALUE"),
        (&["--threads", "0"], "from 1 to 1024"),
        (&["--model", "crf"], "single-stage"),
        (&["--epochs", "ten"], "--epochs"),
    ] {
        let done = wseg(line.iter().chain(flags));
        assert_eq!((done.code, done.out.as_str()), (2, ""));
        assert!(done.err.contains(expected), "{}", done.err);
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = wseg(["completions", shell]).good();
        assert!(COMMANDS.iter().all(|name| script.contains(name)) && script.contains("background-power"), "{shell}");
    }
}

#[test]
fn colours_follow_the_flag() {
    assert!(wseg(["--color", "always", "--help"]).good().contains('\u{1b}'));
    assert!(!wseg(["--color=never", "--help"]).good().contains('\u{1b}'));
    assert!(!wseg(["--help"]).good().contains('\u{1b}'), "a pipe is no terminal");
    let error = |flag| wseg([flag, "eval", "--pred", "nowhere", "--gt", "nowhere"]);
    assert!(error("--color=never").err.starts_with("error: "));
    assert!(error("--color=always").err.starts_with("\u{1b}["));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done =
        Done::from(command().args(["completions", "zsh"]).stdout(writer).stderr(Stdio::piped()).output().unwrap());
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let done = Done::from(command().args(["completions", "zsh"]).stdout(full).stderr(Stdio::piped()).output().unwrap());
    assert_eq!(done.code, 1);
    assert!(done.err.starts_with("error: standard output: "), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}
