//! Pixel-adaptive mask refinement, fused: affinities once for each image, then masks refined in cache.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use wseg_core::pamr::Pamr;

#[cfg(feature = "cuda")]
use super::kernels;
use super::{
    element::{elements, with_element},
    lanes::Lanes,
    scratch::{Pooled, Scratch},
};
#[cfg(feature = "cuda")]
use crate::cuda::{Gpu, Memory};

/// Refines masks along the edges of `image`: every iteration replaces each pixel by the affinity-weighted mean of its
/// neighbours. Without gradient.
///
/// # Shapes
/// masks `[n, c, h, w]`, image `[n, k, h, w]` -> `[n, c, h, w]`
///
/// # Errors
/// If batch or size differ, the map is empty, or `pamr` has no dilation.
///
/// # Reference
/// [`wseg_core::pamr::refine`] is the definition.
pub fn pamr_stored(masks: &Tensor, image: &Tensor, pamr: &Pamr) -> Result<Tensor> {
    let ((n, _, h, w), (images, _, rows, columns)) = (masks.dims4()?, image.dims4()?);
    if (n, h, w) != (images, rows, columns) {
        bail!("pamr of masks {:?} along an image {:?}", masks.dims(), image.dims());
    }
    if h * w == 0 || pamr.dilations.is_empty() {
        bail!("pamr needs pixels and dilations, got {h}x{w} pixels and {:?}", pamr.dilations);
    }
    masks.contiguous()?.apply_op2_no_bwd(&image.contiguous()?, &Refine { pamr: pamr.clone() })
}

struct Refine {
    pamr: Pamr,
}

/// A map with its columns repeated to the left and right, so that a neighbour is a constant distance away.
#[derive(Clone, Copy)]
struct Wide {
    h: usize,
    w: usize,
    /// Repeated columns on either side.
    margin: usize,
    /// Distance of neighbouring rows.
    row: usize,
    /// Elements of a map, with room to read a vector from any pixel.
    map: usize,
}

/// Elements of the widest vector.
const WIDEST: usize = 16;

impl Wide {
    fn new(h: usize, w: usize, reach: usize) -> Self {
        // Beyond the map's own width a neighbour is the border pixel, however far.
        let margin = reach.min(w);
        let row = (w + 2 * margin).next_multiple_of(WIDEST);
        Self { h, w, margin, row, map: h * row + 2 * WIDEST }
    }

    /// Repeats the border of row `y`.
    fn repeat<T: Copy>(self, map: &mut [T], y: usize) {
        let row = &mut map[y * self.row..][..self.row];
        let (first, last) = (row[self.margin], row[self.margin + self.w - 1]);
        row[..self.margin].fill(first);
        row[self.margin + self.w..].fill(last);
    }

    fn fill<T: Copy + Default>(self, map: &mut [T], pixels: &[T]) {
        for (y, pixels) in pixels.chunks_exact(self.w).enumerate() {
            map[y * self.row + self.margin..][..self.w].copy_from_slice(pixels);
            self.repeat(map, y);
        }
        map[self.h * self.row..].fill(T::default());
    }

    /// Where the neighbour of row `y`'s first pixel lies for each offset.
    fn neighbours(self, y: usize, offsets: &[(isize, isize)], starts: &mut Vec<usize>) {
        starts.clear();
        let side = self.margin as isize;
        starts.extend(offsets.iter().map(|&(dy, dx)| {
            let y = y.saturating_add_signed(dy).min(self.h - 1);
            y * self.row + self.margin.saturating_add_signed(dx.clamp(-side, side))
        }));
    }
}

