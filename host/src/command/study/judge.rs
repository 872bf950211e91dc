//! A network's masks of a validation split against the truth, refined in several ways.

use std::path::Path;

use image::RgbImage;
use serde::Serialize;
use wseg_core::pamr::Pamr;
use wseg_cuda_runner::{crf::DenseCrf, model::Model};

use crate::{
    Error, Result,
    console::Console,
    data::{Dataset, Sample},
    metrics::{Mistake, Tally},
    picture,
    predictor::{self, Predictor},
    refine::{Masks, Refinement},
};

/// Mean IoU of one kind of masks, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Score {
    /// As they are.
    pub(super) iou: Option<f64>,
    /// After the dense CRF.
    pub(super) iou_crf: Option<f64>,
}

/// How a split is judged.
pub(super) struct Question<'a> {
    /// PAMR's iterations, rising; a score is given for each.
    pub(super) iterations: &'a [usize],
    /// Leave classes out of a photo's mask that its image labels do not name.
    pub(super) labels: bool,
    /// What the progress says.
    pub(super) title: String,
}

impl Question<'_> {
    /// Predicts the validation split with the network's own scales; a score for each number of iterations.
    ///
    /// # Errors
    /// If the split or its masks are missing, a file cannot be used, or memory runs out.
    pub(super) fn judge(&self, model: &Model, data: &Dataset, console: &Console) -> Result<Vec<Score>> {
        let classes = predictor::classes_of(model, data)?;
        let samples = data.split("val")?;
        if let Some(sample) = samples.iter().find(|sample| sample.mask.is_none()) {
            return Err(Error::input(&sample.photo, "has no true mask to compare with"));
        }
        let present = match self.labels {
            true => data.image_labels(&samples)?.into_iter().map(Some).collect(),
            false => vec![None; samples.len()],
        };
        let predictor = Predictor::new(model, model.config.inference.clone())?;
        let (threshold, power) = (model.config.inference.threshold, model.config.inference.background_power);
        let mut tallies = vec![[Tally::new(classes.clone()), Tally::new(classes)]; self.iterations.len()];
        let progress = console.progress(self.title.clone(), samples.len() as u64);
        for (Sample { photo: path, mask, .. }, present) in samples.iter().zip(present) {
            let Some(mask) = mask else { continue };
            let photo = picture::read_photo(path)?;
            let truth = picture::read_mask(mask)?;
            let prediction = predictor.look(&photo)?.finish(present.as_deref(), threshold, power)?;
            let mut masks = predictor::Masks::whole(&prediction)?.probabilities()?;
            let mut done = 0;
            for (&count, [plain, drawn]) in self.iterations.iter().zip(&mut tallies) {
                masks = refined(masks, count - done, &photo, path)?;
                done = count;
                let crf = Refinement { pamr: None, crf: Some(DenseCrf::default()) };
                let crf = crf.apply(masks.clone(), &photo).map_err(|error| error.of_file(path))?;
                for (tally, masks) in [(plain, &masks), (drawn, &crf)] {
                    tally.add(&masks.most_likely().labels, &truth.labels).map_err(|mistake| match mistake {
                        Mistake::Prediction(problem) => Error::input(path, problem),
                        Mistake::Truth(problem) => Error::input(mask, problem),
                    })?;
                }
            }
            progress.advance(1);
        }
        let mean = |tally: &Tally| tally.report().mean_iou;
        Ok(tallies.iter().map(|[plain, crf]| Score { iou: mean(plain), iou_crf: mean(crf) }).collect())
    }
}

/// PAMR, so many iterations more.
fn refined(masks: Masks, iterations: usize, photo: &RgbImage, path: &Path) -> Result<Masks> {
    if iterations == 0 {
        return Ok(masks);
    }
    let pamr = Some(Pamr { iterations, ..Pamr::default() });
    Refinement { pamr, crf: None }.apply(masks, photo).map_err(|error| error.of_file(path))
}
