//! What a network's small, unsure map looks like, made from the truth.

use wseg::{palette::VOID, picture::LabelMap, refine::Masks};

/// Side of the squares of pixels that a coarse mask tells apart.
const CELL: usize = 8;

/// How much of the truth is lost after it was averaged over squares of [`CELL`] pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Degradation {
    /// Standard deviation of the blur, in squares.
    pub(crate) blur: f32,
    /// Standard deviation of the noise on the logarithm of each probability, as networks have it on their scores.
    pub(crate) noise: f32,
    /// The probability of a class that the truth does not have.
    pub(crate) floor: f32,
}

impl Degradation {
    /// Probabilities at an eighth of the truth's size, of the classes in it and the background. Same seed, same noise.
    pub(crate) fn apply(self, truth: &LabelMap, seed: u64) -> Masks {
        let present = truth.present();
        let labels: Vec<u8> = (0..VOID).filter(|&label| label == 0 || present[usize::from(label)]).collect();
        let (width, height) = (truth.width.div_ceil(CELL), truth.height.div_ceil(CELL));
        let mut values = shares(truth, &labels, width, height);
        let mut noise = Noise(seed);
        for map in values.chunks_exact_mut(width * height) {
            blur(map, width, self.blur);
            map.iter_mut().for_each(|value| *value = value.max(self.floor) * (self.noise * noise.normal()).exp());
        }
        normalise(&mut values, width * height);
        Masks { labels, width, height, values, from_labels: false }
    }
}

/// The share of each square that each label has; pixels of no class count for all.
fn shares(truth: &LabelMap, labels: &[u8], width: usize, height: usize) -> Vec<f32> {
    let mut values = vec![0.0; labels.len() * width * height];
    let even = 1.0 / labels.len() as f32;
    for (pixel, label) in truth.labels.iter().enumerate() {
        let square = pixel / truth.width / CELL * width + pixel % truth.width / CELL;
        for (own, map) in labels.iter().zip(values.chunks_exact_mut(width * height)) {
            map[square] += if *label == VOID { even } else { f32::from(u8::from(label == own)) };
        }
    }
    normalise(&mut values, width * height);
    values
}

/// Makes the probabilities of every pixel sum to 1.
fn normalise(values: &mut [f32], pixels: usize) {
    let mut sums = vec![0.0; pixels];
    for map in values.chunks_exact(pixels) {
        sums.iter_mut().zip(map).for_each(|(sum, value)| *sum += value);
    }
    for map in values.chunks_exact_mut(pixels) {
        map.iter_mut().zip(&sums).for_each(|(value, sum)| *value /= sum);
    }
}

/// Gaussian blur, cut off at three deviations and at the border.
fn blur(map: &mut [f32], width: usize, deviation: f32) {
    let (reach, height) = ((3.0 * deviation).ceil() as usize, map.len() / width);
    let weight = |offset: usize| (-0.5 * (offset as f32 / deviation).powi(2)).exp();
    for (length, stride) in [(width, 1), (height, width)] {
        let source = map.to_vec();
        for (index, value) in map.iter_mut().enumerate() {
            let at = index / stride % length;
            let (mut sum, mut total) = (0.0, 0.0);
            for other in at.saturating_sub(reach)..(at + reach + 1).min(length) {
                let weight = weight(at.abs_diff(other));
                sum += weight * source[index - at * stride + other * stride];
                total += weight;
            }
            *value = sum / total;
        }
    }
}

/// A linear congruential generator (Knuth's MMIX).
struct Noise(u64);

impl Noise {
    /// In 0..1.
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// Normal to a good approximation: the sum of twelve uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
