//! Photos of one size that come one after the other go through the network together.

use std::path::Path;

use image::RgbImage;

use super::{Masks, Predictor};
use crate::{Error, Result, data::ImageLabels};

/// A photo in memory.
#[derive(Debug)]
pub struct Waiting<T> {
    /// What it is of: whatever its owner knows it by.
    pub of: T,
    /// Its pixels.
    pub pixels: RgbImage,
    /// The classes that it shows, if they are known.
    pub present: Option<ImageLabels>,
}

/// What became of photos, in the order in which they came.
pub type Segmented<T> = Vec<(Waiting<T>, Result<Masks>)>;

/// The photos that wait for others of their size.
#[derive(Debug)]
pub struct Batch<'a, T> {
    predictor: &'a Predictor<'a>,
    most: usize,
    folder: &'a Path,
    waiting: Vec<Waiting<T>>,
}

impl<'a, T> Batch<'a, T> {
    /// Of `most` photos at most; working files, where they are needed, are made in `folder`.
    #[must_use]
    pub const fn new(predictor: &'a Predictor<'a>, most: usize, folder: &'a Path) -> Self {
        Self { predictor, most, folder, waiting: Vec::new() }
    }

    /// Takes a photo. Gives back those that are done by that: the ones before, if this one is of another size, or all, if
    /// there are enough.
    #[must_use]
    pub fn push(&mut self, photo: Waiting<T>) -> Segmented<T> {
        let other = self.waiting.first().is_some_and(|first| first.pixels.dimensions() != photo.pixels.dimensions());
        let mut done = if other { self.flush() } else { Vec::new() };
        self.waiting.push(photo);
        if self.waiting.len() >= self.most {
            done.extend(self.flush());
        }
        done
    }

    /// Segments all that wait. What fails fails for each of them.
    #[must_use]
    pub fn flush(&mut self) -> Segmented<T> {
        let waiting = std::mem::take(&mut self.waiting);
        let asked: Vec<_> = waiting.iter().map(|photo| (&photo.pixels, photo.present.as_deref())).collect();
        let masks: Vec<Result<Masks>> = match self.predictor.segment(&asked, self.folder) {
            Ok(masks) => masks.into_iter().map(Ok).collect(),
            Err(error) => asked.iter().map(|_| Err(Error::Failed(error.to_string()))).collect(),
        };
        waiting.into_iter().zip(masks).collect()
    }
}
