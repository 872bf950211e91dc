//! Objects in the plane of the picture: figures posed, lit and turned into pixels.

use rand::Rng;

use super::colour::{Rgb, scale, smoothstep};
use super::figure::Part;
use super::shape::{Point, dot, length, minus, turned};

/// Sample points of a pixel along each side.
const SUPERSAMPLING: usize = 3;
/// Figures lie within this distance of their origin.
const REACH: f32 = 1.3;

/// Where a figure stands in the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    /// Its origin, in pixels.
    pub(super) at: Point,
    /// Pixels to one unit of the figure.
    pub(super) scale: f32,
    /// Turned by so many radians.
    pub(super) turn: f32,
    /// Left and right exchanged.
    pub(super) mirrored: bool,
    /// Wider (above 1) or slimmer.
    pub(super) stretch: f32,
    /// Bent to one side.
    pub(super) bend: f32,
}

impl Pose {
    /// A random individual's proportions at a place, of a size, within `tilt` of upright.
    pub(super) fn random(at: Point, scale: f32, tilt: f32, rng: &mut impl Rng) -> Self {
        Self {
            at,
            scale,
            turn: rng.random_range(-tilt..=tilt),
            mirrored: rng.random(),
            stretch: rng.random_range(0.87..=1.15),
            bend: rng.random_range(-0.14..=0.14),
        }
    }

    /// The figure's point that is seen at `pixel`.
    fn to_figure(self, pixel: Point) -> Point {
        let [x, y] = turned(minus(pixel, self.at), -self.turn);
        let (x, y) = (x / (self.scale * self.stretch), y * self.stretch / self.scale);
        let x = if self.mirrored { -x } else { x };
        [x + self.bend * y * y, y - self.bend * x * x]
    }
}

/// An object as pixels: a rectangle, perhaps beyond the picture's edges, of colours and how much of a pixel is covered.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Colour times coverage.
    pub(super) colours: Vec<Rgb>,
    /// 0 to 1.
    pub(super) coverage: Vec<f32>,
}

impl Layer {
    /// Pixels covered, including those beyond the picture.
    pub(super) fn area(&self) -> f32 {
        self.coverage.iter().sum()
    }

    /// Calls `visit(position in a size x size picture, position in the layer)` for the pixels within the picture.
    pub(super) fn for_each_inside(&self, size: usize, mut visit: impl FnMut(usize, usize)) {
        for row in 0..self.height {
            let y = self.top + row as i32;
            if y < 0 || y >= size as i32 {
                continue;
            }
            for column in 0..self.width {
                let x = self.left + column as i32;
                if x >= 0 && x < size as i32 {
                    visit(y as usize * size + x as usize, row * self.width + column);
                }
            }
        }
    }
}

/// Draws a figure lit from the direction `light` (in the picture's plane, length 1).
pub(super) fn draw(parts: &[Part], pose: Pose, light: Point) -> Layer {
    let reach = pose.scale * REACH * pose.stretch.max(1.0 / pose.stretch);
    let left = (pose.at[0] - reach).floor() as i32;
    let top = (pose.at[1] - reach).floor() as i32;
    let side = (2.0 * reach).ceil() as usize + 1;
    // Light in the figure's own directions.
    let mut local_light = turned(light, -pose.turn);
    if pose.mirrored {
        local_light[0] = -local_light[0];
    }
    let mut layer = Layer {
        left,
        top,
        width: side,
        height: side,
        colours: vec![[0.0; 3]; side * side],
        coverage: vec![0.0; side * side],
    };
    let share = 1.0 / (SUPERSAMPLING * SUPERSAMPLING) as f32;
    for row in 0..side {
        for column in 0..side {
            let position = row * side + column;
            for sample in 0..SUPERSAMPLING * SUPERSAMPLING {
                let offset = |index: usize| (index as f32 + 0.5) / SUPERSAMPLING as f32;
                let x = left as f32 + column as f32 + offset(sample % SUPERSAMPLING);
                let y = top as f32 + row as f32 + offset(sample / SUPERSAMPLING);
                if let Some(colour) = seen_at(parts, pose.to_figure([x, y]), local_light) {
                    layer.coverage[position] += share;
                    for (sum, channel) in layer.colours[position].iter_mut().zip(colour) {
                        *sum += share * channel;
                    }
                }
            }
        }
    }
    layer
}

/// Lit colour of the topmost part at a point of the figure, if there is one.
fn seen_at(parts: &[Part], p: Point, light: Point) -> Option<Rgb> {
    if dot(p, p) > REACH * REACH {
        return None;
    }
    let (part, depth) = parts.iter().map(|part| (part, -part.form.distance(p))).find(|&(_, depth)| depth > 0.0)?;
    // The surface falls off towards the part's edge, so there it faces outwards, against the gradient of the depth.
    let step = 0.01;
    let slope = [
        (-part.form.distance([p[0] + step, p[1]]) - depth) / step,
        (-part.form.distance([p[0], p[1] + step]) - depth) / step,
    ];
    let steepness = length(slope).max(1e-3);
    let rim = 1.0 - smoothstep(0.0, 0.22, depth);
    let facing = -dot(slope, light) / steepness;
    let shade = 1.0 + 0.3 * rim * facing + 0.12 * dot(p, light) - 0.1 * rim;
    Some(scale(part.paint.colour(p), shade))
}
