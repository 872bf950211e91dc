//! The block table: who owns which part of the memory.

use super::ArenaError;

/// At most this many tensors are alive at a time; sharing a block by `Clone` does not count.
pub const MAX_BLOCKS: usize = 64;

/// A run of elements that a tensor, or several clones of it, owns.
#[derive(Clone, Copy, Debug)]
struct Block {
    start: usize,
    len: usize,
    owners: usize,
}

/// Live blocks, sorted by address. What lies between them is free, so that freed neighbours coalesce by themselves.
#[derive(Debug, Default)]
pub(super) struct Table {
    blocks: heapless::Vec<Block, MAX_BLOCKS>,
    peak: usize,
}

impl Table {
    /// First fit: reserves `len` elements (at least one, so that every block has its own address) in the lowest gap
    /// of a memory of `capacity` elements and returns where they start.
    pub(super) fn allocate(&mut self, len: usize, capacity: usize) -> Result<usize, ArenaError> {
        let len = len.max(1);
        let (mut start, mut largest) = (0, 0);
        let mut place = None;
        for (index, block) in self.blocks.iter().enumerate() {
            let gap = block.start - start;
            if gap >= len {
                place = Some(index);
                break;
            }
            largest = largest.max(gap);
            start = block.start + block.len;
        }
        let index = match place {
            Some(index) => index,
            None if capacity - start >= len => self.blocks.len(),
            None => return Err(ArenaError::Full { needed: len, largest: largest.max(capacity - start) }),
        };
        let block = Block { start, len, owners: 1 };
        self.blocks.insert(index, block).map_err(|_| ArenaError::Blocks { limit: MAX_BLOCKS })?;
        self.peak = self.peak.max(start + len);
        Ok(start)
    }

    /// Gives back what a block holds beyond its first `len` elements.
    pub(super) fn trim(&mut self, start: usize, len: usize) {
        if let Some(block) = self.find(start).and_then(|index| self.blocks.get_mut(index)) {
            block.len = len.clamp(1, block.len);
        }
    }

    /// One more owner of the block at `start`.
    pub(super) fn share(&mut self, start: usize) {
        if let Some(block) = self.find(start).and_then(|index| self.blocks.get_mut(index)) {
            block.owners += 1;
        }
    }

    /// One owner less; the last one frees the block.
    pub(super) fn release(&mut self, start: usize) {
        let Some(index) = self.find(start) else { return };
        if let Some(block) = self.blocks.get_mut(index) {
            block.owners -= 1;
            if block.owners == 0 {
                self.blocks.remove(index);
            }
        }
    }

    fn find(&self, start: usize) -> Option<usize> {
        self.blocks.binary_search_by_key(&start, |block| block.start).ok()
    }

    /// Live blocks.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Elements in live blocks.
    pub(super) fn in_use(&self) -> usize {
        self.blocks.iter().map(|block| block.len).sum()
    }

    /// Highest end of a block since the start or [`reset_peak`](Self::reset_peak).
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// Forgets past blocks.
    pub(super) fn reset_peak(&mut self) {
        self.peak = self.blocks.last().map_or(0, |block| block.start + block.len);
    }
}
