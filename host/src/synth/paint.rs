//! How a shape is coloured: a ground colour and an ink that a texture lays over it.

use super::colour::{Rgb, mix, scale, smoothstep};
use super::noise;
use super::shape::{Point, length, minus, turned};

/// Where the ink goes. Lengths are in figure coordinates, angles in radians.
#[derive(Debug, Clone, Copy)]
pub(super) enum Texture {
    /// Ground only.
    Plain,
    /// Stripes across the direction `turn`, `period` apart.
    Stripes { turn: f32, period: f32 },
    /// Discs in a staggered grid.
    Dots { period: f32 },
    /// A chess board.
    Checks { turn: f32, period: f32 },
    /// Rings around a point.
    Rings { at: Point, period: f32 },
    /// Rays from a point.
    Spokes { at: Point, count: u32 },
    /// A spiral around a point.
    Spiral { at: Point, period: f32 },
    /// Soft noise, more or less ink.
    Mottled { period: f32 },
    /// Irregular patches.
    Patches { period: f32, cover: f32 },
    /// Streaks along the direction `turn`.
    Grain { turn: f32, period: f32 },
    /// Mortar between bricks.
    Bricks { period: f32 },
    /// A midrib along x and veins that branch from it.
    Veins { period: f32 },
    /// More ink from the top (-1) to the bottom (1).
    Fade,
}

/// Colours and texture of a part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub(super) ground: Rgb,
    pub(super) ink: Rgb,
    pub(super) texture: Texture,
    /// Seed of the noise.
    pub(super) seed: u32,
}

impl Paint {
    /// Colour at a point of the figure, unlit.
    pub(super) fn colour(&self, p: Point) -> Rgb {
        let blotch = noise::fractal(p[0] * 2.5 + 11.0, p[1] * 2.5 + 17.0, self.seed, 3) - 0.5;
        scale(mix(self.ground, self.ink, self.ink_at(p)), 1.0 + 0.22 * blotch)
    }

    /// Amount of ink, 0 to 1.
    fn ink_at(&self, p: Point) -> f32 {
        match self.texture {
            Texture::Plain => 0.0,
            Texture::Stripes { turn, period } => bands(turned(p, -turn)[0] / period),
            Texture::Dots { period } => {
                let row = (p[1] / period).floor();
                let x = p[0] / period + if row.rem_euclid(2.0) < 0.5 { 0.0 } else { 0.5 };
                let offset = [x - x.floor() - 0.5, p[1] / period - row - 0.5];
                1.0 - smoothstep(0.28, 0.36, length(offset))
            }
            Texture::Checks { turn, period } => {
                let [x, y] = turned(p, -turn);
                ((x / period).floor() + (y / period).floor()).rem_euclid(2.0)
            }
            Texture::Rings { at, period } => bands(length(minus(p, at)) / period),
            Texture::Spokes { at, count } => {
                let [x, y] = minus(p, at);
                bands(y.atan2(x) / std::f32::consts::TAU * count as f32)
            }
            Texture::Spiral { at, period } => {
                let [x, y] = minus(p, at);
                bands(length([x, y]) / period + y.atan2(x) / std::f32::consts::TAU)
            }
            Texture::Mottled { period } => {
                smoothstep(0.3, 0.7, noise::fractal(p[0] / period + 31.0, p[1] / period + 7.0, self.seed, 3))
            }
            Texture::Patches { period, cover } => {
                let level = noise::fractal(p[0] / period + 5.0, p[1] / period + 3.0, self.seed, 2);
                smoothstep(1.0 - cover - 0.03, 1.0 - cover + 0.03, level)
            }
            Texture::Grain { turn, period } => {
                let [x, y] = turned(p, -turn);
                smoothstep(0.35, 0.65, noise::fractal(x / (6.0 * period) + 9.0, y / period + 2.0, self.seed, 2))
            }
            Texture::Bricks { period } => {
                let row = (p[1] / period).floor();
                let column = p[0] / (2.0 * period) + if row.rem_euclid(2.0) < 0.5 { 0.0 } else { 0.5 };
                let (x, y) = (column - column.floor(), p[1] / period - row);
                if x < 0.1 || y < 0.2 { 1.0 } else { 0.0 }
            }
            Texture::Veins { period } => {
                let branch = (p[0] - 0.9 * p[1].abs()) / period;
                let near_branch = (branch - branch.round()).abs() < 0.13;
                if p[1].abs() < 0.035 || near_branch { 1.0 } else { 0.0 }
            }
            Texture::Fade => smoothstep(-1.0, 1.0, p[1]),
        }
    }
}

/// Alternating bands of width 0.5 with slightly soft edges.
fn bands(phase: f32) -> f32 {
    let distance = (phase - phase.floor() - 0.5).abs();
    1.0 - smoothstep(0.21, 0.29, distance)
}
