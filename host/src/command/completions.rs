//! `wseg completions`: a completion script for a shell.

use clap::CommandFactory;

use crate::{
    Result,
    args::{Cli, CompletionsArgs},
    console::Console,
};

/// Prints the script.
///
/// # Errors
/// None; the console keeps trouble with standard output.
pub fn run(args: &CompletionsArgs, console: &Console) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wseg", &mut script);
    console.print(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
