//! All channels of a batch, shared out among threads: every map is one task's, and its sums have one order.

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    super::{
        element::written,
        lanes::Lanes,
        scratch::{Pooled, Scratch},
    },
    Rectify,
    differentiate::{Channel, total},
    gather::gather,
    plan::{Geometry, VECTOR, Way},
};

/// Input pixels that a task aims at.
const TASK: usize = 1 << 15;

impl Geometry {
    /// Maps to a task: a matter of the shapes alone.
    fn share(&self) -> usize {
        (TASK / (self.from.0 * self.from.1).max(self.to.0 * self.to.1)).max(1)
    }
}

/// A buffer of zeros.
fn zeros<T: Pooled>(length: usize) -> Scratch<T> {
    let mut buffer = Scratch::new(length);
    buffer.fill(T::default());
    buffer
}

/// The forward pass over a batch.
pub(super) struct Forward<'a, T> {
    pub geometry: Geometry,
    pub channels: usize,
    pub rectify: Rectify,
    pub x: &'a [T],
    pub weight: &'a [T],
    pub bias: Option<&'a [T]>,
}

impl<T: Lanes + Pooled> Forward<'_, T> {
    pub(super) fn run(self) -> Vec<T> {
        Arch::new().dispatch(self)
    }
}

impl<T: Lanes + Pooled> WithSimd for Forward<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<T> {
        let Geometry { from, to, .. } = self.geometry;
        let (from, to, share) = (from.0 * from.1, to.0 * to.1, self.geometry.share());
        let way = Way::forward(&self.geometry);
        let outputs = |y: &mut [MaybeUninit<T>]| {
            let tasks = y.par_chunks_mut(share * to).zip(self.x.par_chunks(share * from)).enumerate();
            tasks.for_each(|(index, (y, x))| {
                simd.vectorize(ForwardTask { pass: &self, way: &way, first: index * share, x, y });
            });
        };
        // SAFETY: there are as many maps of `x` as of `y`, and every output of a map is written.
        unsafe { written(self.x.len() / from * to, outputs) }
    }
}

/// Some maps, from number `first` on.
struct ForwardTask<'a, T> {
    pass: &'a Forward<'a, T>,
    way: &'a Way,
    first: usize,
    x: &'a [T],
    y: &'a mut [MaybeUninit<T>],
}

impl<T: Lanes + Pooled> WithSimd for ForwardTask<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, way, first, x, y } = self;
        let Geometry { from, to, kernel, .. } = pass.geometry;
        let taps = kernel.0 * kernel.1;
        let mut framed = zeros(way.frame.length);
        let mut line = Scratch::new(way.width.next_multiple_of(VECTOR));
        for (index, (x, y)) in x.chunks_exact(from.0 * from.1).zip(y.chunks_exact_mut(to.0 * to.1)).enumerate() {
            let channel = (first + index) % pass.channels;
            way.frame.fill(simd, x, pass.rectify.input, &mut framed);
            let bias = pass.bias.map_or(T::zero(), |bias| bias[channel]);
            let kernel = &pass.weight[channel * taps..][..taps];
            gather(simd, way, &framed, kernel, (bias, pass.rectify.output), &mut line, y);
        }
    }
}

/// The backward pass over a batch.
pub(super) struct Backward<'a, T> {
    pub geometry: Geometry,
    pub channels: usize,
    pub rectify: Rectify,
    pub x: &'a [T],
    pub weight: &'a [T],
    pub y: &'a [T],
    pub dy: &'a [T],
    /// Whether the gradient of `x` is wanted.
    pub inputs: bool,
    /// Whether those of weight and bias are.
    pub parameters: bool,
}

/// Gradients; those that were not wanted are empty.
pub(super) struct Gradients<T> {
    pub x: Vec<T>,
    pub weight: Vec<T>,
    pub bias: Vec<T>,
}

