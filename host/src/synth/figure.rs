//! What each kind looks like: parts in painter's order, topmost first, within about one unit of the origin.

use std::f32::consts::{FRAC_PI_2, TAU};

use rand::Rng;

use super::colour::{Rgb, hsv, scale};
use super::kind::Kind;
use super::paint::{Paint, Texture};
use super::shape::{Form, Point};

/// A shape and its paint.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) form: Form,
    pub(super) paint: Paint,
}

const WHITE: Rgb = [0.96, 0.95, 0.92];
const BLACK: Rgb = [0.08, 0.07, 0.08];

/// A random individual of a kind.
pub(super) fn parts(kind: Kind, rng: &mut impl Rng) -> Vec<Part> {
    let mut figure = Figure { rng, parts: Vec::new() };
    match kind {
        Kind::ZebraFish => figure.zebra_fish(),
        Kind::Ladybird => figure.ladybird(),
        Kind::Sunflower => figure.sunflower(),
        Kind::Bottle => figure.bottle(),
        Kind::Wagon => figure.wagon(),
        Kind::Mushroom => figure.mushroom(),
        Kind::House => figure.house(),
        Kind::BerryLeaf => figure.berry_leaf(),
        Kind::Doughnut => figure.doughnut(),
        Kind::Cow => figure.cow(),
        Kind::Snail => figure.snail(),
        Kind::Starfish => figure.starfish(),
    }
    figure.parts
}

struct Figure<'r, R> {
    rng: &'r mut R,
    parts: Vec<Part>,
}

