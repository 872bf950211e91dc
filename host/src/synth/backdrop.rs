//! Backgrounds: muted, textured grounds, chosen independently of the objects.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::colour::{Rgb, hsv, mix, scale, smoothstep};
use super::noise;
use super::shape::turned;

#[derive(Debug, Clone, Copy)]
enum Ground {
    Grass,
    Sky,
    Plaster,
    Brick,
    Wood,
    Sand,
    Water,
    Tiles,
    Cloth,
}

const GROUNDS: [Ground; 9] = [
    Ground::Grass,
    Ground::Sky,
    Ground::Plaster,
    Ground::Brick,
    Ground::Wood,
    Ground::Sand,
    Ground::Water,
    Ground::Tiles,
    Ground::Cloth,
];

/// One ground with its own colours, direction and scale.
struct Backdrop {
    ground: Ground,
    light: Rgb,
    dark: Rgb,
    turn: f32,
    zoom: f32,
    seed: u32,
}

impl Backdrop {
    fn random(rng: &mut impl Rng) -> Self {
        let ground = GROUNDS.choose(rng).copied().unwrap_or(Ground::Plaster);
        let (hue, saturation, value) = match ground {
            Ground::Grass => (80.0, 0.34, 0.46),
            Ground::Sky => (210.0, 0.26, 0.78),
            Ground::Plaster => (45.0, 0.14, 0.72),
            Ground::Brick => (15.0, 0.3, 0.5),
            Ground::Wood => (28.0, 0.38, 0.48),
            Ground::Sand => (42.0, 0.27, 0.7),
            Ground::Water => (205.0, 0.3, 0.5),
            Ground::Tiles => (200.0, 0.08, 0.66),
            Ground::Cloth => (300.0, 0.1, 0.5),
        };
        // Cloth and tiles come in any colour, but never a strong one.
        let spread = if matches!(ground, Ground::Cloth | Ground::Tiles) { 180.0 } else { 14.0 };
        let hue = hue + rng.random_range(-spread..=spread);
        let saturation: f32 = saturation * rng.random_range(0.6..=1.15);
        let value = f32::min(value * rng.random_range(0.75..=1.2), 0.9);
        let contrast = rng.random_range(0.6..=0.78);
        Self {
            ground,
            light: hsv(hue, saturation, value),
            dark: hsv(hue + rng.random_range(-10.0..=10.0), (saturation * 1.15).min(1.0), value * contrast),
            turn: rng.random_range(-0.25..=0.25) + if rng.random_bool(0.3) { std::f32::consts::FRAC_PI_2 } else { 0.0 },
            zoom: rng.random_range(0.75..=1.4),
            seed: rng.random(),
        }
    }

    /// Colour at a point of the unit square.
    fn colour(&self, x: f32, y: f32) -> Rgb {
        let [u, v] = turned([x - 0.5, y - 0.5], self.turn).map(|axis| axis * self.zoom + 8.0);
        let fractal = |fx: f32, fy: f32, octaves| noise::fractal(u * fx, v * fy, self.seed, octaves);
        let dark = match self.ground {
            Ground::Grass => 0.7 * fractal(42.0, 13.0, 2) + 0.5 * fractal(4.0, 4.0, 2) - 0.1,
            Ground::Sky => smoothstep(0.35, 0.7, fractal(2.5, 5.0, 4)) * 0.8 + 0.3 * (1.0 - y),
            Ground::Plaster => 0.6 * fractal(3.0, 3.0, 5) + 0.25 * fractal(60.0, 60.0, 1),
            Ground::Brick => {
                let (row, column) = (v * 9.0, u * 4.5);
                let shift = if row.floor().rem_euclid(2.0) < 0.5 { 0.0 } else { 0.5 };
                let brick = (column + shift).floor();
                let mortar = (column + shift).fract() < 0.07 || row.fract() < 0.14;
                let tone = noise::at(brick as i32, row as i32, self.seed);
                if mortar { 0.0 } else { 0.45 + 0.5 * tone + 0.3 * (fractal(30.0, 30.0, 2) - 0.5) }
            }
            Ground::Wood => {
                let plank = (v * 5.0).floor();
                let tone = noise::at(plank as i32, 3, self.seed);
                let grain = noise::fractal(u * 3.0 + 7.0 * plank, v * 45.0, self.seed, 3);
                if (v * 5.0).fract() < 0.05 { 1.3 } else { 0.35 * tone + 0.75 * grain }
            }
            Ground::Sand => 0.5 * fractal(2.5, 2.5, 3) + 0.45 * fractal(55.0, 55.0, 2),
            Ground::Water => {
                let drift = 1.5 * fractal(3.0, 3.0, 2);
                0.5 + 0.5 * (v * 55.0 + 9.0 * drift + 3.0 * fractal(5.0, 2.0, 2)).sin() * fractal(4.0, 4.0, 2)
            }
            Ground::Tiles => {
                let (column, row) = (u * 5.0, v * 5.0);
                let joint = column.fract() < 0.06 || row.fract() < 0.06;
                let tone = noise::at(column as i32, row as i32, self.seed);
                if joint { 1.2 } else { 0.35 * tone + 0.4 * fractal(8.0, 8.0, 3) }
            }
            Ground::Cloth => 0.5 + 0.3 * (u * 130.0).sin() * (v * 130.0).sin() + 0.7 * (fractal(3.0, 3.0, 3) - 0.5),
        };
        mix(self.light, self.dark, dark)
    }
}

/// Fills a square picture: one ground, or one above another with a horizon between.
pub(super) fn fill(size: usize, rng: &mut impl Rng) -> Vec<Rgb> {
    let lower = Backdrop::random(rng);
    let upper = rng.random_bool(0.45).then(|| Backdrop::random(rng));
    let horizon = rng.random_range(0.2..=0.65);
    let slope = rng.random_range(-0.2..=0.2);
    let (glow_x, glow_y): (f32, f32) = (rng.random(), rng.random());
    let step = 1.0 / size as f32;
    let mut pixels = Vec::with_capacity(size * size);
    for row in 0..size {
        for column in 0..size {
            let (x, y) = ((column as f32 + 0.5) * step, (row as f32 + 0.5) * step);
            let edge = horizon + slope * (x - 0.5) + 0.03 * (noise::smooth(x * 8.0, 0.0, lower.seed) - 0.5);
            let ground = match &upper {
                Some(upper) => {
                    let below = smoothstep(edge - step, edge + step, y);
                    mix(upper.colour(x, y), lower.colour(x, y), below)
                }
                None => lower.colour(x, y),
            };
            let distance = ((x - glow_x).powi(2) + (y - glow_y).powi(2)).sqrt();
            pixels.push(scale(ground, 1.1 - 0.25 * distance));
        }
    }
    pixels
}
