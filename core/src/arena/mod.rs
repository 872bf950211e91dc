//! Tensors over memory that the caller lends: no allocator, no unsafe code, no panics.
//!
//! An [`Arena`] divides one slice among the live tensors. [`ArenaTensor`]s are handles: `Clone` shares the elements,
//! dropping the last handle frees them. Free space is what lies between the live blocks, so neighbours coalesce by
//! themselves, and a new tensor goes to the lowest gap that holds it (first fit). Exhaustion is
//! [`ArenaError::Full`].
//!
//! An operation writes one new block and reads any others, so that safe code can hand a kernel one exclusive slice
//! and several shared ones. A kernel's scratch memory is the tail of its result's block and goes back when it ends;
//! every kernel states the amount in a function beside it.
//!
//! # Memory
//!
//! Beside the inputs, in planes of `h w` elements for `c` channels of logits, scores or masks and `k` of an image:
//!
//! | | definition | kernel: result and scratch |
//! |---|---|---|
//! | softmax | `2c + 1` | `c` |
//! | log_softmax | `3c + 2` | `c` |
//! | classify | `3c + 4` | `c + 1` and a score a class |
//! | segmentation_loss | `4c + 2` (a map more if it resizes) | 1 element and [`segmentation_loss_scratch`] |
//! | pamr | `5c + 10` for `k = 3` (a map more if it resizes) | `c` and [`pamr_streamed_scratch`] or [`pamr_stored_scratch`] |
//! | pseudo_labels | `2c + 2` | `c` and [`pseudo_labels_scratch`] |
//! | cam_masks | `3c + 2` | `c + 1` |
//!
//! Definitions count one sample of a batch and grow with it; a few values a channel come on top. Kernels need their
//! scratch once, whatever the batch.
//!
//! # Example
//!
//! ```
//! use wseg_core::{Axes, Shape, Tensor, arena::Arena};
//!
//! let mut memory = [0.0_f32; 16];
//! let arena = Arena::new(&mut memory);
//! let scores = arena.tensor(Shape::new(1, 1, 2, 2), &[1.0, 2.0, 3.0, 4.0])?;
//! let total = scores.sum(Axes::Spatial)?;
//! let mut out = [0.0];
//! total.read(&mut out)?;
//! assert_eq!(out, [10.0]);
//! assert_eq!(arena.peak(), 5);
//! # Ok::<(), wseg_core::arena::ArenaError>(())
//! ```

use core::{cell::RefCell, fmt};

use crate::Shape;

mod error;
pub(crate) mod kernel;
mod ops;
pub(crate) mod part;
mod real;
mod sample;
mod sum;
mod table;
#[cfg(test)]
mod tests;

pub use error::ArenaError;
pub use kernel::{
    class_scores_gradient_scratch, pamr_stored_scratch, pamr_streamed_scratch, pseudo_labels_scratch,
    segmentation_loss_scratch,
};
pub use real::Real;
pub use table::MAX_BLOCKS;

/// A slice of elements, divided among tensors.
#[derive(Debug)]
pub struct Arena<'m, F> {
    memory: RefCell<&'m mut [F]>,
    capacity: usize,
    table: RefCell<table::Table>,
}

impl<'m, F: Real> Arena<'m, F> {
    /// An arena over `memory`, whose contents do not matter.
    #[must_use]
    pub fn new(memory: &'m mut [F]) -> Self {
        let capacity = memory.len();
        Self { memory: RefCell::new(memory), capacity, table: RefCell::default() }
    }

    /// A tensor with the values of `data`, in memory order.
    ///
    /// # Errors
    /// [`ArenaError::Length`] if `data` is not as long as the shape says, [`ArenaError::Full`] if there is no room.
    pub fn tensor(&self, shape: Shape, data: &[F]) -> Result<ArenaTensor<'_, 'm, F>, ArenaError> {
        if data.len() != shape.count() {
            return Err(ArenaError::Length { shape, given: data.len() });
        }
        self.produce(shape, 0, [], |out, _, []| out.copy_from_slice(data))
    }

