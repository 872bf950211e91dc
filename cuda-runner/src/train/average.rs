//! Exponential moving average of the weights.

use candle_core::{Tensor, Var};

use crate::{Result, nn::Params};

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    average: Tensor,
}

/// Averaged copies of all parameters and statistics.
#[derive(Debug)]
pub struct WeightAverage {
    slots: Vec<Slot>,
    keep: f64,
    steps: usize,
}

impl WeightAverage {
    /// An average that keeps a share `keep` of itself at every step; 0 switches it off.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(params: &Params, keep: f64) -> Result<Self> {
        let mut slots = Vec::new();
        if keep > 0.0 {
            for (name, entry) in params.iter() {
                let average = entry.var.as_detached_tensor().copy()?;
                slots.push(Slot { name: name.to_owned(), var: entry.var.clone(), average });
            }
        }
        Ok(Self { slots, keep, steps: 0 })
    }

    /// Follows the weights by one step. Early steps count more, so that the start is soon forgotten.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn follow(&mut self) -> Result<()> {
        self.steps += 1;
        let keep = self.keep.min(self.steps as f64 / (self.steps as f64 + 10.0));
        for Slot { var, average, .. } in &mut self.slots {
            let fresh = var.as_detached_tensor().affine(1.0 - keep, 0.0)?;
            *average = average.affine(keep, 0.0)?.add(&fresh)?;
        }
        Ok(())
    }

    /// Runs `work` with the averaged weights in place, then puts the trained ones back.
    ///
    /// # Errors
    /// Those of `work`; or if memory runs out.
    pub fn with_averaged<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let mut trained = Vec::with_capacity(self.slots.len());
        for Slot { var, average, .. } in &self.slots {
            trained.push(var.as_detached_tensor().copy()?);
            var.set(average)?;
        }
        let done = work();
        for (slot, trained) in self.slots.iter().zip(&trained) {
            slot.var.set(trained)?;
        }
        done
    }

    /// Leaves the averaged weights in the model.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn keep(&self) -> Result<()> {
        for slot in &self.slots {
            slot.var.set(&slot.average)?;
        }
        Ok(())
    }

    /// Steps that were followed.
    pub(super) const fn steps(&self) -> usize {
        self.steps
    }

    /// The averages, with the names of their parameters.
    pub(super) fn averages(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), &slot.average))
    }

    /// Goes on from an average of `steps` steps: what `average` has for the parameter of its name.
    pub(super) fn set(&mut self, steps: usize, mut average: impl FnMut(&str) -> Option<Tensor>) {
        self.steps = steps;
        for slot in &mut self.slots {
            if let Some(average) = average(&slot.name) {
                slot.average = average;
            }
        }
    }
}
