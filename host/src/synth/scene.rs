//! One picture: background, clutter, objects with their shadows, the camera; and the mask that goes with it.

use image::RgbImage;
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::colour::{Rgb, scale};
use super::kind::Kind;
use super::object::{Layer, Pose, draw};
use super::{Split, Synth, backdrop, clutter, figure};
use crate::palette;
use crate::picture::LabelMap;

/// Least part of an object that must be seen: not hidden and not beyond the picture's edge.
const LEAST_SEEN: f32 = 0.45;
/// Least area of an object seen, as part of the picture.
const LEAST_AREA: f32 = 0.012;
/// Places tried for an object before it is left out.
const ATTEMPTS: usize = 20;

/// A photo and its truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What a camera would see.
    pub photo: RgbImage,
    /// Label of every pixel, [`palette::VOID`] on the thin border between two surfaces.
    pub mask: LabelMap,
}

/// Picture `number` of a split. The settings must be in range, as [`super::generate`] checks.
#[must_use]
pub fn picture(settings: &Synth, split: Split, number: usize) -> Picture {
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    // One stream of random numbers for each picture of each split.
    rng.set_stream(2 * number as u64 + u64::from(split == Split::Val));
    let mut scene = Scene::new(settings.size, &mut rng);
    for _ in 0..rng.random_range(3..=9) {
        let piece = clutter::piece(settings.size, scene.light, &mut rng);
        scene.cast_shadow(&piece, settings.size as f32 * 0.015);
        scene.lay(&piece);
    }
    let wanted = rng.random_range(1..=3);
    // The first object's kind goes round, so that no class is rare in any split; of the others most are of new kinds.
    let mut kind = number % settings.classes;
    for index in 0..wanted {
        scene.place(kind, wanted, &mut rng);
        let again = index > 0 && rng.random_bool(0.2);
        if !again && settings.classes > 1 {
            kind = (kind + rng.random_range(1..settings.classes)) % settings.classes;
        }
    }
    Picture { photo: scene.photograph(&mut rng), mask: scene.mask() }
}

/// An object in the scene and how much of each pixel it is.
struct Placed {
    label: u8,
    area: f32,
    seen: Vec<f32>,
}

struct Scene {
    size: usize,
    /// Where the light comes from.
    light: [f32; 2],
    pixels: Vec<Rgb>,
    placed: Vec<Placed>,
}

impl Scene {
    fn new(size: usize, rng: &mut impl Rng) -> Self {
        let pixels = backdrop::fill(size, rng);
        // From above, more or less from the side.
        let angle: f32 = rng.random_range(-2.6..=-0.5);
        Self { size, light: [angle.cos(), angle.sin()], pixels, placed: Vec::new() }
    }

    /// Adds an object of a kind where it and all before it remain well seen; without such a place, adds none.
    fn place(&mut self, kind: usize, crowd: usize, rng: &mut impl Rng) {
        let Some(&shape) = Kind::ALL.get(kind) else { return };
        let side = self.size as f32;
        let parts = figure::parts(shape, rng);
        let (low, high) = match crowd {
            1 => (0.19, 0.35),
            2 => (0.16, 0.29),
            _ => (0.14, 0.24),
        };
        for attempt in 1..=ATTEMPTS {
            let mut at = [rng.random_range(0.08..=0.92) * side, rng.random_range(0.08..=0.92) * side];
            let mut radius = rng.random_range(low..=high) * side;
            if attempt == ATTEMPTS && self.placed.is_empty() {
                // No picture is without an object: in the middle and large, the first one always fits.
                (at, radius) = ([0.5 * side, 0.5 * side], high * side);
            }
            let layer = draw(&parts, Pose::random(at, radius, shape.tilt(), rng), self.light);
            if self.fits(&layer) {
                self.cast_shadow(&layer, radius);
                self.lay(&layer);
                let mut seen = vec![0.0; self.size * self.size];
                layer.for_each_inside(self.size, |pixel, own| seen[pixel] = layer.coverage[own]);
                self.placed.push(Placed { label: kind as u8 + 1, area: layer.area(), seen });
                return;
            }
        }
    }

    /// Whether `layer` and everything below it would be seen well enough.
    fn fits(&self, layer: &Layer) -> bool {
        let least = LEAST_AREA * (self.size * self.size) as f32;
        let enough = |seen: f32, area: f32| seen >= LEAST_SEEN * area && seen >= least;
        let mut inside = 0.0;
        let mut hidden = vec![0.0; self.placed.len()];
        layer.for_each_inside(self.size, |pixel, own| {
            inside += layer.coverage[own];
            for (hidden, below) in hidden.iter_mut().zip(&self.placed) {
                *hidden += below.seen[pixel] * layer.coverage[own];
            }
        });
        let below_fit = self
            .placed
            .iter()
            .zip(hidden)
            .all(|(below, hidden)| enough(below.seen.iter().sum::<f32>() - hidden, below.area));
        enough(inside, layer.area()) && below_fit
    }

