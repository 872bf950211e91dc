//! DeepLabv3+ at its strides: backbones that are dilated instead of taking steps, and the pyramid's rates.

mod ops_support;
mod tiny;

use candle_core::{DType, Device, Tensor};
use ops_support::{Numbers, distance, values};
use tiny::config;
use wseg_cuda_runner::{
    backbone::{self, Backbone, BackboneConfig},
    model::{Architecture, DeepLabConfig, Model, ModelKind, NetworkConfig},
    nn::{Origin, Params, Pass, Scope},
};

const SIDE: usize = 32;

fn built(name: &str) -> Box<dyn Backbone> {
    let params = Params::new(3, DType::F64, &Device::Cpu);
    backbone::build(&Scope::root(&params, Origin::Old), &BackboneConfig::named(name)).unwrap()
}

fn every_second(map: &Tensor, step: usize) -> Tensor {
    let (_, _, h, w) = map.dims4().unwrap();
    let indices = |length: usize| {
        let indices: Vec<u32> = (0..length as u32).step_by(step).collect();
        Tensor::new(indices, &Device::Cpu).unwrap()
    };
    map.index_select(&indices(h), 2).and_then(|map| map.index_select(&indices(w), 3)).unwrap()
}

/// The point of dilation: a network that keeps a stage's size computes, among others, what the original computes.
#[test]
fn a_dilated_network_has_the_numbers_of_the_original_at_every_second_pixel() {
    for name in ["resnet18", "resnet50", "xception65"] {
        let backbone = built(name);
        let images = Numbers(5).tensor((1, 3, 97, 65));
        let deep = |stride| {
            let features = backbone.at_stride(stride).unwrap().forward(&images, &Pass::evaluation()).unwrap();
            assert_eq!(&features.shallow.dims()[2..], [25, 17], "{name} at {stride}");
            features.deep
        };
        let [original, coarse, fine] = [32, 16, 8].map(deep);
        assert_eq!(&original.dims()[2..], [4, 3]);
        assert_eq!(&coarse.dims()[2..], [7, 5]);
        assert_eq!(&fine.dims()[2..], [13, 9]);
        let largest = values(&original).into_iter().fold(0.0, f64::max);
        assert!(largest > 0.0);
        assert!(distance(&every_second(&coarse, 2), &original) < 1e-10 * largest, "{name}");
        assert!(distance(&every_second(&fine, 2), &coarse) < 1e-10 * largest, "{name}");
        assert!(distance(&every_second(&fine, 4), &original) < 1e-10 * largest, "{name}");
    }
}

#[test]
fn backbones_have_the_strides_they_say_and_refuse_others() {
    for (name, strides) in
        [("small", &[8, 16][..]), ("squeezenet1_0", &[8, 16]), ("resnet18", &[8, 16, 32]), ("vgg16", &[8])]
    {
        let backbone = built(name);
        let images = Tensor::zeros((1, 3, 65, 65), DType::F64, &Device::Cpu).unwrap();
        for stride in [4, 8, 16, 32, 64] {
            let moved = backbone.at_stride(stride);
            let Ok(moved) = moved else {
                assert!(!strides.contains(&stride), "{name} at {stride}");
                let told = moved.unwrap_err().to_string();
                assert!(told.contains(&format!("stride {stride}")) && told.contains('8'), "{told}");
                continue;
            };
            assert!(strides.contains(&stride), "{name} at {stride}");
            let (_, _, h, _) = moved.forward(&images, &Pass::evaluation()).unwrap().deep.dims4().unwrap();
            // A window may be missing or more at a border that nothing pads.
            assert!(h.abs_diff(65 / stride) <= 1, "{name} at {stride}: {h}");
        }
    }
}

/// Kinds of the layers whose name starts so.
fn kinds(model: &Model, pass: Pass, start: &str) -> Vec<String> {
    let images = Tensor::zeros((1, 3, SIDE, SIDE), DType::F32, &Device::Cpu).unwrap();
    model.forward(&images, &pass).unwrap();
    let recording = pass.into_recording();
    let names = recording.names(&model.params.borrow());
    let layers = names.into_iter().zip(&recording.runs);
    layers.filter(|(name, _)| name.starts_with(start)).map(|(_, run)| run.kind.clone()).collect()
}

