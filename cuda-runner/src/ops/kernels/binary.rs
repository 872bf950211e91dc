//! Elementwise functions of two tensors that broadcast.

use candle_core::{Result, bail};

use super::{Argument, Grid, Machine, arguments, expect, int, run};

/// Batch, channels, rows, columns.
pub type Extents = [usize; 4];

/// The operand a gradient is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// A function `name` (`add`, `sub`, `mul`, `div`, `maximum`, `gt`) of operands of these extents, contiguous in memory.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast<'a> {
    /// The function.
    pub name: &'a str,
    /// Extents of the first operand.
    pub a: Extents,
    /// Extents of the second operand.
    pub b: Extents,
}

/// A block is worth its sum from so many terms on.
const MANY: usize = 32;

/// An axis: its extent, and how far apart neighbours along it lie in a, b and y.
#[derive(Clone, Copy)]
struct Axis {
    extent: usize,
    strides: [usize; 3],
}

fn count(extents: Extents) -> usize {
    extents.iter().product()
}

/// Axes as the kernels take them: four, those that can be walked as one joined.
fn walk<'a, M>(axes: impl Iterator<Item = Axis>) -> Result<[Argument<'a, M>; 16]> {
    let mut joined: Vec<Axis> = Vec::new();
    for axis in axes.filter(|axis| axis.extent != 1) {
        match joined.last_mut() {
            Some(outer) if (0..3).all(|i| outer.strides[i] == axis.strides[i] * axis.extent) => {
                *outer = Axis { extent: outer.extent * axis.extent, ..axis };
            }
            _ => joined.push(axis),
        }
    }
    let mut arguments = [const { Argument::Int(0) }; 16];
    let missing = 4 - joined.len();
    for index in 0..4_usize {
        let axis = index.checked_sub(missing).map_or(Axis { extent: 1, strides: [0; 3] }, |index| joined[index]);
        let values = [axis.extent, axis.strides[0], axis.strides[1], axis.strides[2]];
        for (kind, value) in values.into_iter().enumerate() {
            arguments[4 * kind + index] = Argument::Int(int(value)?);
        }
    }
    Ok(arguments)
}

impl Broadcast<'_> {
    /// Extents of the result.
    ///
    /// # Errors
    /// If the operands do not broadcast.
    pub fn extents(&self) -> Result<Extents> {
        let mut y = self.a;
        for ((y, a), b) in y.iter_mut().zip(self.a).zip(self.b) {
            *y = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => bail!("shapes {:?} and {:?} do not broadcast", self.a, self.b),
            };
        }
        Ok(y)
    }

    /// The axes of the result, outermost first.
    fn axes(&self) -> Result<[Axis; 4]> {
        let y = self.extents()?;
        let inner = |extents: Extents, axis: usize| extents[axis + 1..].iter().product::<usize>();
        Ok([0, 1, 2, 3].map(|axis| {
            let stride = |extents: Extents| if extents[axis] == 1 { 0 } else { inner(extents, axis) };
            Axis { extent: y[axis], strides: [stride(self.a), stride(self.b), stride(y)] }
        }))
    }

    /// The function's values.
    ///
    /// # Errors
    /// If the operands do not broadcast, and the machine's.
    pub fn forward<M: Machine>(&self, m: &M, a: &M::Memory, b: &M::Memory) -> Result<M::Memory> {
        let (dtype, elements) = (M::dtype(a), count(self.extents()?));
        expect::<M>("an operand", a, dtype, count(self.a))?;
        expect::<M>("an operand", b, dtype, count(self.b))?;
        let y = m.make(dtype, elements)?;
        let first: &[_] = arguments![in a, in b, out &y, int elements];
        let arguments = [first, &walk(self.axes()?.into_iter())?].concat();
        // SAFETY: the walk is over the result, and stays within operands of the extents that were checked.
        unsafe { run(m, "binary", self.name, dtype, Grid::over(elements), &arguments) }?;
        Ok(y)
    }

    /// The gradient of one operand: every element sums what the outputs it took part in give it.
    ///
    /// # Errors
    /// If a size does not fit, and the machine's.
    pub fn backward<M: Machine>(&self, m: &M, side: Side, [a, b, dy]: [&M::Memory; 3]) -> Result<M::Memory> {
        let (dtype, y) = (M::dtype(a), self.extents()?);
        expect::<M>("an operand", a, dtype, count(self.a))?;
        expect::<M>("an operand", b, dtype, count(self.b))?;
        expect::<M>("a gradient", dy, dtype, count(y))?;
        let (own, letter) = match side {
            Side::A => (self.a, "a"),
            Side::B => (self.b, "b"),
        };
        let is_summed = |axis: usize| own[axis] != y[axis];
        let axes = self.axes()?;
        let some = |summed: bool| (0..4).filter(move |&axis| is_summed(axis) == summed).map(move |axis| axes[axis]);
        let (elements, terms) = (count(own), some(true).map(|axis| axis.extent).product::<usize>());
        let gradient = m.make(dtype, elements)?;
        // Neighbouring threads should read neighbours.
        let innermost = (0..4).rev().find(|&axis| y[axis] != 1).unwrap_or(3);
        let walks = [walk(some(false))?, walk(some(true))?].concat();
        let output: &[_] = arguments![in a, in b, in dy, out &gradient];
        let (kind, grid, sizes) = match is_summed(innermost) && terms >= MANY {
            true => ("reduction", Grid::each(elements)?, vec![Argument::Int(int(terms)?)]),
            false => {
                let sizes = vec![Argument::Int(int(elements)?), Argument::Int(int(terms)?)];
                ("gradient", Grid::over(elements), sizes)
            }
        };
        let name = format!("{}_{kind}_{letter}", self.name);
        // SAFETY: both walks together are over the result, as in `forward`.
        unsafe { run(m, "binary", &name, dtype, grid, &[output, &sizes, &walks].concat()) }?;
        Ok(gradient)
    }
}
