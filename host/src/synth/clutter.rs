//! Things without a label: pebbles, twigs and scraps in muted colours, below the objects.

use std::f32::consts::PI;

use rand::Rng;

use super::colour::{hsv, scale};
use super::figure::Part;
use super::object::{Layer, Pose, draw};
use super::paint::{Paint, Texture};
use super::shape::{Form, Point};

/// A random piece of clutter somewhere in a picture of `size` pixels.
pub(super) fn piece(size: usize, light: Point, rng: &mut impl Rng) -> Layer {
    let side = size as f32;
    let at = [rng.random_range(0.0..side), rng.random_range(0.0..side)];
    let ground = hsv(rng.random_range(0.0..360.0), rng.random_range(0.03..=0.28), rng.random_range(0.2..=0.85));
    let ink = scale(ground, rng.random_range(0.6..=0.85));
    let (form, texture, reach) = match rng.random_range(0..4) {
        0 => {
            let radii = [rng.random_range(0.6..=1.0), rng.random_range(0.5..=0.9)];
            (Form::Ellipse { at: [0.0, 0.0], radii, turn: 0.0 }, Texture::Mottled { period: 0.5 }, 0.045)
        }
        1 => {
            let radius = rng.random_range(0.04..=0.09);
            let form = Form::Capsule { from: [-1.0, 0.0], to: [1.0, 0.0], radii: [radius, radius * 0.6] };
            (form, Texture::Plain, 0.16)
        }
        2 => {
            let half = [rng.random_range(0.5..=0.95), rng.random_range(0.4..=0.9)];
            (Form::Slab { at: [0.0, 0.0], half, round: 0.05 }, Texture::Mottled { period: 0.7 }, 0.07)
        }
        _ => {
            let points = (0..5).map(|corner| {
                let angle = corner as f32 * 2.0 * PI / 5.0;
                let radius = rng.random_range(0.5..=1.0);
                [radius * angle.cos(), radius * angle.sin()]
            });
            let points = points.collect();
            (Form::Polygon { points, round: 0.05 }, Texture::Stripes { turn: 0.6, period: 0.7 }, 0.06)
        }
    };
    let scale = side * reach * rng.random_range(0.6..=1.3);
    let pose = Pose::random(at, scale, PI, rng);
    let paint = Paint { ground, ink, texture, seed: rng.random() };
    draw(&[Part { form, paint }], pose, light)
}