impl Refine {
    fn run<T: Lanes + Pooled>(&self, masks: &[T], image: &[T], [c, k, h, w]: [usize; 4]) -> Vec<T> {
        let offsets: Vec<(isize, isize)> = self.pamr.offsets().collect();
        let reach = self.pamr.dilations.iter().max().copied().unwrap_or_default();
        let wide = Wide::new(h, w, reach);
        let mut refined = masks.to_vec();
        if self.pamr.iterations == 0 {
            return refined;
        }
        // Channels refined together share the loads of the affinities.
        const GROUP: usize = 4;
        let arch = Arch::new();
        refined.par_chunks_mut((c * h * w).max(1)).zip(image.par_chunks((k * h * w).max(1))).for_each(
            |(masks, image)| {
                let mut guide = Scratch::new(k * wide.map);
                for (guide, image) in guide.chunks_exact_mut(wide.map).zip(image.chunks_exact(h * w)) {
                    wide.fill(guide, image);
                }
                let pitch = w.next_multiple_of(WIDEST);
                // For each row, for each offset, a row of affinities.
                let mut affinities = Scratch::new(h * offsets.len() * pitch);
                affinities.par_chunks_mut(offsets.len() * pitch).enumerate().for_each(|(y, affinities)| {
                    arch.dispatch(Affinities {
                        pamr: &self.pamr,
                        wide,
                        offsets: &offsets,
                        guide: &guide,
                        y,
                        affinities,
                    });
                });
                masks.par_chunks_mut(GROUP * h * w).for_each(|masks| {
                    let iterations = self.pamr.iterations;
                    let (offsets, affinities) = (&offsets[..], &affinities[..]);
                    match masks.len() / (h * w) {
                        1 => arch.dispatch(Iterate::<T, 1> { iterations, wide, offsets, affinities, masks }),
                        2 => arch.dispatch(Iterate::<T, 2> { iterations, wide, offsets, affinities, masks }),
                        3 => arch.dispatch(Iterate::<T, 3> { iterations, wide, offsets, affinities, masks }),
                        _ => arch.dispatch(Iterate::<T, 4> { iterations, wide, offsets, affinities, masks }),
                    }
                });
            },
        );
        refined
    }
}

/// The affinities of one row of pixels.
struct Affinities<'a, T> {
    pamr: &'a Pamr,
    wide: Wide,
    offsets: &'a [(isize, isize)],
    guide: &'a [T],
    y: usize,
    affinities: &'a mut [T],
}

impl<T: Lanes + Pooled> WithSimd for Affinities<'_, T> {
    type Output = ();

    /// The sums and the order of [`wseg_core::pamr::stdev`] and [`wseg_core::pamr::Affinity`].
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { pamr, wide, offsets, guide, y, affinities } = self;
        let (w, pitch, k) = (wide.w, affinities.len() / offsets.len(), guide.len() / wide.map);
        let centres = T::from_f64(pamr.dilations.len() as f64);
        let samples = (9 * pamr.dilations.len()) as f64;
        let (share, rest) = (T::from_f64(1.0 / samples), T::from_f64(1.0 / (samples - 1.0)));
        let (sigma_weight, epsilon) = (T::from_f64(pamr.sigma_weight), T::from_f64(pamr.epsilon));
        let channel_share = T::from_f64(1.0 / k as f64);
        let mut starts = Vec::new();
        wide.neighbours(y, offsets, &mut starts);
        let mut buffers = Scratch::<T>::new(2 * w);
        let (mean, scale) = buffers.split_at_mut(w);
        affinities.fill(T::zero());
        for guide in guide.chunks_exact(wide.map) {
            let centre = &guide[y * wide.row + wide.margin..][..w];
            mean.fill(T::zero());
            for &start in &starts {
                for ((mean, &near), &centre) in mean.iter_mut().zip(&guide[start..][..w]).zip(centre) {
                    *mean += near - centre;
                }
            }
            for (mean, scale) in mean.iter_mut().zip(scale.iter_mut()) {
                *mean *= share;
                *scale = *mean * *mean * centres;
            }
            for &start in &starts {
                let terms = scale.iter_mut().zip(&guide[start..][..w]).zip(centre).zip(mean.iter());
                for (((squares, &near), &centre), &mean) in terms {
                    let difference = near - centre - mean;
                    *squares += difference * difference;
                }
            }
            for scale in scale.iter_mut() {
                *scale = channel_share / ((*scale * rest).sqrt() * sigma_weight + epsilon);
            }
            for (&start, affinities) in starts.iter().zip(affinities.chunks_exact_mut(pitch)) {
                let terms = affinities.iter_mut().zip(&guide[start..][..w]).zip(centre).zip(scale.iter());
                for (((kernel, &near), &centre), &scale) in terms {
                    *kernel -= (near - centre).magnitude() * scale;
                }
            }
        }
        let (peak, total) = (mean, scale);
        peak.copy_from_slice(&affinities[..w]);
        for kernel in affinities.chunks_exact(pitch) {
            peak.iter_mut().zip(kernel).for_each(|(peak, &kernel)| *peak = kernel.larger(*peak));
        }
        total.fill(T::zero());
        for kernel in affinities.chunks_exact_mut(pitch) {
            for ((kernel, &peak), total) in kernel.iter_mut().zip(peak.iter()).zip(total.iter_mut()) {
                *kernel = (*kernel - peak).exp();
                *total += *kernel;
            }
        }
        for kernel in affinities.chunks_exact_mut(pitch) {
            kernel.iter_mut().zip(total.iter()).for_each(|(kernel, &total)| *kernel /= total);
        }
    }
}

