//! Filtered convolutions against the definition, whatever is faster: few channels, maps of all sizes.

use proptest::prelude::*;

use super::{super::finish::Finish, Forward, Plan, Weight, tiles::Tiles};

#[derive(Clone, Copy, Debug)]
struct Case {
    images: usize,
    channels: usize,
    outputs: usize,
    map: (usize, usize),
    padding: usize,
    dilation: usize,
}

impl Case {
    fn to(&self) -> (usize, usize) {
        let along = |extent: usize| extent + 2 * self.padding - 2 * self.dilation;
        (along(self.map.0), along(self.map.1))
    }

    fn plan(&self) -> Plan {
        let Self { images, channels, outputs, map, padding, dilation } = *self;
        Plan { tiles: Tiles::new(map, self.to(), padding, dilation), channels, outputs, images }
    }

    /// Calls `visit` with the indices of output, input and weight of every product of the sum.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ((h, w), (rows, columns)) = (self.map, self.to());
        for (image, output) in (0..self.images).flat_map(|image| (0..self.outputs).map(move |o| (image, o))) {
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                for (channel, tap) in (0..self.channels).flat_map(|c| (0..9).map(move |tap| (c, tap))) {
                    let from = |at: usize, tap: usize| (at + tap * self.dilation).checked_sub(self.padding);
                    let (Some(iy), Some(ix)) = (from(y, tap / 3), from(x, tap % 3)) else { continue };
                    if iy < h && ix < w {
                        visit(
                            ((image * self.outputs + output) * rows + y) * columns + x,
                            ((image * self.channels + channel) * h + iy) * w + ix,
                            (output * self.channels + channel) * 9 + tap,
                        );
                    }
                }
            }
        }
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let channels = (1..3usize, 1..40usize, 1..40usize);
    (channels, (1..30usize, 1..30usize), 0..7usize, 1..7usize)
        .prop_map(|((images, channels, outputs), map, padding, dilation)| Case {
            images,
            channels,
            outputs,
            map,
            padding,
            dilation,
        })
        .prop_filter("the kernel must fit", |case| case.map.0.min(case.map.1) + 2 * case.padding > 2 * case.dilation)
}

/// Numbers in [-1, 1) that are the same on every run.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |most, d| if d.is_nan() { d } else { most.max(d) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn outputs_and_gradients_of_weights_are_those_of_the_definition(case in cases(), seed: u64) {
        let (plan, (rows, columns)) = (case.plan(), case.to());
        let x = numbers(case.images * case.channels * case.map.0 * case.map.1, seed);
        let weights = numbers(case.outputs * case.channels * 9, seed ^ 1);
        let dy = numbers(case.images * case.outputs * rows * columns, seed ^ 2);
        let (mut y, mut dweight) = (vec![0.0; dy.len()], vec![0.0; weights.len()]);
        case.products(|out, from, weight| {
            y[out] += x[from] * weights[weight];
            dweight[weight] += x[from] * dy[out];
        });
        let weight = |output: usize, channel: usize, tap: usize| weights[(output * case.channels + channel) * 9 + tap];
        let got = Forward { plan: &plan, inputs: &x, weight, finish: Finish::default() }.run();
        prop_assert!(distance(&y, &got) < 1e-11, "{}", distance(&y, &got));
        let got = Weight { plan: &plan, inputs: &x, gradients: &dy }.run();
        prop_assert!(distance(&dweight, &got) < 1e-10, "{}", distance(&dweight, &got));
    }
}
