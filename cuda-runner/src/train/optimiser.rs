//! Stochastic gradient descent with momentum, weight decay and parameter groups, as PyTorch defines it.

use candle_core::{DType, Tensor, Var, backprop::GradStore};

use super::Recipe;
use crate::{
    Result,
    nn::{Entry, Kind, Origin, Params},
    ops::{SgdMove, SgdStep, sgd_steps},
};

/// How a group of parameters is moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Multiplies the base rate.
    pub multiplier: f64,
    /// Weight decay, added to the gradient as `decay * parameter`.
    pub decay: f64,
}

impl Group {
    /// The group of a parameter: weights decay, biases do not; new layers learn faster than pretrained ones.
    #[must_use]
    pub const fn of(entry: &Entry, recipe: &Recipe) -> Self {
        let [old_weights, old_biases, new_weights, new_biases] = recipe.multipliers;
        let multiplier = match (entry.origin, entry.kind) {
            (Origin::Old, Kind::Weight) => old_weights,
            (Origin::Old, _) => old_biases,
            (Origin::New, Kind::Weight) => new_weights,
            (Origin::New, _) => new_biases,
        };
        let decay = match entry.kind {
            Kind::Weight => recipe.weight_decay,
            Kind::Bias | Kind::Buffer => 0.0,
        };
        Self { multiplier, decay }
    }
}

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    group: Group,
    velocity: Option<Tensor>,
}

/// `v <- momentum v + (g + decay w)`, `w <- w - rate v`.
#[derive(Debug)]
pub struct Sgd {
    slots: Vec<Slot>,
    momentum: f64,
}

impl Sgd {
    /// An optimiser of the trainable parameters.
    #[must_use]
    pub fn new(params: &Params, recipe: &Recipe) -> Self {
        let slots = params
            .iter()
            .filter(|(_, entry)| entry.trainable)
            .map(|(name, entry)| Slot {
                name: name.to_owned(),
                var: entry.var.clone(),
                group: Group::of(entry, recipe),
                velocity: None,
            })
            .collect();
        Self { slots, momentum: recipe.momentum }
    }

    /// Names of the parameters it moves.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.name.as_str())
    }

    /// Shortens the gradient of all parameters together to the length `limit`, if it is longer; 0 switches this off.
    /// Returns the length before (PyTorch's `clip_grad_norm_`).
    ///
    /// # Errors
    /// If memory runs out.
    pub fn clip(&self, gradients: &mut GradStore, limit: f64) -> Result<Option<f64>> {
        if limit == 0.0 {
            return Ok(None);
        }
        // Summed where they are: to ask a GPU for every number would be to wait for it every time.
        let mut squares: Option<Tensor> = None;
        for slot in &self.slots {
            if let Some(gradient) = gradients.get(slot.var.as_tensor()) {
                let gradient = gradient.detach().to_dtype(DType::F64)?;
                let own = gradient.sqr()?.sum_all()?;
                squares = Some(match squares {
                    Some(squares) => squares.add(&own)?,
                    None => own,
                });
            }
        }
        let norm = squares.map_or(Ok(0.0), |squares| squares.to_scalar::<f64>())?.sqrt();
        let factor = limit / (norm + 1e-6);
        if factor < 1.0 {
            for var in self.slots.iter().map(|slot| slot.var.as_tensor()) {
                if let Some(gradient) = gradients.remove(var) {
                    gradients.insert(var, gradient.detach().affine(factor, 0.0)?);
                }
            }
        }
        Ok(Some(norm))
    }

    /// The velocities, with the names of their parameters; `None` before the first gradient.
    pub(super) fn velocities(&self) -> impl Iterator<Item = (&str, Option<&Tensor>)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), slot.velocity.as_ref()))
    }

    /// Replaces every velocity by what `velocity` has for the parameter of its name.
    pub(super) fn set_velocities(&mut self, mut velocity: impl FnMut(&str) -> Option<Tensor>) {
        for slot in &mut self.slots {
            slot.velocity = velocity(&slot.name);
        }
    }

    /// Moves every parameter that has a gradient.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn step(&mut self, gradients: &GradStore, rate: f64) -> Result<()> {
        let momentum = self.momentum;
        let mut moves = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(slot.var.as_tensor()) else { continue };
            let velocity = match slot.velocity.take() {
                Some(velocity) => velocity,
                None => slot.var.as_detached_tensor().zeros_like()?,
            };
            let Group { multiplier, decay } = slot.group;
            let step = SgdStep { momentum, decay, rate: rate * multiplier };
            let velocity = slot.velocity.insert(velocity);
            moves.push(SgdMove { weight: &slot.var, velocity, gradient, step });
        }
        sgd_steps(&moves)?;
        Ok(())
    }
}
