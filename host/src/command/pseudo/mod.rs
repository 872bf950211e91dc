//! `wseg pseudo`: masks of a training split, to train another network on.
//!
//! | module | holds |
//! |---|---|
//! | `labeller` | how a photo becomes a pseudo label, and which photos of a split still have none |
//! | `statistics` | what pseudo labels hold, and how true they are |

mod labeller;
mod statistics;

pub(super) use labeller::{Labeller, Making};
pub(super) use statistics::{Statistics, Summary};

use serde_json::json;

use super::outcomes::{Outcomes, Work};
use crate::{
    Error, Result,
    args::PseudoArgs,
    console::Console,
    data::Dataset,
    files,
    predictor::{self, Predictor},
    refine::Refinement,
    training::Interrupt,
};

/// What the work is called.
pub(super) const fn work(out: &std::path::Path, json: bool) -> Work<'_> {
    Work { title: "pseudo", done: "labelled", out, json }
}

/// Makes pseudo labels.
///
/// # Errors
/// If the checkpoint or the data set cannot be used, a mask cannot be written, or a signal asks for the end. Photos that
/// fail are named at the end; the others are done.
pub fn run(args: &PseudoArgs, console: &Console) -> Result<()> {
    let crf = args.crf.parameters();
    crf.check().map_err(|error| Error::Input(error.to_string()))?;
    let model = predictor::load_on(&args.checkpoint, &super::compute(&args.compute, None, console)?)?;
    let data = Dataset::open_with(&args.data, &args.source.options())?;
    predictor::classes_of(&model, &data)?;
    let inference = args.view.inference(&model.config.inference);
    let predictor = Predictor::new(&model, inference)?.with_tile(args.view.tile);
    super::use_threads(args.threads)?;
    let (mut samples, mut unusable) = data.usable_split(&args.split)?;
    let making = Making {
        refinement: Refinement { pamr: None, crf: (!args.no_crf).then_some(crf) },
        band: args.band.band(),
        batch: args.view.batch,
        skip_existing: args.skip_existing,
    };
    let interrupt = Interrupt::listen()?;
    let labeller = Labeller { predictor: &predictor, data: &data, making, out: &args.out, interrupt: &interrupt };
    labeller.check(&samples)?;
    match args.shard {
        Some(shard) => {
            samples.sort_by(|one, other| one.name.cmp(&other.name));
            (samples, unusable) = (shard.of(samples), shard.of(unusable));
        }
        // Nobody else is writing there.
        None if args.out.is_dir() => files::remove_parts(&args.out)?,
        None => {}
    }
    let mut outcomes = Outcomes::new(work(&args.out, args.json), console, samples.len() + unusable.len());
    outcomes.add_unusable(unusable);
    let statistics = labeller.label(&samples, &mut outcomes)?.summary();
    if !args.json && statistics.masks > 0 {
        outcomes.print(format!("{}\n\n{}", statistics.table().text(console.paint()), statistics.sentence()));
    }
    outcomes.finish(json!({ "statistics": statistics }))
}
