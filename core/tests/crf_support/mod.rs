//! Pictures, masks and an unusual executor for the tests of the dense CRF.

use std::thread;

use wseg_core::crf::{Executor, Phase};

/// Reproducible numbers (splitmix64).
pub(crate) struct Lcg(pub(crate) u64);

impl Lcg {
    /// A number in 0..1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-53)
    }

    /// Maps `[classes, pixels]` that sum to 1 at each pixel.
    pub(crate) fn masks(&mut self, classes: usize, pixels: usize) -> Vec<f32> {
        let mut masks: Vec<f64> = (0..classes * pixels).map(|_| 0.01 + self.next()).collect();
        for pixel in 0..pixels {
            let sum: f64 = (0..classes).map(|class| masks[class * pixels + pixel]).sum();
            (0..classes).for_each(|class| masks[class * pixels + pixel] /= sum);
        }
        masks.into_iter().map(|p| p as f32).collect()
    }
}

/// A picture of patches in several colours, with some noise.
pub(crate) fn patches(seed: u64, width: usize, height: usize) -> Vec<u8> {
    let mut random = Lcg(seed);
    let colours: Vec<[f64; 3]> = (0..12).map(|_| std::array::from_fn(|_| 20.0 + 200.0 * random.next())).collect();
    let mut bytes = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let colour = colours[(x / 9 + 5 * (y / 7)) % colours.len()];
            bytes.extend(colour.map(|channel| (channel + 16.0 * random.next()) as u8));
        }
    }
    bytes
}

/// A picture of two halves with a slanted edge, probabilities `[2, pixels]` of them that are often wrong, and the truth.
pub(crate) fn noisy_halves(seed: u64, width: usize, height: usize) -> (Vec<u8>, Vec<f32>, Vec<usize>) {
    let mut random = Lcg(seed);
    let truth: Vec<usize> =
        (0..width * height).map(|i| usize::from(2 * (i % width) + i / width > width + height / 2)).collect();
    let mut bytes = Vec::with_capacity(3 * truth.len());
    let mut object = Vec::with_capacity(truth.len());
    for &side in &truth {
        let colour = if side == 1 { [190.0, 120.0, 60.0] } else { [60.0, 110.0, 150.0] };
        bytes.extend(colour.map(|channel| (channel + 24.0 * random.next()) as u8));
        let right = 0.2 + 0.7 * random.next();
        object.push((if side == 1 { right } else { 1.0 - right }) as f32);
    }
    let probabilities = object.iter().map(|p| 1.0 - p).chain(object.iter().copied()).collect();
    (bytes, probabilities, truth)
}

/// The most likely class of each pixel.
pub(crate) fn argmax(maps: &[f64], classes: usize) -> Vec<usize> {
    let pixels = maps.len() / classes;
    let at = |class: usize, pixel: usize| maps[class * pixels + pixel];
    (0..pixels)
        .map(|pixel| (1..classes).fold(0, |best, class| if at(class, pixel) > at(best, pixel) { class } else { best }))
        .collect()
}

/// The largest absolute value; NaN counts as infinite.
pub(crate) fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values
        .into_iter()
        .fold(0.0, |largest: f64, value| if value.is_nan() { f64::INFINITY } else { largest.max(value.abs()) })
}

/// Splits every phase into pieces of `units` units, runs the last one first and every other on a thread of its own.
pub(crate) struct Odd {
    pub(crate) units: usize,
}

impl Executor for Odd {
    fn run<P: Phase>(&self, phase: &P, out: &mut [P::Item]) {
        let unit = phase.unit();
        assert_eq!(out.len() % unit, 0, "outputs are whole units");
        let pieces: Vec<_> = out.chunks_mut(self.units * unit).enumerate().collect();
        let many = pieces.len() > 16;
        thread::scope(|scope| {
            for (index, piece) in pieces.into_iter().rev() {
                let mut work = move || phase.run(index * self.units * unit, piece);
                // A thread for every piece would be the whole test.
                if index % 2 == 0 && !many {
                    scope.spawn(work);
                } else {
                    work();
                }
            }
        });
    }
}