    /// A tensor with the values of `data`, each rounded to the arena's element type.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn tensor_from_f64(&self, shape: Shape, data: &[f64]) -> Result<ArenaTensor<'_, 'm, F>, ArenaError> {
        if data.len() != shape.count() {
            return Err(ArenaError::Length { shape, given: data.len() });
        }
        self.produce(shape, 0, [], |out, _, []| {
            out.iter_mut().zip(data).for_each(|(out, &value)| *out = F::from_f64(value));
        })
    }

    /// Elements of the memory.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Elements in live tensors.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.table.borrow().in_use()
    }

    /// Live tensors, clones counted once.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.table.borrow().blocks()
    }

    /// Elements of the memory that were ever needed, counted to the end of the highest block: with a memory of
    /// exactly this many elements the same operations run again, every tensor at the same place.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.table.borrow().peak()
    }

    /// Lets [`peak`](Self::peak) start again at what the live tensors need.
    pub fn reset_peak(&self) {
        self.table.borrow_mut().reset_peak();
    }

    /// A new tensor: `write` gets its elements, whose contents it must not rely on, `scratch` elements that go back
    /// to the arena afterwards, and the elements of `inputs`.
    fn produce<const R: usize>(
        &self,
        shape: Shape,
        scratch: usize,
        inputs: [&ArenaTensor<'_, 'm, F>; R],
        write: impl FnOnce(&mut [F], &mut [F], [&[F]; R]),
    ) -> Result<ArenaTensor<'_, 'm, F>, ArenaError> {
        if inputs.iter().any(|input| !core::ptr::eq(input.arena, self)) {
            return Err(ArenaError::Foreign);
        }
        // Counted without empty extents, so that no product of extents overflows anywhere in the backend.
        let extent = shape.extents().into_iter().fold(1_usize, |product, extent| product.saturating_mul(extent.max(1)));
        let len = shape.count();
        let reserved = if extent == usize::MAX { extent } else { len.saturating_add(scratch) };
        let start = self.table.borrow_mut().allocate(reserved, self.capacity)?;
        // From here on the handle frees the block, whatever happens.
        let tensor = ArenaTensor { arena: self, start, shape };
        {
            let mut memory = self.memory.borrow_mut();
            let (before, rest) = memory.split_at_mut(start);
            let (block, after) = rest.split_at_mut(reserved);
            let (out, scratch) = block.split_at_mut(len);
            let (before, after) = (&*before, &*after);
            // Blocks never overlap: an input lies wholly before the new one or wholly behind it.
            let inputs = inputs.map(|input| {
                let len = input.shape.count();
                match input.start < start {
                    true => &before[input.start..][..len],
                    false => &after[input.start - start - reserved..][..len],
                }
            });
            write(out, scratch, inputs);
        }
        self.table.borrow_mut().trim(start, len);
        Ok(tensor)
    }
}

/// A tensor of an [`Arena`]: a handle that shares its elements with its clones.
pub struct ArenaTensor<'a, 'm, F> {
    arena: &'a Arena<'m, F>,
    start: usize,
    shape: Shape,
}

impl<'a, 'm, F: Real> ArenaTensor<'a, 'm, F> {
    /// The arena the tensor lives in.
    #[must_use]
    pub const fn arena(&self) -> &'a Arena<'m, F> {
        self.arena
    }

    /// Copies the elements out, in memory order.
    ///
    /// # Errors
    /// [`ArenaError::Length`] if `out` is not as long as the shape says.
    pub fn read(&self, out: &mut [F]) -> Result<(), ArenaError> {
        let len = self.shape.count();
        if out.len() != len {
            return Err(ArenaError::Length { shape: self.shape, given: out.len() });
        }
        out.copy_from_slice(&self.arena.memory.borrow()[self.start..][..len]);
        Ok(())
    }

    /// The element at an index in memory order, `None` behind the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<F> {
        if index >= self.shape.count() {
            return None;
        }
        self.arena.memory.borrow().get(self.start + index).copied()
    }
}

impl<F> Clone for ArenaTensor<'_, '_, F> {
    fn clone(&self) -> Self {
        self.arena.table.borrow_mut().share(self.start);
        Self { arena: self.arena, start: self.start, shape: self.shape }
    }
}

impl<F> Drop for ArenaTensor<'_, '_, F> {
    fn drop(&mut self) {
        self.arena.table.borrow_mut().release(self.start);
    }
}

impl<F> fmt::Debug for ArenaTensor<'_, '_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArenaTensor({} at {})", self.shape, self.start)
    }
}