impl<R: Rng> Figure<'_, R> {
    /// `middle` give or take `spread`.
    fn about(&mut self, middle: f32, spread: f32) -> f32 {
        self.rng.random_range(middle - spread..=middle + spread)
    }

    /// A colour of a family: hue, saturation and value vary from one individual to the next.
    fn shade_of(&mut self, hue: f32, saturation: f32, value: f32) -> Rgb {
        hsv(self.about(hue, 8.0), self.about(saturation, 0.08).min(1.0), self.about(value, 0.08).min(1.0))
    }

    fn add(&mut self, form: Form, ground: Rgb, ink: Rgb, texture: Texture) {
        let seed = self.rng.random();
        self.parts.push(Part { form, paint: Paint { ground, ink, texture, seed } });
    }

    fn plain(&mut self, form: Form, colour: Rgb) {
        self.add(form, colour, colour, Texture::Plain);
    }

    fn eye(&mut self, at: Point, radius: f32) {
        self.plain(Form::disc([at[0] + 0.2 * radius, at[1]], 0.5 * radius), BLACK);
        self.plain(Form::disc(at, radius), WHITE);
    }

    fn zebra_fish(&mut self) {
        let teal = self.shade_of(183.0, 0.75, 0.66);
        let belly = scale(teal, 1.3);
        let height = self.about(0.45, 0.07);
        let body = Form::Ellipse { at: [0.1, 0.0], radii: [0.78, height], turn: 0.0 };
        self.eye([0.62, -0.1], 0.1);
        let period = self.about(0.21, 0.02);
        self.add(body.clone().beyond([1.0, 0.0], 0.33), WHITE, BLACK, Texture::Stripes { turn: 0.25, period });
        self.add(body, teal, belly, Texture::Fade);
        let fin = scale(teal, 0.8);
        let top = vec![[-0.4, -0.25], [-0.15, -0.72], [0.3, -0.3]];
        let tail = vec![[-0.55, 0.0], [-1.0, -0.45], [-0.86, 0.0], [-1.0, 0.45]];
        let grain = Texture::Grain { turn: 2.1, period: 0.09 };
        self.add(Form::Polygon { points: top, round: 0.04 }, fin, teal, grain);
        self.add(Form::Polygon { points: tail, round: 0.05 }, fin, belly, Texture::Grain { turn: 0.0, period: 0.12 });
    }

    fn ladybird(&mut self) {
        let red = self.shade_of(2.0, 0.86, 0.78);
        let dark = scale(red, 0.72);
        self.add(Form::disc([0.68, 0.0], 0.32), BLACK, WHITE, Texture::Dots { period: 0.24 });
        for (x, y) in [(0.3, 0.25), (0.3, -0.25), (0.02, 0.0)] {
            let radius = self.about(0.11, 0.02);
            self.plain(Form::disc([x, y], radius), BLACK);
        }
        let width = self.about(0.6, 0.06);
        self.add(
            Form::Ellipse { at: [-0.12, 0.0], radii: [0.8, width], turn: 0.0 },
            red,
            dark,
            Texture::Mottled { period: 0.5 },
        );
        for x in [0.4, -0.1, -0.55] {
            for side in [-1.0, 1.0] {
                let reach = self.about(0.12, 0.1);
                let radii = [0.08, 0.06];
                self.plain(Form::Capsule { from: [x, 0.3 * side], to: [x + reach, 0.86 * side], radii }, BLACK);
            }
        }
    }

    fn sunflower(&mut self) {
        let yellow = self.shade_of(49.0, 0.88, 0.93);
        let amber = self.shade_of(38.0, 0.9, 0.82);
        let radius = self.about(0.36, 0.04);
        let turn = self.about(0.0, 1.0);
        self.add(
            Form::disc([0.0, 0.0], radius),
            [0.22, 0.11, 0.06],
            [0.72, 0.45, 0.15],
            Texture::Checks { turn, period: 0.15 },
        );
        let count = self.rng.random_range(8..=11);
        let petals = Form::Petals { at: [0.0, 0.0], inner: 0.5, outer: 0.98, count, phase: 0.0, sharpness: 0.7 };
        self.add(petals, yellow, amber, Texture::Rings { at: [0.0, 0.0], period: 1.3 });
    }

    fn bottle(&mut self) {
        let green = self.shade_of(138.0, 0.78, 0.5);
        let light = scale(green, 1.4);
        let width = self.about(0.36, 0.04);
        let label = self.about(0.33, 0.12);
        let red = self.shade_of(8.0, 0.85, 0.75);
        let stripes = Texture::Stripes { turn: FRAC_PI_2, period: 0.2 };
        self.add(Form::Slab { at: [0.0, label], half: [width, 0.3], round: 0.02 }, WHITE, red, stripes);
        self.plain(Form::Slab { at: [0.0, -0.94], half: [0.17, 0.09], round: 0.03 }, [0.8, 0.65, 0.25]);
        let glass = Texture::Stripes { turn: 0.0, period: 2.2 * width };
        self.add(Form::Slab { at: [0.0, 0.25], half: [width, 0.75], round: 0.16 }, green, light, glass);
        self.add(Form::Slab { at: [0.0, -0.6], half: [0.14, 0.34], round: 0.04 }, green, light, glass);
        let shoulder = vec![[-width + 0.1, -0.4], [width - 0.1, -0.4], [0.06, -0.62], [-0.06, -0.62]];
        self.add(Form::Polygon { points: shoulder, round: 0.09 }, green, light, glass);
    }

    fn wagon(&mut self) {
        let violet = self.shade_of(272.0, 0.62, 0.62);
        let dark = scale(violet, 0.75);
        let radius = self.about(0.33, 0.03);
        for x in [-0.5, 0.5] {
            let at = [x, 0.42];
            self.plain(Form::disc(at, 0.09), [0.85, 0.2, 0.15]);
            self.add(Form::disc(at, radius - 0.06), WHITE, BLACK, Texture::Spokes { at, count: 6 });
            self.plain(Form::disc(at, radius), BLACK);
        }
        let height = self.about(0.36, 0.06);
        self.plain(Form::Slab { at: [0.0, 0.05 - 2.0 * height], half: [0.94, 0.07], round: 0.05 }, dark);
        self.add(
            Form::Slab { at: [0.0, 0.1 - height], half: [0.86, height + 0.08], round: 0.08 },
            violet,
            dark,
            Texture::Mottled { period: 0.6 },
        );
        self.plain(Form::Capsule { from: [0.7, 0.15], to: [1.08, -0.12], radii: [0.05, 0.05] }, dark);
    }

    fn mushroom(&mut self) {
        let pink = self.shade_of(330.0, 0.72, 0.8);
        let cream = self.shade_of(38.0, 0.3, 0.9);
        let droop = self.about(0.02, 0.08);
        let cap = Form::Ellipse { at: [0.0, -0.02], radii: [0.94, 0.86], turn: 0.0 }.beyond([0.0, -1.0], -droop);
        let period = self.about(0.4, 0.04);
        self.add(cap, pink, WHITE, Texture::Dots { period });
        let gills = Form::Slab { at: [0.0, droop], half: [0.66, 0.1], round: 0.1 };
        self.add(gills, scale(cream, 0.72), scale(cream, 0.55), Texture::Stripes { turn: 0.0, period: 0.12 });
        let lean = self.about(0.0, 0.12);
        let thickness = self.about(0.3, 0.05);
        self.add(
            Form::Capsule { from: [0.0, 0.0], to: [lean, 0.66], radii: [thickness - 0.05, thickness + 0.04] },
            cream,
            scale(cream, 0.8),
            Texture::Grain { turn: FRAC_PI_2, period: 0.1 },
        );
    }

    fn house(&mut self) {
        let brick = self.shade_of(22.0, 0.75, 0.76);
        let dark = self.shade_of(215.0, 0.3, 0.25);
        let ridge = self.about(0.0, 0.3);
        let roof = vec![[-0.95, -0.2], [ridge - 0.1, -0.88], [ridge + 0.1, -0.88], [0.95, -0.2]];
        self.add(Form::Polygon { points: roof, round: 0.04 }, WHITE, dark, Texture::Checks { turn: 0.0, period: 0.19 });
        let door = self.about(-0.1, 0.35);
        self.plain(Form::Slab { at: [door, 0.55], half: [0.16, 0.32], round: 0.02 }, dark);
        let walls = Form::Slab { at: [0.0, 0.3], half: [0.76, 0.58], round: 0.02 };
        self.add(walls, brick, scale(brick, 0.8), Texture::Bricks { period: 0.2 });
    }

    fn berry_leaf(&mut self) {
        let lime = self.shade_of(82.0, 0.75, 0.72);
        let blue = self.shade_of(240.0, 0.75, 0.5);
        for at in [[-0.72, 0.2], [-0.7, -0.22], [-0.45, 0.02]] {
            self.plain(Form::disc([at[0] - 0.06, at[1] - 0.07], 0.07), WHITE);
            let radius = self.about(0.23, 0.02);
            self.plain(Form::disc(at, radius), blue);
        }
        let width = self.about(0.46, 0.06);
        let upper = Form::Ellipse { at: [0.15, 0.0], radii: [0.84, width], turn: 0.0 };
        self.add(upper, lime, scale(lime, 0.72), Texture::Veins { period: 0.3 });
        self.add(
            Form::Polygon { points: vec![[0.5, -0.34], [1.06, 0.0], [0.5, 0.34]], round: 0.02 },
            lime,
            scale(lime, 0.72),
            Texture::Veins { period: 0.3 },
        );
    }

    fn doughnut(&mut self) {
        let dough = self.shade_of(28.0, 0.7, 0.5);
        let icing = self.shade_of(160.0, 0.3, 0.92);
        let cherry = self.shade_of(350.0, 0.8, 0.75);
        let width = self.about(0.34, 0.03);
        let band = Form::Ring { at: [0.0, 0.0], radius: 0.6, half_width: width - 0.08 };
        let cut = self.about(0.0, 0.2);
        self.add(band.beyond([0.0, -1.0], cut), icing, cherry, Texture::Dots { period: 0.25 });
        let ring = Form::Ring { at: [0.0, 0.0], radius: 0.6, half_width: width };
        self.add(ring, dough, scale(dough, 1.25), Texture::Mottled { period: 0.4 });
    }

    fn cow(&mut self) {
        let hide = self.shade_of(40.0, 0.1, 0.92);
        let pink = self.shade_of(350.0, 0.4, 0.85);
        self.plain(Form::Ellipse { at: [0.86, -0.06], radii: [0.2, 0.15], turn: 0.3 }, pink);
        let patches = Texture::Patches { period: 0.22, cover: 0.5 };
        self.add(Form::Ellipse { at: [0.68, -0.24], radii: [0.3, 0.26], turn: 0.5 }, WHITE, BLACK, patches);
        for x in [0.5, 0.82] {
            let horn = Form::Capsule { from: [x, -0.42], to: [x + 0.04, -0.66], radii: [0.06, 0.03] };
            self.plain(horn, [0.75, 0.65, 0.4]);
        }
        let height = self.about(0.36, 0.04);
        let soft = scale(hide, 0.82);
        let body = Form::Slab { at: [-0.12, 0.02], half: [0.72, height], round: 0.28 };
        self.add(body, hide, soft, Texture::Mottled { period: 0.5 });
        for x in [-0.7, -0.42, 0.18, 0.44] {
            let step = self.about(0.0, 0.08);
            let leg = Form::Capsule { from: [x, 0.2], to: [x + step, 0.82], radii: [0.13, 0.1] };
            self.plain(leg, soft);
        }
    }

    fn snail(&mut self) {
        let slate = self.shade_of(215.0, 0.38, 0.5);
        let brown = self.shade_of(18.0, 0.7, 0.4);
        let radius = self.about(0.5, 0.05);
        let at = [-0.18, -0.2];
        self.add(Form::disc(at, radius), [0.95, 0.85, 0.6], brown, Texture::Spiral { at, period: 0.24 });
        let pale = scale(slate, 1.2);
        let grain = Texture::Mottled { period: 0.25 };
        let foot = Form::Capsule { from: [-0.85, 0.42], to: [0.7, 0.4], radii: [0.1, 0.24] };
        self.add(foot, slate, pale, grain);
        self.add(Form::Capsule { from: [0.68, 0.4], to: [0.78, -0.1], radii: [0.24, 0.17] }, slate, pale, grain);
        for x in [0.68, 0.9] {
            self.plain(Form::Capsule { from: [0.78, -0.1], to: [x, -0.5], radii: [0.05, 0.05] }, slate);
        }
    }

    fn starfish(&mut self) {
        let blue = self.shade_of(226.0, 0.75, 0.72);
        let gold = self.shade_of(44.0, 0.85, 0.92);
        self.add(Form::disc([0.0, 0.0], 0.34), gold, BLACK, Texture::Rings { at: [0.0, 0.0], period: 0.17 });
        let phase = self.about(0.0, TAU / 2.0);
        let inner = self.about(0.4, 0.04);
        let star = Form::Petals { at: [0.0, 0.0], inner, outer: 1.02, count: 5, phase, sharpness: 1.4 };
        self.add(star, blue, scale(blue, 1.25), Texture::Mottled { period: 0.3 });
    }
}
