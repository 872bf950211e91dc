//! A storage's elements behind an offset, extents and strides.

use super::{problem, state_dict::Element, state_dict::byte_count};
use crate::Result;

/// Most axes a tensor may have. Weights have four.
const MAX_RANK: usize = 16;

/// A flat run of elements, named by a key and kept elsewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    pub(super) element: Element,
    /// Its name among the file's storages.
    pub(super) key: &'a str,
    /// Elements of it all.
    pub(super) count: usize,
    /// The first of the elements that are meant; legacy files name parts of storages.
    pub(super) start: usize,
    /// How many of them are meant.
    pub(super) length: usize,
}

/// A tensor in a storage. It has been checked: every index lies in the storage.
#[derive(Clone, Debug)]
pub(super) struct TensorView<'a> {
    pub(super) storage: Storage<'a>,
    /// Elements before the first.
    offset: usize,
    shape: Vec<usize>,
    /// Elements from one index of an axis to the next.
    strides: Vec<usize>,
}

impl<'a> TensorView<'a> {
    /// The elements at `offset + index . strides` for all indices below `shape`.
    ///
    /// # Errors
    /// If something is negative, too large, or outside of the storage.
    pub(super) fn new(storage: Storage<'a>, offset: i64, shape: &[i64], strides: &[i64]) -> Result<Self> {
        if shape.len() > MAX_RANK || shape.len() != strides.len() {
            return Err(problem(format!(
                "has a tensor with {} extents and {} strides; as many of both are needed, at most {MAX_RANK}",
                shape.len(),
                strides.len()
            )));
        }
        let natural = |numbers: &[i64]| numbers.iter().map(|&number| usize::try_from(number).ok()).collect();
        let (Some(start), Some(shape), Some(strides)) =
            (usize::try_from(offset).ok(), natural(shape), natural(strides))
        else {
            return Err(problem(format!(
                "has a tensor with offset {offset}, extents {shape:?} and strides {strides:?}"
            )));
        };
        let view = Self { storage, offset: start, shape, strides };
        if byte_count(storage.element, &view.shape).is_none() || view.end().is_none_or(|end| end > storage.length) {
            return Err(problem(format!(
                "has a tensor with offset {}, extents {:?} and strides {:?} in a storage of {} elements",
                view.offset, view.shape, view.strides, storage.length
            )));
        }
        Ok(view)
    }

    /// The elements' extents.
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes of the elements.
    pub(super) fn byte_count(&self) -> usize {
        byte_count(self.storage.element, &self.shape).unwrap_or(usize::MAX)
    }

    /// Elements of the storage up to the last that is used; `None` if that is more than can be counted.
    fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let mut last = self.offset;
        for (extent, stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add((extent - 1).checked_mul(*stride)?)?;
        }
        last.checked_add(1)
    }

    /// Whether the elements lie in row-major order without gaps.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&extent, &stride)| {
            let fits = extent == 1 || stride == expected;
            expected *= extent;
            fits
        })
    }

    /// The elements in row-major order, out of the bytes of their storage.
    ///
    /// # Errors
    /// If the bytes are fewer than the storage's elements.
    pub(super) fn gather(&self, storage: &[u8]) -> Result<Vec<u8>> {
        let (size, total) = (self.storage.element.size(), self.byte_count());
        if total == 0 {
            return Ok(Vec::new());
        }
        let part = (self.storage.start * size)..((self.storage.start + self.storage.length) * size);
        let part = storage.get(part).ok_or_else(|| problem("has a storage with too few bytes"))?;
        let mut place = self.offset * size;
        if self.is_contiguous() {
            return Ok(part[place..place + total].to_vec());
        }
        // An axis of one index is never stepped along: its stride may be anything.
        let axes = self.shape.iter().zip(&self.strides).filter(|(extent, _)| **extent > 1);
        let mut axes: Vec<_> = axes.map(|(&extent, &stride)| (extent, stride * size, 0)).collect();
        let mut gathered = Vec::with_capacity(total);
        while gathered.len() < total {
            gathered.extend_from_slice(&part[place..place + size]);
            // The next index: the last axis first, as an odometer counts.
            for (extent, step, index) in axes.iter_mut().rev() {
                *index += 1;
                place += *step;
                if index < extent {
                    break;
                }
                place -= *extent * *step;
                *index = 0;
            }
        }
        Ok(gathered)
    }
}
