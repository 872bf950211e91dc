//! A training saved whole, in one safetensors file: weights, velocities, averages, and where it stands.
//!
//! Tensors are called `weights.NAME`, `velocity.NAME` and `average.NAME`, with the parameter's name; one entry of
//! metadata holds the rest as JSON. Random numbers follow from the seed and the position, so there is no other random
//! state. Float32 throughout: a training in another type would not go on bit for bit, and is not saved.

use std::{collections::BTreeSet, path::Path};

use candle_core::{DType, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Training,
    checkpoint::{Part, unwritable, write},
};
use crate::{
    Error, Result,
    weights::{self, Format, StateDict},
};

/// Metadata key of the header.
const KEY: &str = "wseg-training";
/// The form of these files. Another form is another number.
const FORMAT: u32 = 1;
/// No training has more steps: counting on from what a file claims cannot overflow.
const MAX_COUNT: usize = u32::MAX as usize;

/// Where a training stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The epoch it is in, from 0.
    pub epoch: usize,
    /// Batches of the epoch that are done.
    pub batch: usize,
    /// Steps since the start that are done.
    pub step: usize,
}

impl Position {
    /// A step of so many batches is done.
    pub(super) const fn pass_step(&mut self, batches: usize) {
        self.batch += batches;
        self.step += 1;
    }

    /// The epoch is done.
    pub(super) const fn pass_epoch(&mut self) {
        self.epoch += 1;
        self.batch = 0;
    }
}

/// What the file says beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    position: Position,
    /// Steps that the average has followed.
    averaged: usize,
    /// Whatever the observer has to remember.
    note: Value,
}

/// A training as a file holds it.
#[derive(Debug)]
pub struct Saved {
    header: Header,
    state: StateDict,
}

impl Saved {
    /// The training in a file. Nothing that the file claims is believed before it is checked.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, or holds no training.
    pub fn read(path: &Path) -> Result<Self> {
        weights::at(path, weights::read_bytes(path).and_then(|bytes| Self::parse(&bytes)))
    }

    /// The training in a file's bytes.
    ///
    /// # Errors
    /// [`Error::Config`] if they are damaged or something else.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let other = || Error::Config("is not the saved state of a training".to_owned());
        if weights::sniff(bytes)? != Format::Safetensors {
            return Err(other());
        }
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(weights::damaged)?;
        let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(other)?;
        let header: Header = serde_json::from_str(text)
            .map_err(|error| Error::Config(format!("says of its training what cannot be read: {error}")))?;
        if header.format != FORMAT {
            let problem = format!("is of form {}; this version reads form {FORMAT}", header.format);
            return Err(Error::Config(problem));
        }
        let Position { epoch, batch, step } = header.position;
        if [epoch, batch, step, header.averaged].iter().any(|&count| count > MAX_COUNT) {
            return Err(Error::Config(format!("claims more than {MAX_COUNT} steps")));
        }
        Ok(Self { header, state: weights::parse(bytes)? })
    }

    /// Where the training stood.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.header.position
    }

    /// What the observer had to remember.
    #[must_use]
    pub const fn note(&self) -> &Value {
        &self.header.note
    }
}

impl Training<'_> {
    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The whole training as a file's bytes, with what the observer has to remember.
    ///
    /// # Errors
    /// [`Error::Training`] if a value is not finite, or none of float32.
    pub fn encode(&self, note: Value) -> Result<Vec<u8>> {
        let mut parts = Vec::new();
        let mut add = |kind: &str, name: &str, tensor: &Tensor| {
            let name = format!("{kind}.{name}");
            if tensor.dtype() != DType::F32 {
                return Err(unwritable("only a training in float32 can be saved"));
            }
            parts.push((name.clone(), Part::new(&name, tensor)?));
            Ok(())
        };
        for (name, entry) in self.model.params.borrow().iter() {
            add("weights", name, &entry.var.as_detached_tensor())?;
        }
        for (name, velocity) in self.optimiser.velocities() {
            velocity.map(|velocity| add("velocity", name, velocity)).transpose()?;
        }
        for (name, average) in self.average.averages() {
            add("average", name, average)?;
        }
        let header = Header { format: FORMAT, position: self.position, averaged: self.average.steps(), note };
        write(parts, KEY, serde_json::to_string(&header).map_err(unwritable)?)
    }

    /// Puts a saved training in the place of this one: it goes on as if it had never stopped.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first tensor that is missing, misshapen or left over, and if it stands beyond its
    /// end; nothing is changed then.
    pub fn restore(&mut self, saved: &Saved) -> Result<()> {
        let Header { position, averaged, .. } = saved.header;
        if position.epoch > self.recipe.epochs {
            let problem = format!("stands in epoch {} of {}", position.epoch + 1, self.recipe.epochs);
            return Err(Error::Config(problem));
        }
        let mut found = BTreeSet::new();
        let mut take = |name: String, like: &Tensor| {
            let Some(raw) = saved.state.get(&name) else { return Ok(None) };
            if raw.shape() != like.dims() {
                let problem = format!("has `{name}` of shape {:?}, the network needs {:?}", raw.shape(), like.dims());
                return Err(Error::Config(problem));
            }
            let tensor = raw.to_tensor(like.dtype(), like.device())?;
            found.insert(name);
            Ok(Some(tensor))
        };
        let needed = |name: String, tensor: Option<Tensor>| match tensor {
            Some(tensor) => Ok(tensor),
            None => Err(Error::Config(format!("lacks `{name}`"))),
        };
        let params = self.model.params.borrow();
        let (mut weights, mut velocities, mut averages) = (Vec::new(), Vec::new(), Vec::new());
        for (name, entry) in params.iter() {
            let full = format!("weights.{name}");
            weights.push((&entry.var, needed(full.clone(), take(full, entry.var.as_tensor())?)?));
        }
        for (name, _) in self.optimiser.velocities() {
            if let Some(entry) = params.get(name) {
                velocities.push((name.to_owned(), take(format!("velocity.{name}"), entry.var.as_tensor())?));
            }
        }
        for (name, average) in self.average.averages() {
            let full = format!("average.{name}");
            averages.push((name.to_owned(), Some(needed(full.clone(), take(full, average)?)?)));
        }
        if let Some((name, _)) = saved.state.iter().find(|(name, _)| !found.contains(*name)) {
            return Err(Error::Config(format!("has `{}`, which this training does not", weights::shown(name))));
        }
        for (var, value) in weights {
            var.set(&value)?;
        }
        self.optimiser.set_velocities(taken_from(velocities));
        self.average.set(averaged, taken_from(averages));
        self.position = position;
        Ok(())
    }
}

/// Hands out tensors by name, in the order in which they stand; each is asked for once.
fn taken_from(tensors: Vec<(String, Option<Tensor>)>) -> impl FnMut(&str) -> Option<Tensor> {
    let mut tensors: std::collections::BTreeMap<String, Option<Tensor>> = tensors.into_iter().collect();
    move |name| tensors.remove(name).flatten()
}
