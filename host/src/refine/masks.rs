//! Masks of any origin as probabilities.

use std::{fs::File, io::Read, path::Path};

use super::npz;
use crate::{
    Error, Result,
    npy::{self, Array, Elements},
    palette::VOID,
    picture::{LabelMap, PngMask, read_png_mask},
};

/// Endings of files that hold masks.
pub const ENDINGS: [&str; 3] = ["png", "npy", "npz"];

/// Largest array file: probabilities of 21 classes for 12 megapixels in f32.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A probability for each class and pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Masks {
    /// The label that each channel stands for, rising.
    pub labels: Vec<u8>,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[labels, height, width]`
    pub values: Vec<f32>,
    /// Whether they come from labels, which have no size but their own.
    pub from_labels: bool,
}

/// How files are understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading<'a> {
    /// How sure hard labels are: the probability of the label that a pixel has; the other classes share the rest.
    pub confidence: f64,
    /// Grey PNGs hold class numbers, not probabilities.
    pub grey_labels: bool,
    /// The array to take from an archive; if none, its only one.
    pub array: Option<&'a str>,
}

/// Which pixels are left undecided: those that the probabilities say too little about.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Band {
    /// The least probability of the most likely class.
    pub confidence: f32,
    /// The least lead of the most likely class over the next.
    pub margin: f32,
}

impl Band {
    /// Whether a pixel is left undecided whose two highest probabilities are these.
    #[must_use]
    pub fn is_undecided(self, best: f32, next: f32) -> bool {
        best < self.confidence || best - next < self.margin
    }
}

impl Masks {
    /// Reads a mask: a PNG of labels, a grey PNG of one object's probabilities, or an array (`.npy`, `.npz`) of probabilities
    /// (`[classes, h, w]`, or `[h, w]` of one object) or labels (whole numbers, `[h, w]`).
    ///
    /// # Errors
    /// One sentence naming the file if it cannot be read or holds something else.
    pub fn read(path: &Path, reading: Reading<'_>) -> Result<Self> {
        let is = |ending: &str| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending));
        if is("npy") || is("npz") {
            return Self::decode_array(path, &read_bytes(path)?, reading);
        }
        if !is("png") {
            return Err(Error::input(path, "masks are .png, .npy or .npz files; convert it to one of them"));
        }
        let masks = match read_png_mask(path, reading.grey_labels)? {
            PngMask::Labels(map) => Self::of_labels(&map, reading.confidence),
            PngMask::Grey(map) => Self::of_object(map.width, map.height, map.values),
        };
        Ok(masks)
    }

    /// The mask in the bytes of an array, or of an archive of arrays (told apart by the file's ending); `path` is the name
    /// that errors use.
    ///
    /// # Errors
    /// As [`Masks::read`].
    pub fn decode_array(path: &Path, bytes: &[u8], reading: Reading<'_>) -> Result<Self> {
        let archive = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"));
        let array = match archive {
            true => npz::member(bytes, reading.array, MAX_FILE_BYTES).and_then(|bytes| npy::parse(&bytes)),
            false => npy::parse(bytes),
        };
        array.and_then(|array| Self::of_array(array, reading)).map_err(|problem| Error::input(path, problem))
    }

    fn of_array(Array { shape, elements }: Array, reading: Reading<'_>) -> Result<Self, String> {
        let (classes, height, width) = match *shape.as_slice() {
            [height, width] => (1, height, width),
            [classes, height, width] | [1, classes, height, width] => (classes, height, width),
            _ => return Err(format!("has shape {shape:?}; a mask is [h, w] or [classes, h, w]")),
        };
        if classes * height * width == 0 {
            return Err(format!("has shape {shape:?}, which is empty"));
        }
        match elements {
            Elements::Real(values) => {
                if let Some(index) = values.iter().position(|value| !(0.0..=1.0 + 1e-3).contains(value)) {
                    return Err(format!(
                        "holds {} at element {index}; probabilities are between 0 and 1 (apply softmax to scores)",
                        values[index]
                    ));
                }
                if classes == 1 {
                    return Ok(Self::of_object(width, height, values));
                }
                if classes > usize::from(VOID) {
                    return Err(format!("has {classes} classes, but a mask can hold {VOID} at most"));
                }
                Ok(Self { labels: (0..VOID).take(classes).collect(), width, height, values, from_labels: false })
            }
            Elements::Whole(values) if classes == 1 => {
                let label = |&value: &i64| u8::try_from(value).map_err(|_| value);
                let labels = values.iter().map(label).collect::<Result<Vec<u8>, i64>>();
                let labels = labels.map_err(|value| format!("holds the whole number {value}; labels are 0 to 255"))?;
                Ok(Self::of_labels(&LabelMap { width, height, labels }, reading.confidence))
            }
            Elements::Whole(_) => {
                Err(format!("has shape {shape:?} and whole numbers; labels are [h, w], probabilities floating-point"))
            }
        }
    }

    /// Probabilities of one object, and the rest of background.
    fn of_object(width: usize, height: usize, object: Vec<f32>) -> Self {
        let values = object.iter().map(|p| 1.0 - p).chain(object.iter().copied()).collect();
        Self { labels: vec![0, 1], width, height, values, from_labels: false }
    }

    /// Labels that are right with probability `confidence`. Where a pixel is [`VOID`], all are equally likely. Only
    /// labels that occur have a channel, but the background always has.
    #[must_use]
    pub fn of_labels(map: &LabelMap, confidence: f64) -> Self {
        let present = map.present();
        let labels: Vec<u8> = (0..VOID).filter(|&label| label == 0 || present[usize::from(label)]).collect();
        let (sure, even) = (confidence as f32, 1.0 / labels.len() as f32);
        let rest = (1.0 - sure) / labels.len().saturating_sub(1).max(1) as f32;
        let mut values = Vec::with_capacity(labels.len() * map.labels.len());
        for channel in &labels {
            values.extend(map.labels.iter().map(|label| match *label {
                VOID => even,
                label if label == *channel => sure,
                _ => rest,
            }));
        }
        Self { labels, width: map.width, height: map.height, values, from_labels: true }
    }

    /// The most likely label of each pixel, the first of several.
    #[must_use]
    pub fn most_likely(&self) -> LabelMap {
        self.decided(Band::default())
    }

    /// The most likely label of each pixel, the first of several; [`VOID`] where `band` leaves it undecided.
    #[must_use]
    pub fn decided(&self, band: Band) -> LabelMap {
        let pixels = self.width * self.height;
        let mut best = vec![(f32::NEG_INFINITY, f32::NEG_INFINITY); pixels];
        let mut labels = vec![0; pixels];
        for (&label, map) in self.labels.iter().zip(self.values.chunks_exact(pixels.max(1))) {
            for (((best, next), own), &value) in best.iter_mut().zip(&mut labels).zip(map) {
                if value > *best {
                    (*next, *best, *own) = (*best, value, label);
                } else if value > *next {
                    *next = value;
                }
            }
        }
        for (label, (best, next)) in labels.iter_mut().zip(best) {
            if band.is_undecided(best, next) {
                *label = VOID;
            }
        }
        LabelMap { width: self.width, height: self.height, labels }
    }

    /// Bytes of a `.npy` file with a channel for every label up to the largest, float32.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pixels = self.width * self.height;
        let channels = self.labels.last().map_or(0, |&last| usize::from(last) + 1);
        let mut values = vec![0.0; channels * pixels];
        for (&label, map) in self.labels.iter().zip(self.values.chunks_exact(pixels.max(1))) {
            values[usize::from(label) * pixels..][..pixels].copy_from_slice(map);
        }
        npy::encode(&[channels, self.height, self.width], &values)
    }
}

/// A file's bytes, as far as an array can be long.
fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let refuse = |error: std::io::Error| Error::input(path, crate::data::reason(&error));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(refuse)?;
    if !file.metadata().map_err(refuse)?.is_file() {
        return Err(Error::input(path, "is not a file"));
    }
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(refuse)?;
    match bytes.len() as u64 > MAX_FILE_BYTES {
        true => Err(Error::input(path, format!("is larger than {} MiB; scale the mask down", MAX_FILE_BYTES >> 20))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Reading<'_> = Reading { confidence: 0.7, grey_labels: false, array: None };

    #[test]
    fn labels_are_believed_as_far_as_one_says() {
        let map = LabelMap { width: 4, height: 1, labels: vec![0, 5, VOID, 9] };
        let masks = Masks::of_labels(&map, 0.7);
        assert_eq!(masks.labels, [0, 5, 9]);
        let near = |values: &[f32], expected: [f32; 4]| {
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
        };
        near(&masks.values[..4], [0.7, 0.15, 1.0 / 3.0, 0.15]);
        near(&masks.values[4..8], [0.15, 0.7, 1.0 / 3.0, 0.15]);
        near(&masks.values[8..], [0.15, 0.15, 1.0 / 3.0, 0.7]);
        assert_eq!(masks.most_likely().labels, [0, 5, 0, 9]);
        let only = Masks::of_labels(&LabelMap { width: 2, height: 1, labels: vec![0, 0] }, 0.7);
        assert_eq!((only.labels, only.values), (vec![0], vec![0.7, 0.7]));
    }

    #[test]
    fn a_band_leaves_undecided_what_is_unsure_or_nearly_even() {
        let values = vec![0.9, 0.5, 0.1, 0.34, 0.1, 0.5, 0.6, 0.33, 0.0, 0.0, 0.3, 0.33];
        let masks = Masks { labels: vec![0, 2, 7], width: 4, height: 1, values, from_labels: false };
        let decided = |confidence, margin| masks.decided(Band { confidence, margin }).labels;
        assert_eq!(decided(0.0, 0.0), [0, 0, 2, 0]);
        assert_eq!(decided(0.0, 0.0), masks.most_likely().labels);
        assert_eq!(decided(0.6, 0.0), [0, VOID, 2, VOID]);
        assert_eq!(decided(0.4, 0.0), [0, 0, 2, VOID], "an even pair is surer than three");
        assert_eq!(decided(0.0, 0.2), [0, VOID, 2, VOID]);
        assert_eq!(decided(0.0, 0.4), [0, VOID, VOID, VOID]);
        assert_eq!(decided(0.95, 0.0), [VOID; 4]);
        // Without another class there is nothing to lead.
        let only = Masks { labels: vec![0], width: 1, height: 1, values: vec![1.0], from_labels: false };
        assert_eq!(only.decided(Band { confidence: 0.0, margin: 1.0 }).labels, [0]);
    }

    #[test]
    fn arrays_are_what_their_shape_says() {
        let real = |shape: &[usize], values: &[f32]| {
            Masks::of_array(Array { shape: shape.to_vec(), elements: Elements::Real(values.to_vec()) }, READING)
        };
        let object = real(&[1, 2], &[0.25, 1.0]).unwrap();
        assert_eq!((object.labels, object.values), (vec![0, 1], vec![0.75, 0.0, 0.25, 1.0]));
        let classes = real(&[3, 1, 1], &[0.2, 0.5, 0.3]).unwrap();
        assert_eq!((classes.most_likely().labels, classes.labels), (vec![1], vec![0, 1, 2]));
        assert_eq!(real(&[1, 3, 1, 1], &[0.2, 0.5, 0.3]).unwrap().labels.len(), 3);
        assert!(real(&[2, 1, 1], &[1.5, 0.0]).unwrap_err().contains("1.5 at element 0"));
        assert!(real(&[2, 1, 1], &[0.5, f32::NAN]).unwrap_err().contains("NaN at element 1"));
        assert!(real(&[2], &[0.5, 0.5]).unwrap_err().contains("[h, w]"));
        assert!(real(&[0, 2], &[]).unwrap_err().contains("empty"));
        let whole = |shape: &[usize], values: &[i64]| {
            Masks::of_array(Array { shape: shape.to_vec(), elements: Elements::Whole(values.to_vec()) }, READING)
        };
        assert_eq!(whole(&[1, 2], &[3, 0]).unwrap().labels, [0, 3]);
        assert!(whole(&[1, 2], &[3, -1]).unwrap_err().contains("-1"));
        assert!(whole(&[2, 1, 1], &[0, 1]).unwrap_err().contains("floating-point"));
    }

    #[test]
    fn written_arrays_have_a_channel_for_every_label() {
        let values = vec![0.25, 0.75];
        let masks = Masks { labels: vec![0, 2], width: 1, height: 1, values, from_labels: false };
        let array = npy::parse(&masks.encode()).unwrap();
        assert_eq!(array, Array { shape: vec![3, 1, 1], elements: Elements::Real(vec![0.25, 0.0, 0.75]) });
    }
}
