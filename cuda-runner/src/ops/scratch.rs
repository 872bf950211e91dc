//! Working memory that is kept from call to call: mapping and unmapping large buffers costs as much as filling them.

use std::{
    ops::{Deref, DerefMut},
    sync::Mutex,
};

/// Buffers that wait for their next use.
pub(crate) struct Pool<T>(Mutex<Vec<Vec<T>>>);

/// At most this many buffers wait.
const KEPT: usize = 8;

/// Buffers of more elements than this go back to the system at once.
const LARGEST: usize = 1 << 26;

impl<T> Pool<T> {
    /// An empty pool.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Vec<T>>> {
        // A buffer is only a buffer, whatever happened to the thread that used it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// An element type with a pool of buffers.
pub(crate) trait Pooled: Copy + Default + 'static {
    /// The pool.
    fn pool() -> &'static Pool<Self>;
}

macro_rules! pooled {
    ($($type:ident)*) => {$(
        impl Pooled for $type {
            fn pool() -> &'static Pool<Self> {
                static POOL: Pool<$type> = Pool::new();
                &POOL
            }
        }
    )*};
}
pooled!(f32 f64);

/// A buffer on loan from the pool; it returns there when dropped.
pub(crate) struct Scratch<T: Pooled> {
    buffer: Vec<T>,
    /// Elements asked for; the buffer may have more.
    length: usize,
}

impl<T: Pooled> Scratch<T> {
    /// A buffer of `length` elements with arbitrary contents.
    pub(crate) fn new(length: usize) -> Self {
        let mut waiting = T::pool().waiting();
        // The smallest that is large enough, or else the largest, which grows.
        let fitting = (0..waiting.len()).filter(|&i| waiting[i].len() >= length).min_by_key(|&i| waiting[i].len());
        let chosen = fitting.or_else(|| (0..waiting.len()).max_by_key(|&i| waiting[i].len()));
        let mut buffer = chosen.map(|i| waiting.swap_remove(i)).unwrap_or_default();
        drop(waiting);
        if buffer.len() < length {
            buffer = vec![T::default(); length];
        }
        Self { buffer, length }
    }
}

impl<T: Pooled> Drop for Scratch<T> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut waiting = T::pool().waiting();
        if waiting.len() < KEPT && buffer.len() <= LARGEST {
            waiting.push(buffer);
        }
    }
}

impl<T: Pooled> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer[..self.length]
    }
}

impl<T: Pooled> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[..self.length]
    }
}
