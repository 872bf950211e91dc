//! Weights made from their names, so that golden files of networks hold none: `fixtures/README.md`, "Weights".

use wseg_cuda_runner::nn::Fill;

use crate::golden::{Golden, GoldenError};

/// Largest factor that a file may ask for.
const MAX_GAIN: f64 = 1e3;

/// The reference holds the CAM baseline's classifier under several names; the last one filled is what remains.
const SHARED: (&str, &str) = ("fc8.weight", "mask_branch.0.weight");

/// Weights of every network, by the name and the shape of each parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NamedWeights {
    /// Another seed, other weights.
    pub seed: u32,
    /// The variance of a convolution's weights, times their fan-in.
    pub gain: f64,
}

impl NamedWeights {
    /// The weights that a file asks for.
    ///
    /// # Errors
    /// [`GoldenError`] if `weight_seed` or `gain` is missing or out of range.
    pub fn of(golden: &Golden) -> Result<Self, GoldenError> {
        let seed = golden.integer("weight_seed", u32::MAX as usize)?;
        let gain = golden.number("gain")?;
        if !(0.0..=MAX_GAIN).contains(&gain) {
            return Err(golden.refuse(format!("parameter `gain` is not a number from 0 to {MAX_GAIN}")));
        }
        Ok(Self { seed: u32::try_from(seed).unwrap_or(u32::MAX), gain })
    }

    /// Mean and largest deviation of the parameter `name`.
    fn range(&self, name: &str, extents: &[usize]) -> (f64, f64) {
        match extents {
            _ if name.ends_with("running_var") => (1.0, 0.5),
            _ if name.ends_with("running_mean") => (0.0, 0.1),
            [_, channels, kernel @ ..] if kernel.len() == 2 => {
                let fan_in = (channels * kernel.iter().product::<usize>()) as f64;
                (0.0, (3.0 * self.gain / fan_in).sqrt())
            }
            _ if name.ends_with(".weight") => (1.0, 0.2),
            _ => (0.0, 0.1),
        }
    }
}

impl Fill for NamedWeights {
    fn values(&self, name: &str, extents: &[usize]) -> Vec<f32> {
        let name = if name == SHARED.0 { SHARED.1 } else { name };
        let (mean, deviation) = self.range(name, extents);
        let start = fnv1a(name).wrapping_add(u64::from(self.seed) << 32);
        let numbers = (0..extents.iter().product::<usize>() as u64).map(|index| uniform(start.wrapping_add(index)));
        numbers.map(|number| (mean + deviation * number) as f32).collect()
    }
}

/// The 64-bit FNV-1a hash.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A number in [-1, 1): one step of splitmix64 from `state`.
fn uniform(state: u64) -> f64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_and_generator_are_the_published_ones() {
        // The hash of the empty text is its offset basis; "a" and "foobar" are from the authors' test vectors.
        assert_eq!(fnv1a(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a("a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_F739_67E8);
        // The first output of splitmix64 from state 0 is 0xE220A8397B1DCDAF.
        let first = (0xE220_A839_7B1D_CDAF_u64 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        assert_eq!(uniform(0), first);
    }

    #[test]
    fn every_kind_of_parameter_stays_in_its_range() {
        let weights = NamedWeights { seed: 11, gain: 2.0 };
        for (name, extents, mean, deviation) in [
            ("layer1.0.conv1.weight", &[4, 2, 3, 3][..], 0.0, (6.0_f64 / 18.0).sqrt()),
            ("layer1.0.bn1.weight", &[64], 1.0, 0.2),
            ("layer1.0.bn1.bias", &[64], 0.0, 0.1),
            ("layer1.0.bn1.running_mean", &[64], 0.0, 0.1),
            ("layer1.0.bn1.running_var", &[64], 1.0, 0.5),
        ] {
            let values = weights.values(name, extents);
            assert_eq!(values.len(), extents.iter().product::<usize>());
            let distances: Vec<f64> = values.iter().map(|value| (f64::from(*value) - mean).abs()).collect();
            let largest = distances.iter().fold(0.0, |a, b| f64::max(a, *b));
            assert!(largest <= deviation + 1e-7 && largest > 0.8 * deviation, "{name}: {largest} of {deviation}");
        }
        assert_ne!(weights.values("a.weight", &[4]), weights.values("b.weight", &[4]));
        assert_ne!(weights.values("a.weight", &[4]), NamedWeights { seed: 12, ..weights }.values("a.weight", &[4]));
    }
}
