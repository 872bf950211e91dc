//! A fingerprint of the training data: a training goes on with the data it began with, or not at all.

use crate::{
    Error, Result,
    data::{Dataset, GivenMask, ImageLabels, Sample, reason},
};

/// The fingerprint of a training split, 32 hexadecimal digits. It covers the class names and, in the order of the
/// split, each photo's name, width, height, number of bytes and image labels, and the bytes of its mask, if masks supervise
/// (else `masks` is empty). It does not cover what the photos show, nor where they lie. It tells accidents, not attacks
/// (FNV-1a, 128 bits).
///
/// # Errors
/// A photo or a mask is not there any more.
pub fn fingerprint(data: &Dataset, samples: &[Sample], present: &[ImageLabels], masks: &[GivenMask]) -> Result<String> {
    let mut hash = Hash::default();
    for name in data.classes().names() {
        hash.text(name);
    }
    hash.number(samples.len() as u64);
    for (sample, present) in samples.iter().zip(present) {
        let about = std::fs::metadata(&sample.photo).map_err(|error| Error::input(&sample.photo, reason(&error)))?;
        hash.text(&sample.name);
        hash.number(u64::from(sample.size.0));
        hash.number(u64::from(sample.size.1));
        hash.number(about.len());
        present.iter().for_each(|&shown| hash.number(u64::from(shown)));
    }
    for mask in masks {
        let bytes = std::fs::read(&mask.path).map_err(|error| Error::input(&mask.path, reason(&error)))?;
        hash.number(bytes.len() as u64);
        hash.bytes(&bytes);
    }
    Ok(format!("{:032x}", hash.0))
}

/// The fingerprint of a file's bytes, of the same kind.
#[must_use]
pub(crate) fn fingerprint_of_bytes(bytes: &[u8]) -> String {
    let mut hash = Hash::default();
    hash.bytes(bytes);
    format!("{:032x}", hash.0)
}

/// FNV-1a (Fowler, Noll, Vo).
#[derive(Debug)]
struct Hash(u128);

impl Default for Hash {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// With its length first, so that no two lists of texts are one.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // Test vectors of the FNV reference: the empty text, and "foobar".
        assert_eq!(Hash::default().0, 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        let mut hash = Hash::default();
        hash.bytes(b"foobar");
        assert_eq!(hash.0, 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
        assert_eq!(fingerprint_of_bytes(b"foobar"), "343e1662793c64bf6f0d3597ba446f18");
    }
}
