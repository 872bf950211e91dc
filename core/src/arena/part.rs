//! Parts of slices that are empty where indexing would panic.
//!
//! Lengths are checked once, where a kernel is called; inside, no path of the machine code leads to a panic, which the
//! C library's symbol table shows.

use core::{
    ops::Range,
    slice::{ChunksExact, ChunksExactMut},
};

/// The elements of a range.
#[inline(always)]
pub(crate) fn part<T>(slice: &[T], range: Range<usize>) -> &[T] {
    slice.get(range).unwrap_or_default()
}

/// The elements of a range.
#[inline(always)]
pub(crate) fn part_mut<T>(slice: &mut [T], range: Range<usize>) -> &mut [T] {
    slice.get_mut(range).unwrap_or_default()
}

/// The first `len` elements.
#[inline(always)]
pub(crate) fn head<T>(slice: &[T], len: usize) -> &[T] {
    slice.get(..len).unwrap_or_default()
}

/// The element at an index, 0 behind the last.
#[inline(always)]
pub(crate) fn at<T: Copy + Default>(slice: &[T], index: usize) -> T {
    slice.get(index).copied().unwrap_or_default()
}

/// Rows of `len` elements; of 1 where `len` is 0.
#[inline(always)]
pub(crate) fn rows<T>(slice: &[T], len: usize) -> ChunksExact<'_, T> {
    slice.chunks_exact(len.max(1))
}

/// Rows of `len` elements; of 1 where `len` is 0.
#[inline(always)]
pub(crate) fn rows_mut<T>(slice: &mut [T], len: usize) -> ChunksExactMut<'_, T> {
    slice.chunks_exact_mut(len.max(1))
}

/// The elements before `middle` and those from it on; all of them before it if there are fewer.
#[inline(always)]
pub(crate) fn split<T>(slice: &[T], middle: usize) -> (&[T], &[T]) {
    slice.split_at(middle.min(slice.len()))
}

/// The elements before `middle` and those from it on; all of them before it if there are fewer.
#[inline(always)]
pub(crate) fn split_mut<T>(slice: &mut [T], middle: usize) -> (&mut [T], &mut [T]) {
    let middle = middle.min(slice.len());
    slice.split_at_mut(middle)
}

/// Copies element by element, as far as both slices reach.
#[inline(always)]
pub(crate) fn copy<T: Copy>(out: &mut [T], from: &[T]) {
    out.iter_mut().zip(from).for_each(|(out, &value)| *out = value);
}
