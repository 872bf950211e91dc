//! A look at the validation split: losses, how well image scores rank, and masks against the truth where there is one.

mod sheet;

pub use sheet::SheetPhotos;

use candle_core::{Device, Tensor};
use wseg_core::{Kernels as _, loss::gated_segmentation_loss_mean};
use wseg_cuda_runner::{
    dense::Dense,
    infer::{Inference, Merge},
    model::{Classified, Model, SelfSupervision, Supervision, supervise},
    nn::Pass,
    train::{Recipe, SegmentationLoss, mask_loss},
};

use crate::{
    Error, Result,
    console::Console,
    data::{Dataset, GivenMask, GivenMasks, ImageLabels, Sample},
    metrics::{Ranking, RankingReport, Report, Tally},
    picture,
    predictor::{Predictor, classes, mask_of},
};

/// The validation split, ready to be looked at.
#[derive(Debug)]
pub struct Split {
    photos: Vec<Watched>,
}

/// A photo of the split.
#[derive(Debug)]
struct Watched {
    sample: Sample,
    /// The classes that it shows; where masks supervise, none is asked for.
    present: ImageLabels,
    /// What a network that learns from masks is held against: the true mask, or else the given one.
    target: Option<GivenMask>,
}

/// What a look at a split showed. Losses are means over its photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Classification loss (12); `None` where masks supervise.
    pub loss_classification: Option<f64>,
    /// Segmentation loss (21-23) against pseudo labels of the photos' own masks, or the cross entropy against masks; `None`
    /// for the CAM baseline.
    pub loss_segmentation: Option<f64>,
    /// How well the image scores rank the photos; `None` from a network without such scores.
    pub ranking: Option<RankingReport>,
    /// Predicted masks against the true ones; `None` if the split has none.
    pub masks: Option<Report>,
}

impl Look {
    /// The loss by which looks are compared.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        self.loss_classification.or(self.loss_segmentation)
    }
}

impl Split {
    /// The data set's validation split; `None` if it has none, or none of its photos has a mask for a network that learns
    /// from `given` masks.
    ///
    /// # Errors
    /// Names the files of the split that cannot be used.
    pub fn open(data: &Dataset, given: Option<&GivenMasks>) -> Result<Option<Self>> {
        let Some(samples) = data.optional_split("val")? else { return Ok(None) };
        let photos: Vec<Watched> = match given {
            None => {
                let labels = data.image_labels(&samples)?;
                let watched = |(sample, present)| Watched { sample, present, target: None };
                samples.into_iter().zip(labels).map(watched).collect()
            }
            Some(given) => samples
                .into_iter()
                .map(|sample| {
                    let truth = sample.mask.clone().map(|path| given.at(path));
                    let target = truth.or_else(|| given.find(&sample.name));
                    Watched { sample, present: Vec::new(), target }
                })
                .collect(),
        };
        let judged = given.is_none() || photos.iter().any(|photo| photo.target.is_some());
        Ok(judged.then_some(Self { photos }))
    }

