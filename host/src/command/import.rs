//! `wseg import`: weights from elsewhere as plain safetensors.

use std::path::Path;

use serde_json::json;
use wseg_cuda_runner::weights::{self, Element};

use crate::{Error, Result, adopt, args::ImportArgs, console::Console, files};

/// Converts a file.
///
/// # Errors
/// If the input cannot be read, holds no state dict or a number that is too large for `--half`, or the output cannot
/// be written.
pub fn run(args: &ImportArgs, console: &Console) -> Result<()> {
    let (input, output) = (args.input.as_path(), args.output.as_path());
    check_output(input, output)?;
    if let Some(preset) = &args.preset {
        return checkpoint(args, preset, console);
    }
    let state = weights::read(input)?;
    let format = state.format();
    let wanted = match (args.half, args.single) {
        (true, _) => Some(Element::F16),
        (_, true) => Some(Element::F32),
        _ => None,
    };
    let state = match wanted {
        Some(element) => state.cast(element).map_err(|error| Error::input(input, error))?,
        None => state,
    };
    files::write_atomic(output, &weights::encode(&state).map_err(|error| Error::input(input, error))?)?;
    let (tensors, bytes) = (state.len(), state.byte_count());
    if args.json {
        console.print(json!({
            "input": input.to_string_lossy(),
            "format": format.to_string(),
            "output": output.to_string_lossy(),
            "tensors": tensors,
            "bytes": bytes,
        }));
    } else {
        console.print(format_args!(
            "{} ({format}): {tensors} tensors, {bytes} bytes, written to {}",
            input.display(),
            output.display()
        ));
    }
    Ok(())
}

/// Writes the weights as a checkpoint of the preset's network.
fn checkpoint(args: &ImportArgs, preset: &str, console: &Console) -> Result<()> {
    let (input, output) = (args.input.as_path(), args.output.as_path());
    let (model, report) = adopt::adopt(input, preset, args.classes.as_deref())?;
    let bytes = wseg_cuda_runner::train::checkpoint::encode(&model)?;
    files::write_atomic(output, &bytes)?;
    if args.json {
        console.print(json!({
            "input": input.to_string_lossy(),
            "output": output.to_string_lossy(),
            "preset": preset,
            "model": model.config.model,
            "classes": model.config.classes,
            "tensors": report.loaded.len(),
            "left_over": report.left_over,
        }));
    } else {
        let kind = model.config.model;
        console.print(format_args!(
            "{}: {report}; written to {} as a {kind} checkpoint",
            input.display(),
            output.display()
        ));
    }
    Ok(())
}

/// Refuses an output that is no safetensors file by its name, or is the input itself.
fn check_output(input: &Path, output: &Path) -> Result<()> {
    if output.extension().is_none_or(|ending| ending != "safetensors") {
        return Err(Error::input(output, "the output is a safetensors file: give it a name that ends in .safetensors"));
    }
    match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(same)) if input == same => {
            Err(Error::input(output, "is the input as well; choose another name for the output"))
        }
        _ => Ok(()),
    }
}
