//! `wseg synth`: a synthetic data set.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    Result,
    args::SynthArgs,
    console::Console,
    synth::{Synth, generate},
};

/// Makes the data set.
///
/// # Errors
/// A number out of range, a folder that holds something else, or a file that cannot be written.
pub fn run(args: &SynthArgs, console: &Console) -> Result<()> {
    let settings =
        Synth { images: args.images, val: args.val, classes: args.classes, size: args.size, seed: args.seed };
    let progress = console.progress("synth", (args.images + args.val) as u64);
    let reported = AtomicUsize::new(0);
    generate(&settings, &args.out, |done, _| {
        progress.advance(done.saturating_sub(reported.swap(done, Ordering::Relaxed)) as u64);
    })?;
    drop(progress);
    console.note(format_args!(
        "{}: {} photos to train on, {} to validate, of {}",
        args.out.display(),
        args.images,
        args.val,
        settings.class_names()[1..].join(", ")
    ));
    Ok(())
}
