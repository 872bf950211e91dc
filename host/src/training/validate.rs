//! A look at the validation split.

use candle_core::{Device, Tensor};
use wseg_cuda_runner::{
    infer::Inference,
    model::Model,
    train::{self, Batch},
};

use crate::{
    Error, Result,
    data::{Dataset, ImageLabels, Sample},
    metrics::{Report, Tally},
    picture,
    predictor::{Predictor, mask_of},
    settings::{Best, Settings},
};

/// A photo of the validation split.
#[derive(Clone, Debug)]
pub(super) struct Validated {
    sample: Sample,
    present: ImageLabels,
}

/// The validation split; empty if the data set has none.
///
/// # Errors
/// A file cannot be used, or the settings ask for more than the data set has.
pub(super) fn split(data: &Dataset, settings: &Settings) -> Result<Vec<Validated>> {
    let samples = data.optional_split("val")?.unwrap_or_default();
    let lacking = |key: &str, what: &str| Err(Error::Input(format!("`{key}` needs {what}, which the data set lacks")));
    match &settings.validation {
        wanted if wanted.best == Best::Miou && samples.iter().all(|sample| sample.mask.is_none()) => {
            return lacking("validation.best = \"miou\"", "a validation split with masks");
        }
        wanted if wanted.patience > 0 && samples.is_empty() => {
            return lacking("validation.patience", "a validation split");
        }
        _ => {}
    }
    let present = data.image_labels(&samples)?;
    Ok(samples.into_iter().zip(present).map(|(sample, present)| Validated { sample, present }).collect())
}

/// Classification loss, and the report where there are masks, of the validation split: one view a photo.
pub(super) fn validate(model: &Model, samples: &[Validated]) -> Result<(f64, Option<Report>)> {
    let inference = Inference { scales: vec![1.0], flip: false, ..model.config.inference.clone() };
    let predictor = Predictor::new(model, inference)?;
    let mut tally = Tally::new(crate::predictor::classes(model)?);
    let (mut loss, mut masks) = (0.0, 0);
    for Validated { sample, present } in samples {
        let photo = picture::read_photo(&sample.photo)?;
        let labels: Vec<f32> = present.iter().map(|&present| if present { 1.0 } else { 0.0 }).collect();
        let shape = (1, labels.len(), 1, 1);
        let labels = Tensor::from_vec(labels, shape, &Device::Cpu).map_err(wseg_cuda_runner::Error::from)?;
        let batch = Batch { images: predictor.view(&photo, 1.0, false)?, labels };
        loss += train::classification_loss(model, &batch)?;
        if let Some(path) = &sample.mask {
            let truth = picture::read_mask(path)?;
            let prediction = mask_of(predictor.predict(&photo, None)?, &photo);
            tally.add(&prediction.labels, &truth.labels).map_err(|mistake| Error::input(path, mistake))?;
            masks += 1;
        }
    }
    Ok((loss / samples.len().max(1) as f64, (masks > 0).then(|| tally.report())))
}
