//! Elementwise functions of two tensors that broadcast, with gradients of the tracked operands only.

use std::mem::MaybeUninit;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::kernels;
use super::{
    element::{Element, elements, on_host, with_element, written},
    lanes::vectorised,
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory, on_device};

/// An elementwise function of two tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The larger; equal operands share the gradient.
    Maximum,
    /// 1 if `a > b`, else 0. No gradient.
    Greater,
}

/// `op(a, b)`, extents of 1 standing for any.
///
/// # Shapes
/// `[n, c, h, w]` each, extents equal or 1 -> the larger of the extents
///
/// # Errors
/// If the shapes do not broadcast.
pub fn binary(op: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let op = Broadcast::new(op, a, b)?;
    let (a, b) = (a.contiguous()?, b.contiguous()?);
    match op.op {
        Binary::Greater => a.apply_op2_no_bwd(&b, &op),
        _ => a.apply_op2(&b, op),
    }
}

/// Batch, channels, rows, columns.
type Extents = [usize; 4];

struct Broadcast {
    op: Binary,
    a: Extents,
    b: Extents,
    y: Extents,
}

/// Elements that a row buffer holds.
const PIECE: usize = 1024;

/// The operand a gradient is for.
#[derive(Clone, Copy)]
enum Side {
    A,
    B,
}

/// A row of an operand: elements, or one that stands for all.
#[derive(Clone, Copy)]
struct Row<'a, T> {
    elements: &'a [T],
    repeated: bool,
}

impl<T: Element> Row<'_, T> {
    /// Elements `from..from + length`, from the row or from `buffer`, which is filled if `from` is 0.
    fn piece<'b>(&'b self, from: usize, length: usize, buffer: &'b mut [T; PIECE]) -> &'b [T] {
        if !self.repeated {
            return &self.elements[from..from + length];
        }
        if from == 0 {
            buffer[..length].fill(self.elements[0]);
        }
        &buffer[..length]
    }
}

/// Whether a map of `operand` has rows or columns, but not both, of its own.
fn is_mixed(operand: Extents, y: Extents) -> bool {
    (operand[2], operand[3]) != (y[2], y[3]) && (operand[2], operand[3]) != (1, 1)
}