    /// Whether a photo has a mask.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        self.photos.iter().any(|photo| photo.sample.mask.is_some())
    }

    /// The classes that no photo shows: they have no average precision and no part in its mean.
    #[must_use]
    pub fn never_shown<'n>(&self, data: &'n Dataset) -> Vec<&'n str> {
        let shown = |class: usize| self.photos.iter().any(|photo| photo.present.get(class) == Some(&true));
        let objects = data.classes().names().iter().skip(1).enumerate();
        objects.filter(|(class, _)| !shown(*class)).map(|(_, name)| name.as_str()).collect()
    }

    /// The first photos, to be drawn at every look.
    #[must_use]
    pub fn sheet_photos(&self) -> SheetPhotos {
        let shown = |photo: &Watched| (photo.sample.photo.clone(), photo.present.clone(), photo.target.clone());
        SheetPhotos::new("validation", self.photos.iter().map(shown))
    }

    /// Looks at every photo in one view, without ground truth but for the measures.
    ///
    /// # Errors
    /// If a file cannot be used, or a score is not a number; the error names the file. Or if memory runs out.
    pub fn look(&self, model: &Model, recipe: &Recipe, console: &Console) -> Result<Look> {
        let eye = Eye::new(model, recipe)?;
        let by_labels = model.config.model.supervision() == Supervision::ImageLabels;
        let mut ranking = by_labels.then(|| Ranking::new(&model.config.classes));
        let mut tally = Tally::new(classes(model)?);
        let (mut classification, mut segmentation) = (Mean::default(), Mean::default());
        let progress = console.progress("validation", self.photos.len() as u64);
        for Watched { sample: Sample { photo: path, mask, .. }, present, target } in &self.photos {
            let photo = picture::read_photo(path)?;
            let seen = eye.see(&photo)?;
            if let (Some(scores), Some(ranking)) = (&seen.classified.scores, &mut ranking) {
                classification.add(scalar(&scores.soft_margin(&seen.labels(present)?)?)?);
                let scores: Vec<f32> = scores.tensor().flatten_all()?.to_vec1()?;
                ranking.add(&scores, present).map_err(|error| {
                    Error::Failed(format!("{}: the network's scores cannot be ranked: {error}", path.display()))
                })?;
            }
            let loss = match target {
                Some(target) => eye.mask_loss(&seen, target, photo.dimensions())?,
                None if by_labels => eye.segmentation_loss(&seen, present)?,
                None => None,
            };
            loss.into_iter().for_each(|loss| segmentation.add(loss));
            if let Some(path) = mask {
                let truth = picture::read_mask(path)?;
                let prediction = mask_of(eye.prediction(&photo, &seen)?, &photo);
                tally.add(&prediction.labels, &truth.labels).map_err(|mistake| Error::input(path, mistake))?;
            }
            progress.advance(1);
        }
        let masks = tally.report();
        Ok(Look {
            loss_classification: classification.value(),
            loss_segmentation: segmentation.value(),
            ranking: ranking.map(|ranking| ranking.report()),
            masks: (masks.images > 0).then_some(masks),
        })
    }
}

/// A mean of so many numbers.
#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, number: f64) {
        self.sum += number;
        self.count += 1;
    }

    /// `None` of no number.
    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
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
    classified: Classified,
}

impl Seen {
    /// Image labels, `[1, c, 1, 1]` in {0, 1}.
    fn labels(&self, present: &[bool]) -> Result<Dense> {
        let labels: Vec<f32> = present.iter().map(|&present| if present { 1.0 } else { 0.0 }).collect();
        let shape = (1, labels.len(), 1, 1);
        Ok(Dense::new(Tensor::from_vec(labels, shape, self.view.device())?)?)
    }
}

impl<'a> Eye<'a> {
    fn new(model: &'a Model, recipe: &'a Recipe) -> Result<Self> {
        let inference = Inference { scales: vec![1.0], flip: false, ..model.config.inference.clone() };
        Ok(Self { model, recipe, predictor: Predictor::new(model, inference.clone())?, inference })
    }

    fn see(&self, photo: &image::RgbImage) -> Result<Seen> {
        let view = self.predictor.view(photo, 1.0, false)?.to_device(&self.model.device())?;
        let classified = self.model.forward(&view, &Pass::evaluation())?;
        Ok(Seen { view, classified })
    }

    /// Masks refined by PAMR and pseudo labels, as training would make them of this photo.
    fn supervise(&self, seen: &Seen, masks: &Dense, present: &[bool]) -> Result<SelfSupervision> {
        let (pamr, cutoff) = (self.recipe.pamr()?, self.recipe.cutoff());
        Ok(supervise(masks, &seen.view, &seen.labels(present)?, &pamr, &cutoff)?)
    }

    fn segmentation_loss(&self, seen: &Seen, present: &[bool]) -> Result<Option<f64>> {
        let Some(logits) = &seen.classified.logits else { return Ok(None) };
        let pseudo = self.supervise(seen, &seen.classified.masks, present)?.pseudo;
        let loss = match self.recipe.segmentation_loss {
            SegmentationLoss::Paper => logits.segmentation_loss(&pseudo)?,
            SegmentationLoss::Gated => gated_segmentation_loss_mean(logits, &pseudo, &seen.labels(present)?)?,
        };
        scalar(&loss).map(Some)
    }

    /// The cross entropy against the mask of a photo of `size` (width, height).
    fn mask_loss(&self, seen: &Seen, mask: &GivenMask, size: (u32, u32)) -> Result<Option<f64>> {
        let Some(logits) = &seen.classified.logits else { return Ok(None) };
        let mask = mask.read(size)?;
        let labels = Tensor::from_vec(mask.labels, (1, 1, mask.height, mask.width), &Device::Cpu)?;
        scalar(&mask_loss(logits, &labels, self.recipe)?).map(Some)
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