/// All iterations of `G` channels.
struct Iterate<'a, T, const G: usize> {
    iterations: usize,
    wide: Wide,
    offsets: &'a [(isize, isize)],
    affinities: &'a [T],
    masks: &'a mut [T],
}

impl<T: Lanes + Pooled, const G: usize> WithSimd for Iterate<'_, T, G> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { iterations, wide, offsets, affinities, masks } = self;
        let (h, w, lanes) = (wide.h, wide.w, T::lanes::<S>());
        let pitch = affinities.len() / h / offsets.len();
        let (mut from, mut to) = (Scratch::<T>::new(G * wide.map), Scratch::<T>::new(G * wide.map));
        for (wider, mask) in from.chunks_exact_mut(wide.map).zip(masks.chunks_exact(h * w)) {
            wide.fill(wider, mask);
        }
        to.fill(T::zero());
        let mut starts = Vec::with_capacity(offsets.len());
        for _ in 0..iterations {
            for y in 0..h {
                wide.neighbours(y, offsets, &mut starts);
                let affinities = &affinities[y * offsets.len() * pitch..][..offsets.len() * pitch];
                for x in (0..w).step_by(lanes) {
                    debug_assert!(x + lanes <= pitch);
                    let mut sums = [T::splat(simd, T::zero()); G];
                    for (p, &start) in starts.iter().enumerate() {
                        // SAFETY: a row of affinities has `pitch` elements, a multiple of every vector's; a map has
                        // room for a vector from any pixel of its rows on.
                        unsafe {
                            let affinity = T::load::<S>(affinities.as_ptr().add(p * pitch + x));
                            for (channel, sum) in sums.iter_mut().enumerate() {
                                let near = T::load::<S>(from.as_ptr().add(channel * wide.map + start + x));
                                *sum = T::mul_add(simd, affinity, near, *sum);
                            }
                        }
                    }
                    for (channel, &sum) in sums.iter().enumerate() {
                        let at = channel * wide.map + y * wide.row + wide.margin + x;
                        // SAFETY: as above. What is written beyond the row's end is repeated border or room.
                        unsafe { T::store::<S>(to[at..].as_mut_ptr(), sum) };
                    }
                }
                for map in to.chunks_exact_mut(wide.map) {
                    wide.repeat(map, y);
                }
            }
            std::mem::swap(&mut from, &mut to);
        }
        for (wider, mask) in from.chunks_exact(wide.map).zip(masks.chunks_exact_mut(h * w)) {
            for (y, mask) in mask.chunks_exact_mut(w).enumerate() {
                mask.copy_from_slice(&wider[y * wide.row + wide.margin..][..w]);
            }
        }
    }
}

impl CustomOp2 for Refine {
    fn name(&self) -> &'static str {
        "pamr"
    }

    fn cpu_fwd(
        &self,
        masks: &CpuStorage,
        masks_layout: &Layout,
        image: &CpuStorage,
        image_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((_, c, h, w), (_, k, ..)) = (masks_layout.shape().dims4()?, image_layout.shape().dims4()?);
        with_element!(masks.dtype(), self.name(), T => {
            let masks = elements::<T>(self.name(), masks, masks_layout)?;
            let image = elements::<T>(self.name(), image, image_layout)?;
            Ok((T::to_cpu_storage_owned(self.run(masks, image, [c, k, h, w])), masks_layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        masks_layout: &Layout,
        image: &CudaStorage,
        image_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let ((n, c, h, w), (_, k, ..)) = (masks_layout.shape().dims4()?, image_layout.shape().dims4()?);
        let masks = Memory::new(self.name(), storage, masks_layout)?;
        let image = Memory::new(self.name(), image, image_layout)?;
        let gpu = Gpu::new(storage);
        let refined = match kernels::pamr::refine(&gpu, &masks, &image, [n, c, k, h, w], &self.pamr)? {
            Some(refined) => refined.into_storage()?,
            // Without iterations masks stay as they are.
            None => storage.try_clone(masks_layout)?,
        };
        Ok((refined, Shape::from((n, c, h, w))))
    }
}
