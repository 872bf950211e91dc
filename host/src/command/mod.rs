//! The commands, one file each.

pub mod bench;
pub mod completions;
pub mod data;
pub mod demo;
pub mod eval;
mod failures;
pub mod figure;
pub mod import;
pub mod inspect;
mod outcomes;
pub mod plot;
pub mod predict;
pub mod presets;
pub mod pseudo;
pub mod refine;
pub mod report;
pub mod study;
pub mod synth;
pub mod train;
pub mod verify;

use std::{ffi::OsString, path::Path, process::ExitCode};

use candle_core::Device;
use clap::{CommandFactory, FromArgMatches};
use wseg_cuda_runner::{Compute, DeviceChoice, Precision};

use crate::{
    Error, Result,
    args::{Cli, ColorWhen, Command, ComputeArgs},
    console::Console,
    data::reason,
};

/// Reads the command line, runs the command and says how it went: 0 done, 1 failed, 2 bad input.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that goes to a closed pipe is not worth a word.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let console = Console::new(cli.global.quiet, cli.global.color);
    match run(&cli.command, &console).and_then(|()| console.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs a command.
///
/// # Errors
/// The command's.
pub fn run(command: &Command, console: &Console) -> Result<()> {
    match command {
        Command::Synth(args) => synth::run(args, console),
        Command::Data(args) => data::run(args, console),
        Command::Train(args) => train::run(args, console),
        Command::Import(args) => import::run(args, console),
        Command::Predict(args) => predict::run(args, console),
        Command::Pseudo(args) => pseudo::run(args, console),
        Command::Refine(args) => refine::run(args, console),
        Command::Eval(args) => eval::run(args, console),
        Command::Plot(args) => plot::run(args, console),
        Command::Figure(args) => figure::run(args, console),
        Command::Study(args) => study::run(args, console),
        Command::Report(args) => report::run(args, console),
        Command::Verify(args) => verify::run(args, console),
        Command::Presets(args) => presets::run(args, console),
        Command::Inspect(args) => inspect::run(args, console),
        Command::Bench(args) => bench::run(args, console),
        Command::Demo(args) => demo::run(args, console),
        Command::Completions(args) => completions::run(args, console),
    }
}

/// Parses the command line. `--color` is looked for beforehand, so that it holds for help and errors, too.
fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut color = clap::ColorChoice::Auto;
    for (index, argument) in arguments.iter().enumerate() {
        let next = || arguments.get(index + 1).and_then(|next| next.to_str());
        let value = match argument.to_str() {
            Some("--") => break,
            Some("--color") => next(),
            Some(text) => text.strip_prefix("--color="),
            None => None,
        };
        color = match value.and_then(|value| <ColorWhen as clap::ValueEnum>::from_str(value, false).ok()) {
            Some(ColorWhen::Always) => clap::ColorChoice::Always,
            Some(ColorWhen::Never) => clap::ColorChoice::Never,
            Some(ColorWhen::Auto) => clap::ColorChoice::Auto,
            None => color,
        };
    }
    let mut command = Cli::command().color(color);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Checks that a folder can be made and filled: it is not there, or is empty, or may be overwritten. Makes nothing.
///
/// # Errors
/// It is a file, holds something, or cannot be read.
pub fn require_fresh(folder: &Path, overwrite: bool) -> Result<()> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => {
            if overwrite || entries.next().is_none() {
                return Ok(());
            }
            Err(Error::input(folder, "the folder holds files already; choose another --out or add --overwrite"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(Error::input(folder, "a file, but --out needs a folder"))
        }
        Err(error) => Err(Error::input(folder, reason(&error))),
    }
}

/// Fixes the number of threads for the rest of the process; `None` is one a core.
///
/// # Errors
/// The threads cannot be started.
pub fn use_threads(threads: Option<usize>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::Failed(format!("{threads} threads cannot be started: {error}")))
}

/// The device that was asked for; says so where a GPU was looked for and cannot be used.
///
/// # Errors
/// A GPU was asked for and cannot be used.
pub fn open(device: DeviceChoice, console: &Console) -> Result<Device> {
    let found = device.find()?;
    if let Some(reason) = found.passed_over {
        console.warn(reason);
    }
    Ok(found.device)
}

/// Where and in what numbers to compute: the flags' precision, or the recorded one.
///
/// # Errors
/// As [`open`]; or the device does not have that precision.
pub fn compute(args: &ComputeArgs, recorded: Option<Precision>, console: &Console) -> Result<Compute> {
    let device = open(args.device, console)?;
    let precision = args.precision.or(recorded).unwrap_or_default();
    precision.prepare(&device)?;
    Ok(Compute { device, precision })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_folder_is_fresh() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        assert!(require_fresh(&folder, false).is_ok());
        assert!(!folder.exists(), "checking makes nothing");
        std::fs::create_dir(&folder).unwrap();
        assert!(require_fresh(&folder, false).is_ok());
        std::fs::write(folder.join("log"), "").unwrap();
        assert!(require_fresh(&folder, false).unwrap_err().to_string().contains("--overwrite"));
        assert!(require_fresh(&folder, true).is_ok());
        let message = require_fresh(&folder.join("log"), true).unwrap_err().to_string();
        assert!(message.contains("a file, but --out needs a folder"), "{message}");
    }
}
