//! What is measured when speed is: a training step and a forward pass on random photos, for `wseg bench` and the
//! criterion benchmarks alike.

use candle_core::{DType, Device, Tensor};
use wseg_cuda_runner::{
    model::{Model, ModelKind},
    nn::Pass,
    train::{Batch, Recipe, Sgd, losses},
};

use crate::{
    Result,
    settings::{Settings, numbered_classes},
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

/// A preset's single-stage network with random weights, and random photos for it.
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
        let kind = ModelKind::SingleStage;
        let model = Model::new(settings.network_for(kind, numbered_classes(amount.classes)), 1, DType::F32, device)?;
        let recipe = settings.recipe_for(kind);
        let size = amount.size.unwrap_or(model.config.crop);
        let photos = |count| Tensor::rand(-1_f32, 1_f32, (count, 3, size, size), device);
        // Every other class is there.
        let present = (0..amount.batch * amount.classes).map(|index| (index % 2) as f32).collect();
        let labels = Tensor::from_vec(present, (amount.batch, amount.classes, 1, 1), device)?;
        let optimiser = Sgd::new(&model.params.borrow(), &recipe);
        Ok(Self { batch: Batch { images: photos(amount.batch)?, labels }, view: photos(1)?, model, recipe, optimiser })
    }

    /// Width and height of the photos in pixels.
    ///
    /// # Errors
    /// None that can be met: the photos are of rank four.
    pub fn size(&self) -> Result<usize> {
        Ok(self.view.dim(3)?)
    }

    /// The whole step, as in training: both losses, pseudo labels and PAMR, gradients, the optimiser.
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
