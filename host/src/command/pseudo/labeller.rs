//! How a photo becomes a pseudo label.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::Statistics;
use crate::{
    Error, Result,
    command::outcomes::{Outcome, Outcomes},
    data::{Classes, Dataset, Sample, labels::check_values},
    files,
    palette::VOID,
    picture::{self, LabelMap},
    predictor::{Batch, Masks, Predictor, Waiting},
    refine::{Band, Refinement},
    training::Interrupt,
};

/// How pseudo labels are made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Making {
    /// What is done to the network's masks.
    pub(crate) refinement: Refinement,
    /// What is left undecided.
    pub(crate) band: Band,
    /// Photos of one size that go through the network together.
    pub(crate) batch: usize,
    /// Leave out photos whose mask is there.
    pub(crate) skip_existing: bool,
}

/// Makes pseudo labels of photos of a data set.
pub(crate) struct Labeller<'a> {
    pub(crate) predictor: &'a Predictor<'a>,
    pub(crate) data: &'a Dataset,
    pub(crate) making: Making,
    /// Where they go.
    pub(crate) out: &'a Path,
    pub(crate) interrupt: &'a Interrupt,
}

impl Labeller<'_> {
    /// The pseudo label of the photo called `name`.
    fn path(&self, name: &str) -> PathBuf {
        self.out.join(format!("{name}.png"))
    }

    /// Checks that nothing would be written twice, or over a photo or a mask of the data set.
    ///
    /// # Errors
    /// Naming the first file that would.
    pub(crate) fn check(&self, samples: &[Sample]) -> Result<()> {
        let inputs = samples.iter().flat_map(|sample| std::iter::once(&sample.photo).chain(&sample.mask));
        let inputs = files::Kept::new(inputs);
        let mut photos: HashMap<PathBuf, &Path> = HashMap::new();
        for Sample { name, photo, .. } in samples {
            let file = self.path(name);
            if inputs.holds(&file) {
                let problem = "a photo or a mask of the data set would be overwritten; choose another --out";
                return Err(Error::input(&file, problem));
            }
            if let Some(other) = photos.insert(file.clone(), photo) {
                let (one, other) = (other.display(), photo.display());
                return Err(Error::input(
                    &file,
                    format!("would be the mask of {one} and of {other}; rename one of them"),
                ));
            }
        }
        Ok(())
    }

    /// Labels the photos and counts what came of it, with the masks that were there before.
    ///
    /// # Errors
    /// The folder cannot be made, or a signal asks for the end. What is wrong with a photo is told to `outcomes`.
    pub(crate) fn label(&self, samples: &[Sample], outcomes: &mut Outcomes<'_>) -> Result<Statistics> {
        files::create_folder(self.out)?;
        let mut statistics = Statistics::new(self.data.classes().clone());
        let mut batch = Batch::new(self.predictor, self.making.batch, self.out);
        for sample in samples {
            if let Some((signal, code)) = self.interrupt.asked() {
                let (done, all) = outcomes.position();
                let told =
                    format!("stopped by {signal} after {done} of {all} photos; --skip-existing goes on from there");
                return Err(Error::Stopped(told, code));
            }
            if self.making.skip_existing && self.path(&sample.name).is_file() {
                let outcome = match self.recount(sample, &mut statistics) {
                    Ok(()) => Outcome::Skipped,
                    Err(error) => Outcome::Failed(error),
                };
                outcomes.add(&sample.name, &sample.photo, outcome);
                continue;
            }
            match self.read(sample) {
                Ok(photo) => {
                    let done = batch.push(photo);
                    done.into_iter().for_each(|done| self.finish(done, &mut statistics, outcomes));
                }
                Err(error) => outcomes.add(&sample.name, &sample.photo, Outcome::Failed(error)),
            }
        }
        batch.flush().into_iter().for_each(|done| self.finish(done, &mut statistics, outcomes));
        Ok(statistics)
    }

    fn read<'s>(&self, sample: &'s Sample) -> Result<Waiting<&'s Sample>> {
        let present = self.data.image_labels(std::slice::from_ref(sample))?.pop();
        Ok(Waiting { of: sample, pixels: picture::read_photo(&sample.photo)?, present })
    }

    /// Counts a mask that is there already.
    fn recount(&self, sample: &Sample, statistics: &mut Statistics) -> Result<()> {
        let path = self.path(&sample.name);
        let mask = picture::read_mask(&path)?;
        let problem = if (mask.width, mask.height) == (sample.size.0 as usize, sample.size.1 as usize) {
            check_values(&mask.present(), self.data.classes()).err()
        } else {
            Some(format!(
                "{} x {} pixels, but its photo has {} x {}",
                mask.width, mask.height, sample.size.0, sample.size.1
            ))
        };
        match problem {
            Some(problem) => Err(Error::input(&path, problem + "; it is no pseudo label of this photo, remove it")),
            None => statistics.add(&mask, sample),
        }
    }

    /// Refines, decides and writes a mask.
    fn finish(
        &self,
        (photo, masks): (Waiting<&Sample>, Result<Masks>),
        statistics: &mut Statistics,
        outcomes: &mut Outcomes<'_>,
    ) {
        let sample = photo.of;
        let done = masks.map_err(|error| Error::failed(&sample.photo, error)).and_then(|masks| {
            let mask = self.decide(masks, &photo)?;
            picture::write_mask(&self.path(&sample.name), &mask)?;
            statistics.add(&mask, sample)?;
            Ok(said(&mask, self.data.classes()))
        });
        outcomes.add(&sample.name, &sample.photo, done.map_or_else(Outcome::Failed, Outcome::Done));
    }

    fn decide(&self, mut masks: Masks, photo: &Waiting<&Sample>) -> Result<LabelMap> {
        let mut masks = masks.probabilities()?;
        if self.making.refinement != Refinement::default() {
            let refined = self.making.refinement.apply(masks, &photo.pixels);
            masks = refined.map_err(|error| error.of_file(&photo.of.photo))?;
        }
        Ok(masks.decided(self.making.band))
    }
}

/// What there is to say about a mask.
fn said(mask: &LabelMap, classes: &Classes) -> serde_json::Value {
    let present = mask.present();
    let names = classes.names().iter().zip(present).skip(1).filter(|(_, present)| *present).map(|(name, _)| name);
    let ignored = mask.labels.iter().filter(|label| **label == VOID).count();
    json!({ "classes": names.collect::<Vec<_>>(), "ignored_percent": 100.0 * ignored as f64 / mask.labels.len().max(1) as f64 })
}
