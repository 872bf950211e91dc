//! A state dict put into a network's parameters, and the report of it.

use std::{collections::BTreeMap, fmt, path::Path};

use candle_core::{DType, Device};

use super::{RawTensor, StateDict, at, problem, read, shown};
use crate::{
    Result,
    model::{Model, NetworkConfig},
    nn::{Entry, Origin, Params},
};

/// Names that are listed of many.
const LISTED: usize = 4;

/// What became of the tensors and of the parameters; names in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Parameters that were loaded.
    pub loaded: Vec<String>,
    /// Parameters of the backbone that the state dict lacks. They keep their values, which are seldom any good.
    pub missing_backbone: Vec<String>,
    /// Parameters of the head that the state dict lacks. They start as new: that is what pretrained weights are for.
    pub missing_head: Vec<String>,
    /// Tensors that the network has no parameter for.
    pub left_over: Vec<String>,
    /// Tensors left over as a matter of course: a classifier's last layer, counters of batches.
    pub unneeded: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", count(self.loaded.len(), "tensor"))?;
        if !self.missing_head.is_empty() {
            write!(f, ", {} of the head start new", count(self.missing_head.len(), "parameter"))?;
        }
        for (names, what) in [(&self.left_over, "left over"), (&self.unneeded, "not needed")] {
            if !names.is_empty() {
                write!(f, ", {} {what} ({})", names.len(), listed(names))?;
            }
        }
        Ok(())
    }
}

impl Report {
    /// Notes a tensor that the network has no parameter for.
    fn leave(&mut self, name: &str) {
        let names = if is_unneeded(name) { &mut self.unneeded } else { &mut self.left_over };
        names.push(name.to_owned());
    }

    /// A sentence about what the backbone lacks, if it lacks anything.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let missing = &self.missing_backbone;
        (!missing.is_empty()).then(|| {
            let many = count(missing.len(), "parameter");
            format!("lacks {many} of the backbone, which start from random values: {}", listed(missing))
        })
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn listed(names: &[String]) -> String {
    let mut list: Vec<String> = names.iter().take(LISTED).map(|name| shown(name)).collect();
    if names.len() > LISTED {
        list.push("…".to_owned());
    }
    list.join(", ")
}

/// Puts the tensors of `state` into the parameters of the same name. Either all of them fit, or nothing is changed.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) naming the first tensor whose shape is another one than its parameter's or
/// that holds no floating-point numbers, or if there is nothing for the backbone.
pub fn load(state: &StateDict, params: &Params) -> Result<Report> {
    let mut report = Report::default();
    for (name, tensor) in state.iter() {
        match params.get(name) {
            Some(entry) => {
                check(name, tensor, entry)?;
                report.loaded.push(name.to_owned());
            }
            None => report.leave(name),
        }
    }
    let (mut backbone, mut example) = (0, None);
    for (name, entry) in params.iter() {
        match (entry.origin, state.get(name).is_some()) {
            (Origin::Old, true) => backbone += 1,
            (Origin::Old, false) => report.missing_backbone.push(name.to_owned()),
            (Origin::New, false) => report.missing_head.push(name.to_owned()),
            (Origin::New, true) => {}
        }
        example = example.or((entry.origin == Origin::Old).then_some(name));
    }
    if let (0, Some(example)) = (backbone, example) {
        let names = [report.left_over, report.unneeded, report.loaded].concat();
        return Err(problem(format!(
            "has nothing for the backbone, whose parameters are called `{example}` and so on; it holds {}: choose the \
             preset of the network that these weights are for",
            listed(&names)
        )));
    }
    // Converted before anything is changed: the device may yet be out of memory.
    let mut values = Vec::new();
    for (name, entry) in params.iter() {
        if let Some(tensor) = state.get(name) {
            values.push((&entry.var, tensor.to_tensor(params.dtype(), params.device())?));
        }
    }
    for (var, value) in values {
        var.set(&value)?;
    }
    Ok(report)
}

/// [`load`] from a file of any format that [`read`] knows, a checkpoint of this program among them.
///
/// # Errors
/// As [`read`] and [`load`]; the error names the file.
pub fn load_file(path: &Path, params: &Params) -> Result<Report> {
    let state = read(path)?;
    at(path, load(&state, params))
}

/// The network that `config` describes, with the parameters of `state`, which must have them all. What was left over
/// is in the report. Each tensor's bytes are freed as soon as it is converted.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) naming a parameter that is missing or of another shape, or if `config`
/// makes no sense.
pub fn model(state: StateDict, config: NetworkConfig, dtype: DType, device: &Device) -> Result<(Model, Report)> {
    let (mut values, mut report) = (BTreeMap::new(), Report::default());
    for (name, tensor) in state.into_tensors() {
        match tensor.element().is_float() {
            true => drop(values.insert(name, tensor.to_tensor(dtype, device)?)),
            false => report.leave(&name),
        }
    }
    let model = Model::in_store(config, Params::from_values(values, dtype, device))?;
    let params = model.params.borrow();
    params.left_over().for_each(|name| report.leave(name));
    report.loaded.extend(params.iter().map(|(name, _)| name.to_owned()));
    drop(params);
    Ok((model, report))
}

/// Whether a tensor can be a parameter's value.
fn check(name: &str, tensor: &RawTensor, entry: &Entry) -> Result<()> {
    let (name, shape, needed) = (shown(name), tensor.shape(), entry.var.dims());
    match tensor.element() {
        element if !element.is_float() => {
            Err(problem(format!("has `{name}` as {element:?}; parameters are floating-point numbers")))
        }
        _ if shape != needed => Err(problem(format!("has `{name}` of shape {shape:?}, the network needs {needed:?}"))),
        _ => Ok(()),
    }
}

/// Whether a network can do without a tensor of this name and nobody wonders.
fn is_unneeded(name: &str) -> bool {
    // The reference's baseline keeps its classifier under two more names.
    const ALIASES: [&str; 5] = ["fc.", "head.fc.", "classifier.", "cls_branch.", "mask_branch."];
    ALIASES.iter().any(|start| name.starts_with(start)) || name.ends_with("num_batches_tracked")
}
