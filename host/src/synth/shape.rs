//! Plane shapes by signed distance: negative inside, about the distance to the edge outside.

/// A point of a figure: x to the right, y down.
pub(super) type Point = [f32; 2];

/// A shape in a figure's coordinates.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// Ellipse around `at`, turned by `turn` radians.
    Ellipse { at: Point, radii: Point, turn: f32 },
    /// Line with round ends whose thickness goes from one radius to the other.
    Capsule { from: Point, to: Point, radii: Point },
    /// Rectangle with rounded corners.
    Slab { at: Point, half: Point, round: f32 },
    /// Polygon with rounded corners.
    Polygon { points: Vec<Point>, round: f32 },
    /// Petals or rays around `at`, between an inner and an outer radius; above 1, `sharpness` makes them slimmer.
    Petals { at: Point, inner: f32, outer: f32, count: u32, phase: f32, sharpness: f32 },
    /// Ring around `at`.
    Ring { at: Point, radius: f32, half_width: f32 },
    /// The part of a shape where `normal . p > offset`.
    Cut { form: Box<Form>, normal: Point, offset: f32 },
}

impl Form {
    /// A disc.
    pub(super) fn disc(at: Point, radius: f32) -> Self {
        Self::Ellipse { at, radii: [radius, radius], turn: 0.0 }
    }

    /// This shape where `normal . p > offset`; `normal` has length 1.
    pub(super) fn beyond(self, normal: Point, offset: f32) -> Self {
        Self::Cut { form: Box::new(self), normal, offset }
    }

    /// Signed distance of `p` to the edge, negative inside.
    pub(super) fn distance(&self, p: Point) -> f32 {
        match self {
            Self::Ellipse { at, radii, turn } => {
                let [x, y] = turned(minus(p, *at), -turn);
                let scaled = length([x / radii[0], y / radii[1]]);
                let slope = length([x / (radii[0] * radii[0]), y / (radii[1] * radii[1])]);
                if slope < 1e-6 { -radii[0].min(radii[1]) } else { scaled * (scaled - 1.0) / slope }
            }
            Self::Capsule { from, to, radii } => {
                let (offset, axis) = (minus(p, *from), minus(*to, *from));
                let along = (dot(offset, axis) / dot(axis, axis).max(1e-12)).clamp(0.0, 1.0);
                let nearest = [axis[0] * along, axis[1] * along];
                length(minus(offset, nearest)) - (radii[0] + (radii[1] - radii[0]) * along)
            }
            Self::Slab { at, half, round } => {
                let [x, y] = minus(p, *at);
                let (x, y) = (x.abs() - half[0] + round, y.abs() - half[1] + round);
                length([x.max(0.0), y.max(0.0)]) + x.max(y).min(0.0) - round
            }
            Self::Polygon { points, round } => polygon(points, p) - round,
            Self::Petals { at, inner, outer, count, phase, sharpness } => {
                let [x, y] = minus(p, *at);
                let angle = y.atan2(x) + phase;
                let bump = (0.5 + 0.5 * (angle * *count as f32).cos()).powf(*sharpness);
                0.7 * (length([x, y]) - (inner + (outer - inner) * bump))
            }
            Self::Ring { at, radius, half_width } => (length(minus(p, *at)) - radius).abs() - half_width,
            Self::Cut { form, normal, offset } => form.distance(p).max(offset - dot(*normal, p)),
        }
    }
}

/// Exact distance to a polygon: the nearest edge, signed by how often a ray crosses the outline.
fn polygon(points: &[Point], p: Point) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    for (index, &a) in points.iter().enumerate() {
        let b = points[(index + 1) % points.len()];
        let (edge, offset) = (minus(b, a), minus(p, a));
        let along = (dot(offset, edge) / dot(edge, edge).max(1e-12)).clamp(0.0, 1.0);
        nearest = nearest.min(length(minus(offset, [edge[0] * along, edge[1] * along])));
        if (a[1] > p[1]) != (b[1] > p[1]) && p[0] < edge[0] * (p[1] - a[1]) / edge[1] + a[0] {
            inside = !inside;
        }
    }
    if inside { -nearest } else { nearest }
}

pub(super) fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

pub(super) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

pub(super) fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

/// `p` turned by `angle` radians.
pub(super) fn turned(p: Point, angle: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    [cos * p[0] - sin * p[1], sin * p[0] + cos * p[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_known_points_are_exact() {
        let square = vec![[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]];
        let slab = Form::Slab { at: [0.0, 0.0], half: [1.0, 1.0], round: 0.0 };
        let polygon = Form::Polygon { points: square, round: 0.0 };
        for (p, expected) in [([0.0, 0.0], -1.0), ([3.0, 0.0], 2.0), ([4.0, 5.0], 5.0), ([0.5, 0.0], -0.5)] {
            assert!((slab.distance(p) - expected).abs() < 1e-5, "slab {p:?}");
            assert!((polygon.distance(p) - expected).abs() < 1e-5, "polygon {p:?}");
        }
        assert!((Form::disc([1.0, 0.0], 0.5).distance([3.0, 0.0]) - 1.5).abs() < 1e-5);
        let half_disc = Form::disc([0.0, 0.0], 1.0).beyond([1.0, 0.0], 0.0);
        assert!(half_disc.distance([0.5, 0.0]) < 0.0 && half_disc.distance([-0.5, 0.0]) > 0.0);
    }
}