impl<T: Lanes + Pooled> Backward<'_, T> {
    pub(super) fn run(self) -> Gradients<T> {
        Arch::new().dispatch(self)
    }

    /// Sums of a map: one for each weight, and the bias's.
    fn sums(&self) -> usize {
        self.geometry.kernel.0 * self.geometry.kernel.1 + 1
    }

    /// The sums of all images, in their order.
    fn reduced(&self, sums: &[T]) -> (Vec<T>, Vec<T>) {
        let taps = self.sums() - 1;
        let gradient = |index: usize| {
            let images = sums.iter().skip(index).step_by(self.channels * self.sums());
            T::from_f64(images.map(|sum| sum.to_f64()).sum())
        };
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        if !sums.is_empty() {
            for first in (0..self.channels).map(|channel| channel * self.sums()) {
                weight.extend((first..first + taps).map(gradient));
                bias.push(gradient(first + taps));
            }
        }
        (weight, bias)
    }
}

impl<T: Lanes + Pooled> WithSimd for Backward<'_, T> {
    type Output = Gradients<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Gradients<T> {
        let from = self.geometry.from.0 * self.geometry.from.1;
        let share = self.geometry.share();
        let way = Way::backward(&self.geometry);
        let planes = self.x.len() / from;
        let mut sums = vec![T::zero(); if self.parameters { planes * self.sums() } else { 0 }];
        let differentiate = |dx: &mut [MaybeUninit<T>]| {
            // What is not wanted is empty, and so has no chunks.
            let mut dx = dx.chunks_mut(share * from);
            let mut sums = sums.chunks_mut(share * self.sums());
            let tasks: Vec<_> = (0..planes)
                .step_by(share)
                .map(|first| (first, share.min(planes - first), dx.next(), sums.next()))
                .collect();
            tasks.into_par_iter().for_each(|(first, maps, dx, sums)| {
                simd.vectorize(BackwardTask { pass: &self, way: &way, first, maps, dx, sums });
            });
        };
        // SAFETY: every gradient of a map is written.
        let x = unsafe { written(if self.inputs { self.x.len() } else { 0 }, differentiate) };
        let (weight, bias) = self.reduced(&sums);
        Gradients { x, weight, bias }
    }
}

/// Some maps, from number `first` on.
struct BackwardTask<'a, T> {
    pass: &'a Backward<'a, T>,
    way: &'a Way,
    first: usize,
    maps: usize,
    dx: Option<&'a mut [MaybeUninit<T>]>,
    sums: Option<&'a mut [T]>,
}

impl<T: Lanes + Pooled> WithSimd for BackwardTask<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, way, first, maps, mut dx, mut sums } = self;
        let Geometry { from, to, kernel, .. } = pass.geometry;
        let (from, to, taps, lanes) = (from.0 * from.1, to.0 * to.1, kernel.0 * kernel.1, T::lanes::<S>());
        let mut gradients = zeros(way.frame.length);
        let mut unwanted = Scratch::new(if dx.is_some() { 0 } else { from });
        let mut totals = Scratch::new(taps * lanes);
        for index in 0..maps {
            let plane = first + index;
            let (x, dy) = (&pass.x[plane * from..][..from], &pass.dy[plane * to..][..to]);
            match pass.rectify.output {
                true => way.frame.fill_passing(dy, &pass.y[plane * to..][..to], &mut gradients),
                false => way.frame.fill(simd, dy, false, &mut gradients),
            }
            let channel = Channel {
                kernel: &pass.weight[plane % pass.channels * taps..][..taps],
                gradients: &gradients,
                x,
                rectified: pass.rectify.input,
            };
            let dx = match &mut dx {
                Some(dx) => &mut dx[index * from..][..from],
                None => overwritten(&mut unwanted),
            };
            let Some(sums) = &mut sums else {
                channel.differentiate::<S, false>(simd, way, dx, &mut []);
                continue;
            };
            totals.fill(T::zero());
            channel.differentiate::<S, true>(simd, way, dx, &mut totals);
            let sums = &mut sums[index * (taps + 1)..][..taps + 1];
            for (sum, vector) in sums.iter_mut().zip(totals.chunks_exact(lanes)) {
                // SAFETY: a chunk is a whole vector.
                *sum = T::sum(simd, unsafe { T::load::<S>(vector.as_ptr()) });
            }
            sums[taps] = total(simd, &way.frame, &gradients);
        }
    }
}

/// A buffer as one to be written.
fn overwritten<T>(buffer: &mut [T]) -> &mut [MaybeUninit<T>] {
    // SAFETY: the layouts are the same, and only elements are written through this.
    unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<T>]) }
}
