//! State dicts put into networks: what is loaded, what is missing, what is left over, and what is refused.

mod tiny;

use candle_core::{DType, Device};
use tiny::config;
use wseg_cuda_runner::{
    model::{Model, ModelKind},
    nn::Origin,
    train::checkpoint,
    weights::{self, Element, Format, RawTensor, Report, StateDict},
};

fn model(seed: u64) -> Model {
    Model::new(config(ModelKind::SingleStage), seed, DType::F32, &Device::Cpu).unwrap()
}

/// The names of a model's parameters.
fn names(model: &Model, origin: Origin) -> Vec<String> {
    let params = model.params.borrow();
    params.iter().filter(|(_, entry)| entry.origin == origin).map(|(name, _)| name.to_owned()).collect()
}

fn values(model: &Model, name: &str) -> Vec<f32> {
    model.params.borrow().get(name).unwrap().var.flatten_all().unwrap().to_vec1().unwrap()
}

fn tensor(shape: &[usize], values: &[f32]) -> RawTensor {
    RawTensor::new(Element::F32, shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect()).unwrap()
}

/// The parameters of a model that `keep` keeps, as a file would hold them.
fn tensors(model: &Model, keep: impl Fn(&str) -> bool) -> Vec<(String, RawTensor)> {
    let params = model.params.borrow();
    let kept = params.iter().filter(|(name, _)| keep(name));
    kept.map(|(name, entry)| (name.to_owned(), tensor(entry.var.dims(), &values(model, name)))).collect()
}

fn state(tensors: Vec<(String, RawTensor)>) -> StateDict {
    StateDict::new(Format::Zip, tensors).unwrap()
}

fn load(state: &StateDict, model: &Model) -> Result<Report, String> {
    weights::load(state, &model.params.borrow()).map_err(|error| error.to_string())
}

#[test]
fn a_classifier_s_backbone_is_loaded_and_its_last_layer_left_over() {
    let (pretrained, fresh, reference) = (model(1), model(2), model(2));
    let (backbone, head) = (names(&fresh, Origin::Old), names(&fresh, Origin::New));
    let mut tensors = tensors(&pretrained, |name| backbone.iter().any(|own| own == name));
    for (name, shape) in [("fc.weight", &[3, 10][..]), ("fc.bias", &[3]), ("bn1.num_batches_tracked", &[1])] {
        tensors.push((name.to_owned(), tensor(shape, &vec![0.5; shape.iter().product()])));
    }
    let report = load(&state(tensors), &fresh).unwrap();
    assert_eq!(report.loaded, backbone);
    assert_eq!(report.missing_head, head);
    assert_eq!(report.unneeded, ["bn1.num_batches_tracked", "fc.bias", "fc.weight"]);
    assert_eq!((report.missing_backbone.len(), report.left_over.len(), report.warning()), (0, 0, None));
    assert!(backbone.iter().all(|name| values(&fresh, name) == values(&pretrained, name)));
    assert!(head.iter().all(|name| values(&fresh, name) == values(&reference, name)), "the head starts as new");
    let line = report.to_string();
    let expected = format!(
        "{} tensors loaded, {} parameters of the head start new, 3 not needed (bn1.num_batches_tracked, fc.bias, \
         fc.weight)",
        backbone.len(),
        head.len()
    );
    assert_eq!(line, expected);
}

#[test]
fn what_the_backbone_lacks_is_a_warning_and_what_is_left_over_is_named() {
    let (pretrained, fresh) = (model(1), model(2));
    let mut tensors = tensors(&pretrained, |name| name.starts_with("conv1.") || name.starts_with("bn1."));
    tensors.push(("head\n.weight".to_owned(), tensor(&[1], &[1.0])));
    let report = load(&state(tensors), &fresh).unwrap();
    assert_eq!(report.loaded.len(), 5);
    assert_eq!(report.missing_backbone.len(), names(&fresh, Origin::Old).len() - 5);
    assert_eq!(report.left_over, ["head\n.weight"]);
    let warning = report.warning().unwrap();
    assert!(warning.contains("of the backbone") && warning.contains("bn2.bias"), "{warning}");
    assert!(report.to_string().ends_with(r"1 left over (head\n.weight)"), "on one line: {report}");
}

