//! What a network is made of: layers as a recording pass saw them run, and the memory of a gradient graph.

use std::collections::{HashMap, HashSet};

use candle_core::{CpuStorage, Storage, Tensor, TensorId};

use super::Params;

/// A map that a layer read or made.
#[derive(Clone, Debug)]
pub struct Map {
    id: TensorId,
    /// Its shape, `[n, c, h, w]`.
    pub shape: Vec<usize>,
    /// Memory of its elements.
    pub bytes: u64,
}

impl Map {
    fn of(tensor: &Tensor) -> Self {
        let bytes = (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64;
        Self { id: tensor.id(), shape: tensor.dims().to_vec(), bytes }
    }
}

/// What a layer says of itself.
#[derive(Clone, Debug)]
pub(super) struct Description {
    /// See [`LayerRun::kind`].
    pub kind: String,
    /// One of its parameters or statistics, by which its name is found.
    pub parameter: TensorId,
    pub parameters: usize,
    pub trainable: usize,
    /// Products for each element of its output.
    pub products: usize,
}

/// One run of a layer.
#[derive(Clone, Debug)]
pub struct LayerRun {
    /// What it is: `conv 3x3 stride 2 + norm + relu`.
    pub kind: String,
    /// What it read.
    pub input: Map,
    /// What it added to its result.
    pub residual: Option<Map>,
    /// What it made.
    pub output: Map,
    /// Products that are added up, those with the zeros around a map included. A norm folded into its convolution costs
    /// none, one that stands alone one for each element; additions alone do not count.
    pub multiply_adds: u64,
    /// Elements of its weights and biases; statistics are none.
    pub parameters: usize,
    /// Those that training moves.
    pub trainable: usize,
    parameter: TensorId,
}

impl LayerRun {
    pub(super) fn new(layer: Description, input: &Tensor, residual: Option<&Tensor>, output: &Tensor) -> Self {
        let Description { kind, parameter, parameters, trainable, products } = layer;
        Self {
            kind,
            input: Map::of(input),
            residual: residual.map(Map::of),
            output: Map::of(output),
            multiply_adds: output.elem_count() as u64 * products as u64,
            parameters,
            trainable,
            parameter,
        }
    }

    fn maps(&self) -> impl Iterator<Item = &Map> {
        [&self.input, &self.output].into_iter().chain(&self.residual)
    }
}

/// The layers of a pass, in the order in which they ran. A layer that ran twice is there twice.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The runs.
    pub runs: Vec<LayerRun>,
}

impl Recording {
    /// The name of each run's layer: what the names of its parameters, which are in `params`, start with.
    #[must_use]
    pub fn names(&self, params: &Params) -> Vec<String> {
        let names: HashMap<TensorId, &str> = params.iter().map(|(name, entry)| (entry.var.id(), name)).collect();
        let layer = |run: &LayerRun| names.get(&run.parameter).map(|name| name.rsplit_once('.').map_or("", |(n, _)| n));
        self.runs.iter().map(|run| layer(run).unwrap_or_default().to_owned()).collect()
    }

    /// Multiply-adds of all runs.
    #[must_use]
    pub fn multiply_adds(&self) -> u64 {
        self.runs.iter().map(|run| run.multiply_adds).sum()
    }

    /// The largest memory of the maps that exist while a layer runs: what it reads and makes, and what was read or made
    /// before it and is read after it, by layers. What only other operations read, such as the parts of a concatenation,
    /// counts while its layer runs: a network needs at least this much.
    #[must_use]
    pub fn largest_live_bytes(&self) -> u64 {
        let mut last_read = HashMap::new();
        for (index, run) in self.runs.iter().enumerate() {
            last_read
                .extend([Some(&run.input), run.residual.as_ref()].into_iter().flatten().map(|map| (map.id, index)));
        }
        let mut waiting: HashMap<TensorId, u64> = HashMap::new();
        let mut largest = 0;
        for (index, run) in self.runs.iter().enumerate() {
            waiting.extend(run.maps().map(|map| (map.id, map.bytes)));
            largest = largest.max(waiting.values().sum());
            waiting.retain(|id, _| last_read.get(id).is_some_and(|&last| last > index));
        }
        largest
    }
}

/// Memory of all tensors through which gradients reach variables from `root`, views counted with what they show and
/// variables left out: what a training step keeps for its backward pass, but for operands without a gradient (photos,
/// masks of dropout, the input of the first trained layer).
#[must_use]
pub fn graph_bytes(root: &Tensor) -> u64 {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for node in root.sorted_nodes().into_iter().filter(|node| !node.is_variable()) {
        let (storage, layout) = node.storage_and_layout();
        if seen.insert(std::ptr::from_ref(&*storage)) {
            let elements = match &*storage {
                Storage::Cpu(CpuStorage::F32(elements)) => elements.len(),
                Storage::Cpu(CpuStorage::F64(elements)) => elements.len(),
                _ => layout.shape().elem_count(),
            };
            bytes += (elements * node.dtype().size_in_bytes()) as u64;
        }
    }
    bytes
}
