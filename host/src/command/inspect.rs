//! `wseg inspect`: what a network or a weights file is made of.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use serde_json::json;
use wseg_cuda_runner::{
    model::{Model, NetworkConfig},
    nn::{Fill, Kind, Params, Pass, graph_bytes},
    train::{self, Batch, Recipe, checkpoint},
    weights::{self, RawTensor, StateDict},
};

use crate::{
    Error, Result,
    args::{self, InspectArgs},
    console::Console,
    report::table::Table,
    settings::{PRESETS, Settings, numbered_classes},
    workload,
};

/// Classes of a preset's network unless asked otherwise: Pascal VOC's.
const CLASSES: usize = 20;

/// Prints the layers of a network or the tensors of a file, as a table or as JSON.
///
/// # Errors
/// There is no such file or preset, the file cannot be used, or the network does not take a photo of this size.
pub fn run(args: &InspectArgs, console: &Console) -> Result<()> {
    let path = &args.what;
    if let Some(name) = path.to_str().filter(|name| PRESETS.iter().any(|preset| preset.name == *name)) {
        return inspect_preset(name, args, console);
    }
    if !path.exists() {
        let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        return Err(Error::input(
            path,
            format!("no such file, and no preset of this name; presets: {}", known.join(", ")),
        ));
    }
    let own = |flag: &str| Err(Error::input(path, format!("{flag} is for presets; this file is what it is")));
    if args.model.is_some() {
        return own("--model");
    }
    if args.classes.is_some() {
        return own("--classes");
    }
    if let Some(model) = checkpoint::load(path, DType::F32, &Device::Cpu)? {
        return print_network(&Network::of(&model, args.size, &Recipe::default())?, path, args, console);
    }
    if args.size.is_some() {
        return Err(Error::input(path, "--size is for networks; this file describes none"));
    }
    print_tensors(&weights::read(path)?, path, args, console)
}

/// Parameters that are all 0: what they are does not matter here.
#[derive(Debug)]
struct Zeros;

impl Fill for Zeros {
    fn values(&self, _name: &str, extents: &[usize]) -> Vec<f32> {
        vec![0.0; extents.iter().product()]
    }
}

fn inspect_preset(name: &str, args: &InspectArgs, console: &Console) -> Result<()> {
    let settings = Settings::preset(name)?;
    let kind = settings.kind_for(name, args.model.map(args::ModelKind::runner))?;
    let classes = numbered_classes(args.classes.unwrap_or(CLASSES));
    let params = Params::filled(Box::new(Zeros), DType::F32, &Device::Cpu);
    let model = Model::in_store(settings.network_for(kind, classes), params)?;
    print_network(&Network::of(&model, args.size, &settings.recipe_for(kind))?, &args.what, args, console)
}

/// A layer, or its second run.
#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    kind: String,
    input: Vec<usize>,
    output: Vec<usize>,
    /// None in the second run: they are the same ones.
    parameters: usize,
    trainable: usize,
    multiply_adds: u64,
}

/// What there is to say of a network.
#[derive(Debug)]
struct Network<'a> {
    config: &'a NetworkConfig,
    size: usize,
    layers: Vec<Layer>,
    multiply_adds: u64,
    parameters: usize,
    trainable: usize,
    statistics: usize,
    training_bytes: u64,
    prediction_bytes: u64,
}

impl<'a> Network<'a> {
    /// Shows the network a grey photo, once to predict and once to learn from.
    fn of(model: &'a Model, size: Option<usize>, recipe: &Recipe) -> Result<Self> {
        let size = size.unwrap_or(model.config.crop);
        let images = Tensor::zeros((1, 3, size, size), DType::F32, &Device::Cpu)?;
        let pass = Pass::recording();
        model.forward(&images, &pass)?;
        let recording = pass.into_recording();
        let classes = model.config.classes.len();
        let target = workload::target(model.config.model, 1, classes, size, &Device::Cpu)?;
        let training_bytes = graph_bytes(&train::losses(model, &Batch { images, target }, recipe, true, 0)?.total);

        let params = model.params.borrow();
        let names = recording.names(&params);
        let layer = |(index, run): (usize, &wseg_cuda_runner::nn::LayerRun)| {
            let again = names[..index].contains(&names[index]);
            Layer {
                name: names[index].clone(),
                kind: run.kind.clone(),
                input: run.input.shape.clone(),
                output: run.output.shape.clone(),
                parameters: if again { 0 } else { run.parameters },
                trainable: if again { 0 } else { run.trainable },
                multiply_adds: run.multiply_adds,
            }
        };
        let mut network = Self {
            config: &model.config,
            size,
            layers: recording.runs.iter().enumerate().map(layer).collect(),
            multiply_adds: recording.multiply_adds(),
            parameters: 0,
            trainable: 0,
            statistics: 0,
            training_bytes,
            prediction_bytes: recording.largest_live_bytes(),
        };
        for (_, entry) in params.iter() {
            let elements = entry.var.elem_count();
            if entry.kind == Kind::Buffer {
                network.statistics += elements;
            } else {
                network.parameters += elements;
                network.trainable += if entry.trainable { elements } else { 0 };
            }
        }
        Ok(network)
    }