impl Broadcast {
    fn new(op: Binary, a: &Tensor, b: &Tensor) -> Result<Self> {
        let extents = |t: &Tensor| t.dims4().map(|(n, c, h, w)| [n, c, h, w]);
        let (lhs, rhs) = (extents(a)?, extents(b)?);
        let mut y = lhs;
        for ((y, a), b) in y.iter_mut().zip(lhs).zip(rhs) {
            *y = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => bail!("shapes {lhs:?} and {rhs:?} do not broadcast"),
            };
        }
        Ok(Self { op, a: lhs, b: rhs, y })
    }

    #[cfg(feature = "cuda")]
    fn kernel(&self) -> kernels::binary::Broadcast<'static> {
        kernels::binary::Broadcast { name: CustomOp2::name(self), a: self.a, b: self.b }
    }

    /// Rows of a map, as few as the operands allow, and their length.
    fn rows(&self) -> (usize, usize) {
        let [.., h, w] = self.y;
        if is_mixed(self.a, self.y) || is_mixed(self.b, self.y) { (h, w) } else { (1, h * w) }
    }

    /// Row `row` of the map that `operand` has for image `n` and channel `c`.
    fn row<'a, T>(&self, operand: Extents, values: &'a [T], (n, c): (usize, usize), row: usize) -> Row<'a, T> {
        let [images, channels, h, w] = operand;
        let map = if images == 1 { 0 } else { n } * channels + if channels == 1 { 0 } else { c };
        let values = &values[map * h * w..][..h * w];
        if self.rows().0 == 1 {
            return Row { elements: values, repeated: values.len() == 1 && self.rows().1 != 1 };
        }
        let start = if h == 1 { 0 } else { row * w };
        Row { elements: &values[start..start + w], repeated: w == 1 && self.y[3] != 1 }
    }

    fn forward<T: Element>(&self, a: &[T], b: &[T]) -> Vec<T> {
        let (zero, one) = (T::zero(), T::one());
        match self.op {
            Binary::Add => self.map(a, b, |a, b| a + b),
            Binary::Sub => self.map(a, b, |a, b| a - b),
            Binary::Mul => self.map(a, b, |a, b| a * b),
            Binary::Div => self.map(a, b, |a, b| a / b),
            Binary::Maximum => self.map(a, b, T::larger),
            Binary::Greater => self.map(a, b, |a, b| if a > b { one } else { zero }),
        }
    }

    fn map<T: Element>(&self, a: &[T], b: &[T], f: impl Fn(T, T) -> T + Copy + Sync) -> Vec<T> {
        let [n, c, h, w] = self.y;
        let count = n * c * h * w;
        if count == 0 {
            return Vec::new();
        }
        let (_, length) = self.rows();
        let plane = |(index, y): (usize, &mut [MaybeUninit<T>])| {
            let (mut a_buffer, mut b_buffer) = ([T::zero(); PIECE], [T::zero(); PIECE]);
            let at = (index / c, index % c);
            for (row, y) in y.chunks_exact_mut(length).enumerate() {
                let (a, b) = (self.row(self.a, a, at, row), self.row(self.b, b, at, row));
                for (piece, y) in y.chunks_mut(PIECE).enumerate() {
                    let a = a.piece(piece * PIECE, y.len(), &mut a_buffer);
                    let b = b.piece(piece * PIECE, y.len(), &mut b_buffer);
                    combine(y, a, b, f);
                }
            }
        };
        // SAFETY: a map is a whole number of rows, a row its pieces, and a piece of an operand as long as `y`'s.
        unsafe {
            written(count, |y| {
                let planes = y.par_chunks_mut(h * w).enumerate().with_min_len((PIECE / (h * w)).max(1));
                planes.for_each(plane);
            })
        }
    }

    fn backward<T: Element>(&self, side: Side, a: &[T], b: &[T], dy: &[T]) -> Vec<T> {
        let half = T::from_f64(0.5);
        let zero = T::zero();
        match (self.op, side) {
            (Binary::Add, _) | (Binary::Sub, Side::A) => self.pull(side, a, b, dy, |_, _, dy| dy),
            (Binary::Sub, Side::B) => self.pull(side, a, b, dy, |_, _, dy| zero - dy),
            (Binary::Mul, Side::A) => self.pull(side, a, b, dy, |_, b, dy| dy * b),
            (Binary::Mul, Side::B) => self.pull(side, a, b, dy, |a, _, dy| dy * a),
            (Binary::Div, Side::A) => self.pull(side, a, b, dy, |_, b, dy| dy / b),
            (Binary::Div, Side::B) => self.pull(side, a, b, dy, |a, b, dy| zero - dy * (a / b) / b),
            (Binary::Maximum, Side::A) => self.pull(side, a, b, dy, |a, b, dy| match () {
                () if a > b => dy,
                () if a == b => half * dy,
                () => zero,
            }),
            (Binary::Maximum, Side::B) => self.pull(side, a, b, dy, |a, b, dy| match () {
                () if a == b => half * dy,
                () if a > b => zero,
                () => dy,
            }),
            (Binary::Greater, _) => Vec::new(),
        }
    }

    /// Sums `f(a, b, dy)` over the outputs that each element of an operand took part in.
    fn pull<T: Element>(
        &self,
        side: Side,
        a: &[T],
        b: &[T],
        dy: &[T],
        f: impl Fn(T, T, T) -> T + Copy + Sync,
    ) -> Vec<T> {
        let [n, c, h, w] = self.y;
        let target = match side {
            Side::A => self.a,
            Side::B => self.b,
        };
        let mut gradient = vec![T::zero(); target.iter().product()];
        if gradient.is_empty() || dy.is_empty() {
            return gradient;
        }
        let (_, length) = self.rows();
        let range = |own: usize, index: usize, all: usize| if own == 1 { 0..all } else { index..index + 1 };
        let size = target[2] * target[3];
        let plane = |(index, gradient): (usize, &mut [T])| {
            let (mut a_buffer, mut b_buffer) = ([T::zero(); PIECE], [T::zero(); PIECE]);
            for n in range(target[0], index / target[1], n) {
                for c_out in range(target[1], index % target[1], c) {
                    let dy = &dy[(n * c + c_out) * h * w..][..h * w];
                    for (row, dy) in dy.chunks_exact(length).enumerate() {
                        let (a, b) = (self.row(self.a, a, (n, c_out), row), self.row(self.b, b, (n, c_out), row));
                        let repeated = match side {
                            Side::A => a.repeated,
                            Side::B => b.repeated,
                        };
                        let start = if target[2] == 1 { 0 } else { row * target[3] };
                        for (piece, dy) in dy.chunks(PIECE).enumerate() {
                            let from = piece * PIECE;
                            let a = a.piece(from, dy.len(), &mut a_buffer);
                            let b = b.piece(from, dy.len(), &mut b_buffer);
                            if repeated {
                                gradient[start] += sum_of(a, b, dy, f);
                            } else {
                                add_to(&mut gradient[start + from..][..dy.len()], a, b, dy, f);
                            }
                        }
                    }
                }
            }
        };
        gradient.par_chunks_mut(size).enumerate().for_each(plane);
        gradient
    }
}

