//! What is measured when speed is: a training step and a forward pass on random photos, and the dense CRF on a synthetic
//! one, for `wseg bench` and the criterion benchmarks alike.

use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use wseg_cuda_runner::{
    crf::{DenseCrf, Rgb, dense_crf},
    model::{Model, ModelKind, Supervision},
    nn::Pass,
    train::{Batch, Recipe, Sgd, Target, losses},
};

use crate::{
    Error, Result,
    settings::{Settings, numbered_classes},
    synth::{Kind, Picture, Split, Synth, picture},
};

/// How much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Photos in a training step.
    pub batch: usize,
    /// Width and height of the photos in pixels; the preset's training crop if none.
    pub size: Option<usize>,
    /// Classes, without the background.
    pub classes: usize,
}

/// A preset's network with random weights, and random photos for it.
#[derive(Debug)]
pub struct Workload {
    model: Model,
    recipe: Recipe,
    optimiser: Sgd,
    batch: Batch,
    view: Tensor,
}

impl Workload {
    /// Builds the network and the photos on a device.
    ///
    /// # Errors
    /// The network does not take photos of this size, or memory runs out.
    pub fn new(settings: &Settings, amount: Amount, device: &Device) -> Result<Self> {
        let kind = settings.kind();
        let model = Model::new(settings.network_for(kind, numbered_classes(amount.classes)), 1, DType::F32, device)?;
        let recipe = settings.recipe_for(kind);
        let size = amount.size.unwrap_or(model.config.crop);
        let photos = |count| Tensor::rand(-1_f32, 1_f32, (count, 3, size, size), device);
        let target = target(kind, amount.batch, amount.classes, size, device)?;
        let optimiser = Sgd::new(&model.params.borrow(), &recipe);
        Ok(Self { batch: Batch { images: photos(amount.batch)?, target }, view: photos(1)?, model, recipe, optimiser })
    }

    /// Width and height of the photos in pixels.
    ///
    /// # Errors
    /// None that can be met: the photos are of rank four.
    pub fn size(&self) -> Result<usize> {
        Ok(self.view.dim(3)?)
    }

    /// The whole step, as in training: the losses, pseudo labels and PAMR where there are any, gradients, the optimiser.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn train(&mut self) -> Result<()> {
        let losses = losses(&self.model, &self.batch, &self.recipe, true, 0)?;
        // At rate 0 the values stay finite, whatever the preset's rate does to random photos.
        self.optimiser.step(&losses.total.backward()?, 0.0)?;
        Ok(())
    }

    /// The forward pass of one photo in one view.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn look(&self) -> Result<()> {
        self.model.forward(&self.view, &Pass::evaluation())?;
        Ok(())
    }
}

/// Something to learn from for photos of `size` x `size` pixels, as a kind of network takes it: every other class, all over
/// the photo where it is masks.
///
/// # Errors
/// If memory runs out.
pub fn target(kind: ModelKind, photos: usize, classes: usize, size: usize, device: &Device) -> Result<Target> {
    match kind.supervision() {
        Supervision::ImageLabels => {
            let present = (0..photos * classes).map(|index| (index % 2) as f32).collect();
            Ok(Target::Labels(Tensor::from_vec(present, (photos, classes, 1, 1), device)?))
        }
        Supervision::Masks => {
            let labels =
                (0..photos * size * size).map(|pixel| (pixel % (classes + 1) / 2 * 2) as u8).collect::<Vec<_>>();
            Ok(Target::Masks(Tensor::from_vec(labels, (photos, 1, size, size), device)?))
        }
    }
}

/// A photo and masks for the dense CRF. Its time depends on the photo: the more colours, the more lattice points.
#[derive(Debug, Clone)]
pub struct Edges {
    photo: RgbImage,
    classes: usize,
    probabilities: Vec<f32>,
}

/// Pixels by which the masks of [`Edges`] miss the objects, to the right and down.
const MISS: usize = 9;

impl Edges {
    /// A synthetic photo of this size, and masks of as many classes with the background: the truth, moved a little and
    /// with noise.
    ///
    /// # Errors
    /// The size is 0, or larger than a synthetic photo can be.
    pub fn new(width: usize, height: usize, classes: usize) -> Result<Self> {
        let size = width.max(height);
        if width.min(height) == 0 || size > 2048 || classes < 2 {
            return Err(Error::Input(format!("{width} x {height} pixels and {classes} classes cannot be drawn")));
        }
        let kinds = Kind::ALL.len().min(classes - 1);
        let settings = Synth { size, classes: kinds, ..Synth::default() };
        let Picture { photo, mask } = picture(&settings, Split::Train, 0);
        let photo = image::imageops::crop_imm(&photo, 0, 0, width as u32, height as u32).to_image();
        let mut scores = vec![0.0_f32; classes * width * height];
        for pixel in 0..width * height {
            let (x, y) = ((pixel % width).saturating_sub(MISS), (pixel / width).saturating_sub(MISS));
            let label = usize::from(mask.labels[y * size + x]);
            let mut total = 0.0;
            for class in 0..classes {
                // Noise from the place alone: the same on every machine.
                let place = (class * width * height + pixel) as u32;
                let noise = (place.wrapping_mul(0x9E37_79B9) ^ (place >> 7).wrapping_mul(0x85EB_CA6B)) >> 20;
                let score = f32::from(noise as u16) / 4096.0 + if class == label { 2.0 * classes as f32 } else { 0.05 };
                scores[class * width * height + pixel] = score;
                total += score;
            }
            (0..classes).for_each(|class| scores[class * width * height + pixel] /= total);
        }
        Ok(Self { photo, classes, probabilities: scores })
    }

    /// The photo.
    #[must_use]
    pub fn photo(&self) -> &RgbImage {
        &self.photo
    }

    /// The masks `[classes, h, w]`.
    #[must_use]
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Draws the masks to the photo's edges, as after a prediction.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn refine(&self) -> Result<Vec<f32>> {
        let (width, height) = self.photo.dimensions();
        let image = Rgb::new(self.photo.as_raw(), width as usize, height as usize);
        image
            .and_then(|image| dense_crf(&self.probabilities, self.classes, image, &DenseCrf::default()))
            .map_err(|error| Error::Failed(format!("the dense CRF: {error}")))
    }
}
