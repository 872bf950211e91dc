//! A look at every photo before the first epoch, so that broken ones are named before hours are spent.

use rayon::prelude::*;

use super::Labelled;
use crate::{Error, Result, data::Problems, picture};

/// Checks that every photo is there and its header makes sense: quick, as no pixels are decoded.
///
/// # Errors
/// Names the photos that cannot be used, the first twenty and their number.
pub(super) fn all_usable(samples: &[Labelled]) -> Result<()> {
    let look = |sample: &Labelled| picture::photo_size(&sample.photo).err();
    let mut problems = Problems::default();
    samples.par_iter().filter_map(look).collect::<Vec<_>>().iter().for_each(|error| problems.push_error(error));
    problems.into_result(|count| {
        format!("{count} of {} training photos cannot be used (--skip-bad trains without them)", samples.len())
    })
}

/// The photos that can be decoded, pixels and all, and what is wrong with the others.
pub(super) fn usable(samples: Vec<Labelled>) -> (Vec<Labelled>, Vec<Error>) {
    let look = |sample: Labelled| picture::read_photo(&sample.photo).map(|_| sample);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for checked in samples.into_par_iter().map(look).collect::<Vec<_>>() {
        match checked {
            Ok(sample) => good.push(sample),
            Err(error) => bad.push(error),
        }
    }
    (good, bad)
}
