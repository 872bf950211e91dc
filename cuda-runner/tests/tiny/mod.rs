//! The smallest network with every part, for tests of what is done with networks.

use wseg_cuda_runner::{
    backbone::{BackboneConfig, small::Size},
    infer::Inference,
    model::{Architecture, DeepLabConfig, ModelKind, NetworkConfig},
    nn::{AsppConfig, HeadConfig},
};

/// Two classes, a handful of channels.
pub(crate) fn config(model: ModelKind) -> NetworkConfig {
    let size = Size { widths: [4, 6, 8, 8, 10], blocks: [1, 1, 1, 1] };
    let backbone = BackboneConfig { small: Some(size), ..BackboneConfig::named("small") };
    let aspp = AsppConfig { width: 8, dilations: [1, 2, 3], dropout: 0.1, fixed_statistics: false };
    let head = HeadConfig { first_dropout: 0.1, second_dropout: 0.0 };
    let deeplab = (model == ModelKind::DeepLab).then(DeepLabConfig::default);
    NetworkConfig {
        model,
        classes: ["cat", "dog"].map(str::to_owned).to_vec(),
        architecture: Architecture { backbone, aspp, skip: 4, width: 8, psi: 0.3, background: 1.0, head, deeplab },
        crop: 32,
        inference: Inference { scales: vec![1.0], flip: false, ..Inference::default() },
    }
}
