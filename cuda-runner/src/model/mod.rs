//! Whole networks behind one trait: the single-stage model, the CAM baseline, and DeepLabv3+ for the second stage.

mod cam;
mod config;
mod deeplab;
mod single_stage;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use candle_core::{DType, Device, Tensor};
use wseg_core::{Corners, Kernels as _, pamr::Pamr, pseudo::Cutoff};

pub use cam::CamNet;
pub use config::{Architecture, DeepLabConfig, ModelKind, NetworkConfig, Supervision};
pub use deeplab::DeepLab;
pub use single_stage::SingleStage;

use crate::{
    Error, Precision, Result, backbone,
    dense::Dense,
    nn::{Origin, Params, Pass, Scope},
};

/// Mean of ImageNet's RGB values, of photos in 0..=1.
pub const IMAGE_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation of ImageNet's RGB values, of photos in 0..=1.
pub const IMAGE_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// What a network says of a batch: of every pixel, and, if it learns from image labels, of every image.
#[derive(Clone, Debug)]
pub struct Classified {
    /// Class scores `[n, c, 1, 1]`, to be compared with 0 or put through a sigmoid; `None` from a network that judges
    /// pixels alone and so takes no class for absent: DeepLab.
    pub scores: Option<Dense>,
    /// Masks with background `[n, c + 1, h', w']` at the network's own resolution.
    pub masks: Dense,
    /// Scores with background `[n, c + 1, h', w']`, what losses against masks work on; `None` for CAM.
    pub logits: Option<Dense>,
}

impl Classified {
    /// What was said of one image of the batch.
    ///
    /// # Errors
    /// If there is no such image.
    pub fn of(&self, index: usize) -> Result<Self> {
        let own = |all: &Dense| Dense::new(all.tensor().narrow(0, index, 1)?);
        Ok(Self {
            scores: self.scores.as_ref().map(own).transpose()?,
            masks: own(&self.masks)?,
            logits: self.logits.as_ref().map(own).transpose()?,
        })
    }
}

/// A network that makes masks.
pub trait Network: std::fmt::Debug {
    /// Runs the network.
    ///
    /// # Shapes
    /// images `[n, 3, h, w]`, normalised
    ///
    /// # Errors
    /// If memory runs out.
    fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Classified>;

    /// Masks at image size.
    ///
    /// # Shapes
    /// classified -> `[n, c + 1, h, w]`
    ///
    /// # Errors
    /// If memory runs out.
    fn masks_at(&self, classified: &Classified, h: usize, w: usize) -> Result<Dense>;

    /// Looks at photos to be predicted at another stride of the deep feature.
    ///
    /// # Errors
    /// [`Error::Config`] if the network has one stride, or not this one.
    fn set_prediction_stride(&mut self, stride: usize) -> Result<()> {
        Err(Error::Config(format!("this network cannot predict at stride {stride}; only a deeplab has a choice")))
    }
}

/// A network, its configuration and its parameters.
#[derive(Debug)]
pub struct Model {
    /// What was built.
    pub config: NetworkConfig,
    /// Its parameters.
    pub params: Rc<RefCell<Params>>,
    network: Box<dyn Network>,
    precision: Precision,
}

impl Model {
    /// Builds and initialises the network that `config` describes. Same seed, same parameters.
    ///
    /// # Errors
    /// If the configuration makes no sense.
    pub fn new(config: NetworkConfig, seed: u64, dtype: DType, device: &Device) -> Result<Self> {
        Self::in_store(config, Params::new(seed, dtype, device))
    }

    /// Builds the network around the values of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first parameter that is missing, misshapen or left over.
    pub fn from_values(
        config: NetworkConfig,
        values: BTreeMap<String, Tensor>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let model = Self::in_store(config, Params::from_values(values, dtype, device))?;
        let left_over = model.params.borrow().left_over().next().map(str::to_owned);
        match left_over {
            None => Ok(model),
            Some(name) => Err(Error::Config(format!("has a parameter `{name}` that its network does not"))),
        }
    }

