//! What a run learns from: the photos of the training split, each with its image labels or its mask.

use wseg_cuda_runner::model::{ModelKind, Supervision};

use super::{Run, fingerprint};
use crate::{
    Error, Result,
    data::{
        GivenMask, GivenMasks, ImageLabels, Sample,
        loader::{Annotation, Labelled},
    },
};

/// The photos that are learned from.
pub(super) struct Lessons {
    pub(super) photos: Vec<Labelled>,
    /// Which classes each shows, for captions.
    pub(super) present: Vec<ImageLabels>,
    pub(super) fingerprint: String,
    /// What is wrong with those that are left out.
    pub(super) unusable: Vec<Error>,
}

impl Lessons {
    /// Reads the training split.
    ///
    /// # Errors
    /// A photo, its labels or its mask cannot be used.
    pub(super) fn read(run: &Run<'_>, given: Option<&GivenMasks>) -> Result<Self> {
        let data = run.data;
        let (samples, mut unusable) = match run.loading.skip_bad {
            true => data.usable_split("train")?,
            false => (data.split("train")?, Vec::new()),
        };
        let (samples, present, masks) = match given {
            None => {
                let present = data.image_labels(&samples)?;
                (samples, present, Vec::new())
            }
            Some(given) => {
                let checked = if run.loading.skip_bad {
                    let (checked, bad) = given.check(samples);
                    unusable.extend(bad);
                    checked
                } else {
                    given.require(samples)?
                };
                apart(checked)
            }
        };
        let fingerprint = fingerprint(data, &samples, &present, &masks)?;
        let mut masks = masks.into_iter();
        let photos = samples.into_iter().zip(&present).map(|(sample, present)| {
            let annotation = masks.next().map_or_else(|| Annotation::Labels(present.clone()), Annotation::Mask);
            Labelled { photo: sample.photo, annotation }
        });
        Ok(Self { photos: photos.collect(), present, fingerprint, unusable })
    }
}

fn apart(checked: Vec<(Sample, GivenMask, ImageLabels)>) -> (Vec<Sample>, Vec<ImageLabels>, Vec<GivenMask>) {
    let (mut samples, mut present, mut masks) = (Vec::new(), Vec::new(), Vec::new());
    for (sample, mask, shown) in checked {
        samples.push(sample);
        present.push(shown);
        masks.push(mask);
    }
    (samples, present, masks)
}

impl Run<'_> {
    /// The masks that it is given, if that is what it learns from.
    ///
    /// # Errors
    /// There are masks for a network that learns from image labels, or none for one that does not; there is no such folder;
    /// or the recipe weighs another number of classes.
    pub(super) fn given(&self) -> Result<Option<GivenMasks>> {
        match (self.model.supervision(), self.masks) {
            (Supervision::ImageLabels, None) => Ok(None),
            (Supervision::Masks, Some(folder)) => {
                let classes = self.data.classes();
                // Said now, not after the first step.
                self.settings.recipe_for(self.model).weights(classes.len())?;
                GivenMasks::open(folder, classes).map(Some)
            }
            (Supervision::ImageLabels, Some(folder)) => {
                let (kind, deeplab) = (self.model, ModelKind::DeepLab);
                let problem = format!("--masks is for --model {deeplab}; {kind} learns from image labels alone");
                Err(Error::input(folder, problem))
            }
            (Supervision::Masks, None) => {
                let kind = self.model;
                Err(Error::Input(format!("{kind} learns from masks: name their folder with --masks DIR")))
            }
        }
    }
}
