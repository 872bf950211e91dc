//! A look at the validation split: losses, how well image scores rank, and masks against the truth where there is one.

mod sheet;

pub use sheet::SheetPhotos;

use candle_core::Tensor;
use wseg_core::{Kernels as _, loss::gated_segmentation_loss_mean};
use wseg_cuda_runner::{
    dense::Dense,
    infer::{Inference, Merge},
    model::{Classified, Model, SelfSupervision, supervise},
    nn::Pass,
    train::{Recipe, SegmentationLoss},
};

use crate::{
    Error, Result,
    console::Console,
    data::{Dataset, ImageLabels, Sample},
    metrics::{Ranking, RankingReport, Report, Tally},
    picture,
    predictor::{Predictor, classes, mask_of},
};

/// The validation split, ready to be looked at.
#[derive(Debug)]
pub struct Split {
    photos: Vec<(Sample, ImageLabels)>,
}

/// What a look at a split showed. Losses are means over its photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Classification loss (12).
    pub loss_classification: f64,
    /// Segmentation loss (21-23) against pseudo labels of the photos' own masks; `None` for the CAM baseline.
    pub loss_segmentation: Option<f64>,
    /// How well the image scores rank the photos.
    pub ranking: RankingReport,
    /// Predicted masks against the true ones; `None` if the split has none.
    pub masks: Option<Report>,
}

impl Split {
    /// The data set's validation split; `None` if it has none.
    ///
    /// # Errors
    /// Names the files of the split that cannot be used.
    pub fn open(data: &Dataset) -> Result<Option<Self>> {
        let Some(samples) = data.optional_split("val")? else { return Ok(None) };
        let labels = data.image_labels(&samples)?;
        Ok(Some(Self { photos: samples.into_iter().zip(labels).collect() }))
    }

    /// Whether a photo has a mask.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        self.photos.iter().any(|(sample, _)| sample.mask.is_some())
    }

    /// The classes that no photo shows: they have no average precision and no part in its mean.
    #[must_use]
    pub fn never_shown<'n>(&self, data: &'n Dataset) -> Vec<&'n str> {
        let shown = |class: usize| self.photos.iter().any(|(_, present)| present.get(class) == Some(&true));
        let objects = data.classes().names().iter().skip(1).enumerate();
        objects.filter(|(class, _)| !shown(*class)).map(|(_, name)| name.as_str()).collect()
    }

    /// The first photos, to be drawn at every look.
    #[must_use]
    pub fn sheet_photos(&self) -> SheetPhotos {
        SheetPhotos::new("validation", self.photos.iter().map(|(sample, present)| (&sample.photo, present)))
    }

    /// Looks at every photo in one view, without ground truth but for the measures.
    ///
    /// # Errors
    /// If a file cannot be used, or a score is not a number; the error names the file. Or if memory runs out.
    pub fn look(&self, model: &Model, recipe: &Recipe, console: &Console) -> Result<Look> {
        let eye = Eye::new(model, recipe)?;
        let mut ranking = Ranking::new(&model.config.classes);
        let mut tally = Tally::new(classes(model)?);
        let (mut classification, mut segmentation) = (0.0, None);
        let progress = console.progress("validation", self.photos.len() as u64);
        for (Sample { photo: path, mask, .. }, present) in &self.photos {
            let photo = picture::read_photo(path)?;
            let seen = eye.see(&photo, present)?;
            classification += scalar(&seen.classified.scores.soft_margin(&seen.labels)?)?;
            if let Some(loss) = eye.segmentation_loss(&seen)? {
                *segmentation.get_or_insert(0.0) += loss;
            }
            let scores: Vec<f32> = seen.classified.scores.tensor().flatten_all()?.to_vec1()?;
            ranking.add(&scores, present).map_err(|error| {
                Error::Failed(format!("{}: the network's scores cannot be ranked: {error}", path.display()))
            })?;
            if let Some(path) = mask {
                let truth = picture::read_mask(path)?;
                let prediction = mask_of(eye.prediction(&photo, &seen)?, &photo);
                tally.add(&prediction.labels, &truth.labels).map_err(|mistake| Error::input(path, mistake))?;
            }
            progress.advance(1);
        }
        let photos = self.photos.len().max(1) as f64;
        let masks = tally.report();
        Ok(Look {
            loss_classification: classification / photos,
            loss_segmentation: segmentation.map(|sum: f64| sum / photos),
            ranking: ranking.report(),
            masks: (masks.images > 0).then_some(masks),
        })
    }
}

/// A network in evaluation, and the recipe that says how it supervises itself.
struct Eye<'a> {
    model: &'a Model,
    recipe: &'a Recipe,
    predictor: Predictor<'a>,
    inference: Inference,
}

/// A photo as the network sees it in its one view, and what it says.
struct Seen {
    /// `[1, 3, h, w]`, normalised.
    view: Tensor,
    /// `[1, c, 1, 1]` in {0, 1}.
    labels: Dense,
    classified: Classified,
}

impl<'a> Eye<'a> {
    fn new(model: &'a Model, recipe: &'a Recipe) -> Result<Self> {
        let inference = Inference { scales: vec![1.0], flip: false, ..model.config.inference.clone() };
        Ok(Self { model, recipe, predictor: Predictor::new(model, inference.clone())?, inference })
    }

    fn see(&self, photo: &image::RgbImage, present: &[bool]) -> Result<Seen> {
        let view = self.predictor.view(photo, 1.0, false)?.to_device(&self.model.device())?;
        let labels: Vec<f32> = present.iter().map(|&present| if present { 1.0 } else { 0.0 }).collect();
        let shape = (1, labels.len(), 1, 1);
        let labels = Dense::new(Tensor::from_vec(labels, shape, &self.model.device())?)?;
        let classified = self.model.forward(&view, &Pass::evaluation())?;
        Ok(Seen { view, labels, classified })
    }

    /// Masks refined by PAMR and pseudo labels, as training would make them of this photo.
    fn supervise(&self, seen: &Seen, masks: &Dense) -> Result<SelfSupervision> {
        let (pamr, cutoff) = (self.recipe.pamr()?, self.recipe.cutoff());
        Ok(supervise(masks, &seen.view, &seen.labels, &pamr, &cutoff)?)
    }

    fn segmentation_loss(&self, seen: &Seen) -> Result<Option<f64>> {
        let Some(logits) = &seen.classified.logits else { return Ok(None) };
        let pseudo = self.supervise(seen, &seen.classified.masks)?.pseudo;
        let loss = match self.recipe.segmentation_loss {
            SegmentationLoss::Paper => logits.segmentation_loss(&pseudo)?,
            SegmentationLoss::Gated => gated_segmentation_loss_mean(logits, &pseudo, &seen.labels)?,
        };
        scalar(&loss).map(Some)
    }

    fn prediction(&self, photo: &image::RgbImage, seen: &Seen) -> Result<wseg_cuda_runner::infer::Prediction> {
        let Inference { threshold, background_power, .. } = self.inference;
        let (_, _, h, w) = seen.view.dims4()?;
        let mut merge = Merge::new(self.model, photo.height() as usize, photo.width() as usize);
        merge.add_classified(&seen.classified, (h, w), false)?;
        Ok(merge.finish(None, threshold, background_power)?)
    }
}

fn scalar(loss: &Dense) -> Result<f64> {
    Ok(loss.tensor().flatten_all()?.get(0)?.to_dtype(candle_core::DType::F64)?.to_scalar()?)
}