    /// Draws a layer over everything so far.
    fn lay(&mut self, layer: &Layer) {
        layer.for_each_inside(self.size, |pixel, own| {
            let remains = 1.0 - layer.coverage[own];
            for (channel, added) in self.pixels[pixel].iter_mut().zip(layer.colours[own]) {
                *channel = *channel * remains + added;
            }
            for below in &mut self.placed {
                below.seen[pixel] *= remains;
            }
        });
    }

    /// Darkens what is so far where a layer of this radius will keep the light away.
    fn cast_shadow(&mut self, layer: &Layer, radius: f32) {
        let reach = (0.16 * radius).max(1.0);
        let (dx, dy) = ((-self.light[0] * reach).round() as i32, (-self.light[1] * reach).round() as i32);
        let mut shade = vec![0.0; self.size * self.size];
        let shifted = Layer { left: layer.left + dx, top: layer.top + dy, ..layer.clone() };
        shifted.for_each_inside(self.size, |pixel, own| shade[pixel] = layer.coverage[own]);
        let spread = (0.1 * radius).ceil() as usize;
        blur(&mut shade, self.size, spread);
        blur(&mut shade, self.size, spread);
        for (pixel, shade) in self.pixels.iter_mut().zip(shade) {
            *pixel = scale(*pixel, 1.0 - 0.42 * shade);
        }
    }

    /// Label of every pixel: what covers most of it; void where that changes to the next pixel below or to the right.
    fn mask(&self) -> LabelMap {
        let size = self.size;
        // 0 is the background, i + 1 the object i.
        let surface: Vec<usize> = (0..size * size)
            .map(|pixel| {
                let covered: f32 = self.placed.iter().map(|object| object.seen[pixel]).sum();
                let mut best = (0, 1.0 - covered);
                for (index, object) in self.placed.iter().enumerate() {
                    if object.seen[pixel] > best.1 {
                        best = (index + 1, object.seen[pixel]);
                    }
                }
                best.0
            })
            .collect();
        // One pixel at 128, as much of the picture at other sizes: the border of Pascal VOC is as thin.
        let width = (size / 128).max(1);
        let on_border = |pixel: usize| {
            let (x, y) = (pixel % size, pixel / size);
            let differs = |x: usize, y: usize| x < size && y < size && surface[y * size + x] != surface[pixel];
            (1..=width).any(|step| differs(x + step, y) || differs(x, y + step))
        };
        let label = |pixel: usize| match surface[pixel] {
            _ if on_border(pixel) => palette::VOID,
            0 => 0,
            object => self.placed[object - 1].label,
        };
        LabelMap { width: size, height: size, labels: (0..size * size).map(label).collect() }
    }

    /// What the camera makes of it: exposure, a little blur, sensor noise.
    fn photograph(&self, rng: &mut impl Rng) -> RgbImage {
        let exposure = rng.random_range(0.88..=1.12);
        let tint: Rgb = std::array::from_fn(|_| exposure * rng.random_range(0.96..=1.04));
        let softness = rng.random_range(0.04..=0.17);
        let noise = rng.random_range(0.008..=0.022);
        let side = self.size as i32;
        let at = |x: i32, y: i32| self.pixels[(y.clamp(0, side - 1) * side + x.clamp(0, side - 1)) as usize];
        RgbImage::from_fn(self.size as u32, self.size as u32, |x, y| {
            let (x, y) = (x as i32, y as i32);
            let mut sum = [0.0; 3];
            for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                let weight = |offset: i32| if offset == 0 { 1.0 - 2.0 * softness } else { softness };
                for (sum, channel) in sum.iter_mut().zip(at(x + dx, y + dy)) {
                    *sum += weight(dx) * weight(dy) * channel;
                }
            }
            image::Rgb(std::array::from_fn(|c| {
                // The sum of three uniform numbers is close enough to a normal one of variance 1/4.
                let grain: f32 = (0..3).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * 2.0;
                ((sum[c] * tint[c] + noise * grain) * 255.0).round().clamp(0.0, 255.0) as u8
            }))
        })
    }
}

/// Box blur over `2 * spread + 1` pixels along rows, then columns; beyond the edge there is nothing.
fn blur(values: &mut [f32], size: usize, spread: usize) {
    let width = (2 * spread + 1) as f32;
    let mut line = vec![0.0; size];
    for (start, stride) in (0..size).map(|row| (row * size, 1)).chain((0..size).map(|column| (column, size))) {
        let value = |values: &[f32], index: usize| values[start + index * stride];
        let mut sum: f32 = (0..spread.min(size)).map(|index| value(values, index)).sum();
        for (index, blurred) in line.iter_mut().enumerate() {
            if index + spread < size {
                sum += value(values, index + spread);
            }
            if index > spread {
                sum -= value(values, index - spread - 1);
            }
            *blurred = sum / width;
        }
        for (index, blurred) in line.iter().enumerate() {
            values[start + index * stride] = *blurred;
        }
    }
}
