//! Named parameters: what the optimiser moves and checkpoints hold.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use candle_core::{DType, Device, Shape, Tensor, Var};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Result};

/// What a parameter is to the optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Decays. A norm layer's scale counts as one.
    Weight,
    /// Does not decay. A norm layer's shift counts as one.
    Bias,
    /// Statistics: saved, never moved by the optimiser.
    Buffer,
}

/// Where a parameter comes from: the method trains new layers ten times as fast as pretrained ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Part of the backbone.
    Old,
    /// Part of the head.
    New,
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Every element the same.
    Constant(f64),
    /// Normal with standard deviation `sqrt(2 / fan)`, fan = in channels x kernel area (He et al. 2015, fan-in).
    HeNormal,
    /// Normal with this standard deviation: scores that start small, so that no class is sure of anything.
    Normal(f64),
}

/// One named parameter.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The values.
    pub var: Var,
    /// Its group.
    pub kind: Kind,
    /// Its group's rate.
    pub origin: Origin,
    /// Whether the optimiser moves it.
    pub trainable: bool,
}

/// Values that follow from a parameter's name: what networks are given that are compared number by number.
pub trait Fill: std::fmt::Debug {
    /// The elements of the parameter `name`, in row-major order, as many as a tensor of `extents` has.
    fn values(&self, name: &str, extents: &[usize]) -> Vec<f32>;
}

/// Where the values of new parameters come from.
#[derive(Debug)]
enum Values {
    /// Drawn as their [`Init`] says: the seed.
    Drawn(u64),
    /// Taken out as they are used.
    Given(BTreeMap<String, Tensor>),
    /// Made from their names.
    Filled(Box<dyn Fill>),
}

/// All parameters of a model, by name, in the order of their names.
#[derive(Debug)]
pub struct Params {
    entries: BTreeMap<String, Entry>,
    values: Values,
    device: Device,
    dtype: DType,
}

impl Params {
    /// An empty store. Values depend on the seed and the parameter's name alone, not on the order of creation.
    #[must_use]
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Rc<RefCell<Self>> {
        Self::with(Values::Drawn(seed), dtype, device)
    }

    /// A store whose parameters must all be among `values`: what a checkpoint is loaded into. No more memory is
    /// taken than the values have.
    #[must_use]
    pub fn from_values(values: BTreeMap<String, Tensor>, dtype: DType, device: &Device) -> Rc<RefCell<Self>> {
        Self::with(Values::Given(values), dtype, device)
    }

    /// A store whose parameters all start as `fill` says.
    #[must_use]
    pub fn filled(fill: Box<dyn Fill>, dtype: DType, device: &Device) -> Rc<RefCell<Self>> {
        Self::with(Values::Filled(fill), dtype, device)
    }

    fn with(values: Values, dtype: DType, device: &Device) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self { entries: BTreeMap::new(), values, device: device.clone(), dtype }))
    }

    /// Names of the values that no parameter asked for.
    pub fn left_over(&self) -> impl Iterator<Item = &str> {
        let given = match &self.values {
            Values::Given(values) => Some(values),
            Values::Drawn(_) | Values::Filled(_) => None,
        };
        given.into_iter().flat_map(|values| values.keys().map(String::as_str))
    }

    /// The parameters with their names, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The parameter called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The device the parameters live on.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// The element type of the parameters.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    fn create(&mut self, name: String, entry: Entry) -> Result<Var> {
        let var = entry.var.clone();
        match self.entries.insert(name.clone(), entry) {
            None => Ok(var),
            Some(_) => Err(Error::Config(format!("two parameters are called `{name}`"))),
        }
    }

    fn initial(&mut self, name: &str, shape: &Shape, init: Init) -> Result<Tensor> {
        let values = match &mut self.values {
            Values::Given(values) => return take(values, name, shape),
            Values::Filled(fill) => fill.values(name, shape.dims()),
            Values::Drawn(seed) => draw(*seed, name, shape, init),
        };
        Ok(Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)?)
    }
}

/// The given values of a parameter, which must be there and of its shape.
fn take(values: &mut BTreeMap<String, Tensor>, name: &str, shape: &Shape) -> Result<Tensor> {
    let value = values.remove(name).ok_or_else(|| Error::Config(format!("lacks the parameter `{name}`")))?;
    match value.shape() == shape {
        true => Ok(value),
        false => Err(Error::Config(format!(
            "has `{name}` of shape {:?}, the network needs {:?}",
            value.dims(),
            shape.dims()
        ))),
    }
}

/// Values as `init` says; the random ones depend on the seed and the name.
fn draw(seed: u64, name: &str, shape: &Shape, init: Init) -> Vec<f32> {
    let count = shape.elem_count();
    let normals = |deviation: f64| -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(name));
        (0..count).map(|_| (deviation * normal(&mut rng)) as f32).collect()
    };
    match init {
        Init::Constant(value) => vec![value as f32; count],
        Init::Normal(deviation) => normals(deviation),
        Init::HeNormal => {
            let fan_in = count / shape.dims().first().copied().unwrap_or(1).max(1);
            normals((2.0 / fan_in.max(1) as f64).sqrt())
        }
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// The 64-bit FNV-1a hash of a name.
pub(crate) fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A place in the tree of names where layers create their parameters.
#[derive(Clone, Debug)]
pub struct Scope {
    params: Rc<RefCell<Params>>,
    prefix: String,
    origin: Origin,
    trainable: bool,
}

impl Scope {
    /// The root of a store's names.
    #[must_use]
    pub fn root(params: &Rc<RefCell<Params>>, origin: Origin) -> Self {
        Self { params: params.clone(), prefix: String::new(), origin, trainable: true }
    }

    /// The scope `name` below this one.
    #[must_use]
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        let prefix = match self.prefix.is_empty() {
            true => name.to_string(),
            false => format!("{}.{name}", self.prefix),
        };
        Self { prefix, ..self.clone() }
    }

    /// The same scope for parameters that training leaves alone.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self { trainable: false, ..self.clone() }
    }

    /// Whether the optimiser moves parameters created here.
    #[must_use]
    pub const fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// Creates the parameter `name`.
    ///
    /// # Errors
    /// If the name is taken, or the device is out of memory.
    pub fn parameter(&self, name: &str, shape: impl Into<Shape>, kind: Kind, init: Init) -> Result<Var> {
        let name = self.at(name).prefix;
        let mut params = self.params.borrow_mut();
        let var = Var::from_tensor(&params.initial(&name, &shape.into(), init)?)?;
        let trainable = self.trainable && kind != Kind::Buffer;
        params.create(name, Entry { var, kind, origin: self.origin, trainable })
    }
}