#[test]
fn a_shape_that_does_not_fit_is_named_and_nothing_is_changed() {
    let (pretrained, fresh, reference) = (model(1), model(2), model(2));
    let mut tensors = tensors(&pretrained, |_| true);
    let place = tensors.iter().position(|(name, _)| name == "layer2.0.conv1.weight").unwrap();
    tensors[place].1 = tensor(&[8, 6, 1, 1], &[0.0; 48]);
    let sentence = load(&state(tensors.clone()), &fresh).unwrap_err();
    assert_eq!(sentence, "has `layer2.0.conv1.weight` of shape [8, 6, 1, 1], the network needs [8, 6, 3, 3]");
    tensors[place].1 = RawTensor::new(Element::I8, vec![8, 6, 3, 3], vec![0; 432]).unwrap();
    let sentence = load(&state(tensors), &fresh).unwrap_err();
    assert_eq!(sentence, "has `layer2.0.conv1.weight` as I8; parameters are floating-point numbers");
    for name in names(&fresh, Origin::Old) {
        assert_eq!(values(&fresh, &name), values(&reference, &name), "{name}");
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let fresh = model(2);
    let other = ["features.0.weight", "features.0.bias", "classifier.6.weight"];
    let tensors = other.map(|name| (name.to_owned(), tensor(&[1], &[1.0]))).to_vec();
    let sentence = load(&state(tensors), &fresh).unwrap_err();
    assert!(sentence.contains("nothing for the backbone") && sentence.contains("`bn1.bias`"), "{sentence}");
    assert!(sentence.contains("it holds features.0.bias, features.0.weight, classifier.6.weight"), "{sentence}");
    // A head alone is not enough, either.
    let head = names(&fresh, Origin::New);
    let tensors = tensors_of(&fresh, &head);
    assert!(load(&state(tensors), &fresh).unwrap_err().contains("nothing for the backbone"));
}

fn tensors_of(model: &Model, wanted: &[String]) -> Vec<(String, RawTensor)> {
    tensors(model, |name| wanted.iter().any(|wanted| wanted == name))
}

#[test]
fn parameters_of_f64_and_halves_are_converted() {
    let (pretrained, device) = (model(1), Device::Cpu);
    let double = Model::new(config(ModelKind::SingleStage), 2, DType::F64, &device).unwrap();
    let halves = state(tensors(&pretrained, |_| true)).cast(Element::F16).unwrap();
    let report = load(&halves, &double).unwrap();
    assert_eq!(report.loaded.len(), halves.len());
    for (name, half) in halves.iter() {
        let expected: Vec<f64> = half.to_tensor(DType::F64, &device).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let params = double.params.borrow();
        let loaded: Vec<f64> = params.get(name).unwrap().var.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(loaded, expected, "{name}");
    }
}

#[test]
fn a_checkpoint_of_this_program_is_a_file_of_weights() {
    let (folder, trained, fresh) = (tempfile::tempdir().unwrap(), model(1), model(2));
    let path = folder.path().join("best.safetensors");
    std::fs::write(&path, checkpoint::encode(&trained).unwrap()).unwrap();
    let report = weights::load_file(&path, &fresh.params.borrow()).unwrap();
    assert_eq!(report.to_string(), format!("{} tensors loaded", report.loaded.len()));
    assert_eq!(checkpoint::encode(&fresh).unwrap(), checkpoint::encode(&trained).unwrap());
    // The baseline's backbone has the same names; its head does not.
    let cam = Model::new(config(ModelKind::Cam), 3, DType::F32, &Device::Cpu).unwrap();
    let report = weights::load_file(&path, &cam.params.borrow()).unwrap();
    assert_eq!(report.loaded, names(&cam, Origin::Old));
    assert_eq!(report.left_over, names(&trained, Origin::New));
}

#[test]
fn an_error_names_the_file() {
    let (folder, fresh) = (tempfile::tempdir().unwrap(), model(2));
    let path = folder.path().join("poem.pth");
    let message = |path: &std::path::Path| weights::load_file(path, &fresh.params.borrow()).unwrap_err().to_string();
    assert!(message(&path).contains("poem.pth: cannot be read"), "{}", message(&path));
    std::fs::write(&path, "Shall I compare thee").unwrap();
    assert!(message(&path).contains("poem.pth: is neither"), "{}", message(&path));
    let no_file = "is not a file; name the file that holds the weights";
    assert!(message(folder.path()).ends_with(no_file));
    if cfg!(unix) {
        assert!(message(std::path::Path::new("/dev/zero")).ends_with(no_file), "a device without end");
    }
}

#[test]
fn a_network_is_built_from_a_state_dict_that_has_it_all() {
    let trained = model(1);
    let mut tensors = tensors(&trained, |_| true);
    tensors.push(("optimizer.step".to_owned(), tensor(&[1], &[7.0])));
    let build = |tensors| {
        let config = config(ModelKind::SingleStage);
        weights::model(state(tensors), config, DType::F32, &Device::Cpu).map_err(|error| error.to_string())
    };
    let (built, report) = build(tensors.clone()).unwrap();
    assert_eq!(report.left_over, ["optimizer.step"]);
    assert_eq!(checkpoint::encode(&built).unwrap(), checkpoint::encode(&trained).unwrap());
    tensors.retain(|(name, _)| name != "last_conv.8.bias" && name != "optimizer.step");
    assert_eq!(build(tensors).unwrap_err(), "lacks the parameter `last_conv.8.bias`");
}