#[test]
fn the_pyramid_has_the_rates_of_its_stride() {
    let deeplab = DeepLabConfig { output_stride: 16, prediction_stride: 8, separable: false };
    assert_eq!(deeplab.dilations([6, 12, 18], 16), [6, 12, 18]);
    assert_eq!(deeplab.dilations([6, 12, 18], 8), [12, 24, 36]);
    assert_eq!(deeplab.dilations([1, 2, 3], 32), [1, 1, 1]);
    let of = |prediction_stride, separable| {
        let config = NetworkConfig {
            model: ModelKind::DeepLab,
            architecture: Architecture {
                deeplab: Some(DeepLabConfig { output_stride: 16, prediction_stride, separable }),
                ..Architecture::deeplab(BackboneConfig::named("resnet18"))
            },
            ..config(ModelKind::DeepLab)
        };
        Model::new(config, 1, DType::F32, &Device::Cpu).unwrap()
    };
    for (stride, rates, stages) in [(16, [6, 12, 18], [1, 2]), (8, [12, 24, 36], [2, 4])] {
        for separable in [true, false] {
            let mut branches = kinds(&of(stride, separable), Pass::recording(), "aspp.aspp");
            branches.retain(|kind| kind.contains("3x3"));
            assert_eq!(branches.len(), 3);
            for (kind, rate) in branches.iter().zip(rates) {
                let layer = if separable { "depthwise" } else { "conv" };
                assert!(kind.starts_with(&format!("{layer} 3x3 dilation {rate} ")), "{kind}");
            }
        }
        let model = of(stride, false);
        // The last convolutions of the last two stages.
        for (stage, dilation) in [3, 4].into_iter().zip(stages) {
            let kind = kinds(&model, Pass::recording(), &format!("layer{stage}.1.conv2")).remove(0);
            let expected =
                if dilation == 1 { "conv 3x3 + ".to_owned() } else { format!("conv 3x3 dilation {dilation} ") };
            assert!(kind.starts_with(&expected), "stride {stride}, stage {stage}: {kind}");
        }
    }
    let error = Model::new(
        NetworkConfig {
            architecture: Architecture::paper(BackboneConfig::named("small")),
            ..config(ModelKind::DeepLab)
        },
        1,
        DType::F32,
        &Device::Cpu,
    )
    .unwrap_err();
    assert!(error.is_input() && error.to_string().contains("network.deeplab"), "{error}");
}

/// A checkpoint may be looked through at another stride than it was trained for.
#[test]
fn the_prediction_stride_of_a_trained_network_can_be_chosen() {
    let images = Numbers(8).tensor((1, 3, SIDE, SIDE)).to_dtype(DType::F32).unwrap();
    let masks = |model: &Model| {
        let classified = model.forward(&images, &Pass::evaluation()).unwrap();
        model.masks_at(&classified, SIDE, SIDE).unwrap().into_tensor()
    };
    let mut chosen = Model::new(tiny::config(ModelKind::DeepLab), 6, DType::F32, &Device::Cpu).unwrap();
    let coarse = masks(&chosen);
    chosen.set_prediction_stride(8).unwrap();
    let mut config = config(ModelKind::DeepLab);
    config.architecture.deeplab = Some(DeepLabConfig { prediction_stride: 8, ..DeepLabConfig::default() });
    let built = Model::new(config, 6, DType::F32, &Device::Cpu).unwrap();
    assert_eq!(chosen.config, built.config);
    assert_eq!(distance(&masks(&chosen), &masks(&built)), 0.0);
    assert!(distance(&masks(&chosen), &coarse) > 0.0);
    let told = chosen.set_prediction_stride(32).unwrap_err().to_string();
    assert!(told.contains("stride 32"), "{told}");
    assert_eq!(distance(&masks(&chosen), &masks(&built)), 0.0);
    let mut cam = Model::new(tiny::config(ModelKind::Cam), 1, DType::F32, &Device::Cpu).unwrap();
    assert!(cam.set_prediction_stride(8).unwrap_err().to_string().contains("only a deeplab"));
}