vectorised! {
    /// `f` of every two corresponding elements.
    ['a, T: Element, F: Fn(T, T) -> T] ['a, T, F]
    fn combine(y: &'a mut [MaybeUninit<T>], a: &'a [T], b: &'a [T], f: F) -> () {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            y.write(f(a, b));
        }
    }

    /// Adds `f` of every three corresponding elements to a gradient.
    ['a, T: Element, F: Fn(T, T, T) -> T] ['a, T, F]
    fn add_to(gradient: &'a mut [T], a: &'a [T], b: &'a [T], dy: &'a [T], f: F) -> () {
        for (((gradient, &a), &b), &dy) in gradient.iter_mut().zip(a).zip(b).zip(dy) {
            *gradient += f(a, b, dy);
        }
    }

    /// Sum of `f` of every three corresponding elements, in interleaved partial sums that stay in vector registers.
    ['a, T: Element, F: Fn(T, T, T) -> T] ['a, T, F]
    fn sum_of(a: &'a [T], b: &'a [T], dy: &'a [T], f: F) -> T {
        const LANES: usize = 32;
        let mut partial = [T::zero(); LANES];
        let whole = dy.len() / LANES * LANES;
        for ((a, b), dy) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)).zip(dy.chunks_exact(LANES)) {
            for lane in 0..LANES {
                partial[lane] += f(a[lane], b[lane], dy[lane]);
            }
        }
        let mut sum = T::zero();
        for index in whole..dy.len() {
            sum += f(a[index], b[index], dy[index]);
        }
        for partial in partial {
            sum += partial;
        }
        sum
    }
}

impl CustomOp2 for Broadcast {
    fn name(&self) -> &'static str {
        match self.op {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Maximum => "maximum",
            Binary::Greater => "gt",
        }
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_element!(a.dtype(), self.name(), T => {
            let a = elements::<T>(self.name(), a, a_layout)?;
            let y = self.forward(a, elements::<T>(self.name(), b, b_layout)?);
            Ok((T::to_cpu_storage_owned(y), Shape::from(self.y.to_vec())))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (a, b) = (Memory::new(self.name(), storage, a_layout)?, Memory::new(self.name(), b, b_layout)?);
        let y = self.kernel().forward(&Gpu::new(storage), &a, &b)?;
        Ok((y.into_storage()?, Shape::from(self.y.to_vec())))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if a.device().is_cuda() {
            return on_device(self.name(), [a, b, &dy], |tensors| {
                let gpu = Gpu::of(&tensors[0]);
                let [on_a, on_b, dy] = tensors.map(Memory::from);
                let gradient = |side, operand: &Tensor| {
                    let gradient = || self.kernel().backward(&gpu, side, [&on_a, &on_b, &dy]);
                    operand.track_op().then(|| gradient()?.into_tensor(operand.shape())).transpose()
                };
                Ok((gradient(kernels::binary::Side::A, a)?, gradient(kernels::binary::Side::B, b)?))
            });
        }
        with_element!(a.dtype(), self.name(), T => {
            on_host::<T, 3, _>(self.name(), [a, b, &dy], |[a_values, b_values, dy]| {
                let gradient = |side, operand: &Tensor| {
                    let values = || self.backward(side, a_values, b_values, dy);
                    let tensor = operand.track_op().then(|| Tensor::from_vec(values(), operand.shape(), operand.device()));
                    tensor.transpose()
                };
                Ok((gradient(Side::A, a)?, gradient(Side::B, b)?))
            })
        })
    }
}