    /// Builds the network with its parameters in `params`, which says how they start.
    ///
    /// # Errors
    /// If the configuration makes no sense, or the store has no value for a parameter.
    pub fn in_store(config: NetworkConfig, params: Rc<RefCell<Params>>) -> Result<Self> {
        config.check()?;
        let backbone = backbone::build(&Scope::root(&params, Origin::Old), &config.architecture.backbone)?;
        let backbone = backbone::for_photos(backbone);
        let head = Scope::root(&params, Origin::New);
        let network: Box<dyn Network> = match config.model {
            ModelKind::SingleStage => Box::new(SingleStage::new(&head, backbone, &config)?),
            ModelKind::Cam => Box::new(CamNet::new(&head, backbone, &config)?),
            ModelKind::DeepLab => Box::new(DeepLab::new(&head, backbone.as_ref(), &config)?),
        };
        Ok(Self { config, params, network, precision: Precision::F32 })
    }

    /// The same with maps of this precision.
    ///
    /// # Errors
    /// [`Error::Config`] if the model's device does not have it.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        precision.prepare(&self.device())?;
        Ok(Self { precision, ..self })
    }

    /// Where its parameters live.
    #[must_use]
    pub fn device(&self) -> Device {
        self.params.borrow().device().clone()
    }

    /// Runs the network, on its device and in its precision, wherever the images are.
    ///
    /// # Shapes
    /// images `[n, 3, h, w]`, normalised
    ///
    /// # Errors
    /// If memory runs out.
    pub fn forward(&self, images: &Tensor, pass: &Pass) -> Result<Classified> {
        let images = images.to_device(&self.device())?;
        match self.precision {
            Precision::Bf16 => self.network.forward(&images.to_dtype(self.precision.maps())?, pass),
            Precision::F32 | Precision::Tf32 => self.network.forward(&images, pass),
        }
    }

    /// Looks at photos to be predicted at another stride of the deep feature; the parameters are the same.
    ///
    /// # Errors
    /// [`Error::Config`] if the network has one stride, or not this one; nothing is changed then.
    pub fn set_prediction_stride(&mut self, stride: usize) -> Result<()> {
        self.network.set_prediction_stride(stride)?;
        if let Some(deeplab) = &mut self.config.architecture.deeplab {
            deeplab.prediction_stride = stride;
        }
        Ok(())
    }

    /// Masks at image size; see [`Network::masks_at`].
    ///
    /// # Errors
    /// If memory runs out.
    pub fn masks_at(&self, classified: &Classified, h: usize, w: usize) -> Result<Dense> {
        self.network.masks_at(classified, h, w)
    }
}

/// Undoes the normalisation: images in 0..=1, as PAMR wants its guide.
///
/// # Errors
/// If memory runs out.
pub fn denormalise(images: &Tensor) -> Result<Tensor> {
    let plane = |values: [f32; 3]| Tensor::from_vec(values.to_vec(), (1, 3, 1, 1), images.device());
    let (std, mean) = (plane(IMAGE_STD)?.to_dtype(images.dtype())?, plane(IMAGE_MEAN)?.to_dtype(images.dtype())?);
    Ok(images.broadcast_mul(&std)?.broadcast_add(&mean)?)
}

/// The self-supervision of one batch: what the network's own masks become.
#[derive(Clone, Debug)]
pub struct SelfSupervision {
    /// PAMR's masks at image size, absent classes zeroed, `[n, c + 1, h, w]`.
    pub refined: Dense,
    /// One-hot or all zero at each pixel, `[n, c + 1, h, w]`.
    pub pseudo: Dense,
}

/// Steps 10 and 11 of the method: PAMR on the detached masks, absent classes zeroed, confident pixels claimed.
///
/// # Shapes
/// masks `[n, c + 1, h', w']`, images `[n, 3, h, w]` normalised, labels `[n, c, 1, 1]`
///
/// # Errors
/// If shapes do not match or memory runs out.
pub fn supervise(
    masks: &Dense,
    images: &Tensor,
    labels: &Dense,
    pamr: &Pamr,
    cutoff: &Cutoff,
) -> Result<SelfSupervision> {
    use wseg_core::Tensor as _;
    let (_, _, h, w) = images.dims4()?;
    let masks = masks.detach();
    let size = masks.shape();
    let guide = Dense::new(denormalise(&images.detach())?)?.resize(size.h, size.w, Corners::Aligned)?;
    let refined = masks.pamr(&guide, pamr)?.resize(h, w, Corners::Aligned)?;
    let refined = wseg_core::pseudo::drop_absent(&refined, labels)?;
    let pseudo = refined.pseudo_labels(cutoff)?;
    Ok(SelfSupervision { refined, pseudo })
}