    fn json(&self, what: &Path) -> serde_json::Value {
        json!({
            "what": what.to_string_lossy(),
            "model": self.config.model,
            "backbone": self.config.architecture.backbone.name,
            "classes": self.config.classes.len(),
            "size": self.size,
            "layers": self.layers,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "statistics": self.statistics,
            "multiply_adds": self.multiply_adds,
            "training_bytes": self.training_bytes,
            "prediction_bytes": self.prediction_bytes,
        })
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["layer", "kind", "output", "parameters", "multiply-adds"]);
        for layer in &self.layers {
            let output = layer.output.get(1..).unwrap_or_default();
            let parameters = if layer.parameters == 0 { "-".to_owned() } else { grouped(layer.parameters as u64) };
            table.row([layer.name.clone(), layer.kind.clone(), by(output), parameters, grouped(layer.multiply_adds)]);
        }
        table.rule();
        let all = [self.parameters as u64, self.multiply_adds].map(grouped);
        let [parameters, multiply_adds] = all;
        table.row(["all".to_owned(), String::new(), String::new(), parameters, multiply_adds]);
        table
    }
}

fn print_network(network: &Network<'_>, what: &Path, args: &InspectArgs, console: &Console) -> Result<()> {
    if args.json {
        console.print(network.json(what));
        return Ok(());
    }
    let Network { config, size, .. } = network;
    console.print(format_args!(
        "{}, backbone {}, {} classes, a photo of {size} x {size} pixels",
        config.model,
        config.architecture.backbone.name,
        config.classes.len()
    ));
    console.print(network.table().text(console.paint()));
    console.print(format_args!(
        "parameters  {} trained, {} fixed; {} statistics",
        grouped(network.trainable as u64),
        grouped((network.parameters - network.trainable) as u64),
        grouped(network.statistics as u64)
    ));
    console.print(format_args!("training    {} of maps kept for the gradients", memory(network.training_bytes)));
    console.print(format_args!("prediction  at least {} of maps at once", memory(network.prediction_bytes)));
    Ok(())
}

fn print_tensors(state: &StateDict, what: &Path, args: &InspectArgs, console: &Console) -> Result<()> {
    let elements = |tensor: &RawTensor| tensor.shape().iter().product::<usize>() as u64;
    let total: u64 = state.iter().map(|(_, tensor)| elements(tensor)).sum();
    // As safetensors calls its types, whatever the file is.
    let kind = |tensor: &RawTensor| format!("{:?}", tensor.element()).to_uppercase();
    if args.json {
        let tensors = state.iter().map(|(name, tensor)| {
            json!({
                "name": name,
                "type": kind(tensor),
                "shape": tensor.shape(),
                "elements": elements(tensor),
                "bytes": tensor.bytes().len(),
            })
        });
        console.print(json!({
            "what": what.to_string_lossy(),
            "format": state.format().to_string(),
            "tensors": tensors.collect::<Vec<_>>(),
            "elements": total,
            "bytes": state.byte_count(),
        }));
        return Ok(());
    }
    let mut table = Table::new(["tensor", "type", "shape", "elements"]);
    for (name, tensor) in state.iter() {
        // A name in a file can hold anything, such as commands to the terminal.
        table.row([name.escape_debug().to_string(), kind(tensor), by(tensor.shape()), grouped(elements(tensor))]);
    }
    table.rule().row(["all".to_owned(), String::new(), String::new(), grouped(total)]);
    console.print(table.text(console.paint()));
    let (count, bytes) = (state.len(), memory(state.byte_count() as u64));
    console.print(format_args!("{count} tensors, {bytes} ({})", state.format()));
    Ok(())
}

/// Extents with crosses between; without any it is a scalar.
fn by<T: ToString>(extents: &[T]) -> String {
    match extents {
        [] => "scalar".to_owned(),
        _ => extents.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x "),
    }
}

/// A whole number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(" ")
}

fn memory(bytes: u64) -> String {
    let (unit, name) = if bytes < 1_000_000 { (1e3, "kB") } else { (1e6, "MB") };
    format!("{:.1} {name}", bytes as f64 / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_shapes_are_written_for_people() {
        assert_eq!([0, 12, 123, 1234, 12_345_678].map(grouped), ["0", "12", "123", "1 234", "12 345 678"]);
        assert_eq!([999_900, 1_250_000].map(memory), ["999.9 kB", "1.2 MB"]);
        assert_eq!(by(&[3, 4]), "3 x 4");
        assert_eq!(by::<usize>(&[]), "scalar");
    }
}
