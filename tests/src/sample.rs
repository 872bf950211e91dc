//! Reproducible numbers for tests: the same seed gives the same values everywhere.

use wseg_core::Shape;

/// A stream of numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Sample {
    state: u64,
}

impl Sample {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `low..high`, exactly representable in f32, so that f32 backends start from the same values.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let share = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        f64::from((low + share * (high - low)) as f32)
    }

    /// An integer in `0..below`; 0 if `below` is.
    pub fn below(&mut self, below: usize) -> usize {
        (self.bits() % below.max(1) as u64) as usize
    }

    /// As many numbers in `low..high` as a tensor of `shape` has elements.
    pub fn values(&mut self, shape: Shape, low: f64, high: f64) -> Vec<f64> {
        (0..shape.count()).map(|_| self.uniform(low, high)).collect()
    }

    /// Image labels `[n, c, 1, 1]`, each class present with probability one half.
    pub fn labels(&mut self, n: usize, c: usize) -> Vec<f64> {
        (0..n * c).map(|_| self.below(2) as f64).collect()
    }

    /// Pseudo labels of `shape`: at each pixel one channel is 1 or, where the draw says so, none is.
    pub fn pseudo(&mut self, shape: Shape) -> Vec<f64> {
        let plane = shape.h * shape.w;
        let mut values = vec![0.0; shape.count()];
        for sample in 0..shape.n {
            for pixel in 0..plane {
                let class = self.below(shape.c + 1);
                if class < shape.c {
                    values[(sample * shape.c + class) * plane + pixel] = 1.0;
                }
            }
        }
        values
    }

    /// Masks of `shape`: every pixel's channels sum to 1.
    pub fn masks(&mut self, shape: Shape) -> Vec<f64> {
        let plane = shape.h * shape.w;
        let mut values = self.values(shape, 0.01, 1.0);
        for sample in values.chunks_exact_mut((shape.c * plane).max(1)) {
            for pixel in 0..plane {
                let sum: f64 = sample.iter().skip(pixel).step_by(plane).sum();
                for value in sample.iter_mut().skip(pixel).step_by(plane) {
                    *value /= sum;
                }
            }
        }
        values
    }
}
