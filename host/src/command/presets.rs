//! `wseg presets`: what a training can start from.

use crate::{
    Result,
    args::PresetsArgs,
    console::Console,
    settings::{PRESETS, Preset},
};

/// Prints a line for each preset, or the one asked for as TOML.
///
/// # Errors
/// There is no preset of that name.
pub fn run(args: &PresetsArgs, console: &Console) -> Result<()> {
    match &args.name {
        Some(name) => console.print(Preset::named(name)?.text.trim_end()),
        None => {
            let width = PRESETS.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
            for preset in PRESETS {
                console.print(format_args!("{:<width$}  {}", preset.name, preset.description()));
            }
        }
    }
    Ok(())
}
