//! The lattice points by their keys: a hash table with open addressing.

use alloc::vec::Vec;

use super::{CrfError, memory::zeroed, simplex::Key};
use crate::arena::part::{at, head};

/// A place of the table. `row` is 0 where there is no point.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: Key,
    row: u32,
}

/// Points, numbered from 1 in the order in which they are first seen.
#[derive(Debug)]
pub(super) struct Table {
    /// A power of two of places, at most half of them taken.
    slots: Vec<Slot>,
    /// Room for half as many keys, of which the first `count` are taken.
    keys: Vec<Key>,
    count: usize,
}

/// Places of a new table; few where code is interpreted, which is slow.
const FIRST: usize = if cfg!(miri) { 1 << 4 } else { 1 << 12 };

/// Mixes all bits of a key into all others (the finaliser of splitmix64).
#[inline(always)]
fn mixed(key: Key) -> usize {
    let key = (key ^ (key >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (key ^ (key >> 31)) as usize
}

impl Table {
    pub(super) fn new() -> Result<Self, CrfError> {
        Self::with(FIRST)
    }

    fn with(places: usize) -> Result<Self, CrfError> {
        Ok(Self { slots: zeroed(places)?, keys: zeroed(places / 2)?, count: 0 })
    }

    /// The keys of the points, the first being point 1's.
    pub(super) fn keys(&self) -> &[Key] {
        head(&self.keys, self.count)
    }

    /// The place of a key, the point's or the free one where it belongs, and its row. Steps grow by one, so that runs of
    /// taken places are left quickly; every place is visited, and half of them are free.
    #[inline(always)]
    fn place(&self, key: Key) -> (usize, u32) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = mixed(key) & mask;
        let mut step = 0;
        loop {
            // The mask keeps every place inside.
            let slot = at(&self.slots, place);
            if slot.row == 0 || slot.key == key {
                return (place, slot.row);
            }
            step += 1;
            place = (place + step) & mask;
        }
    }

    /// The number of a point, 0 if there is no such point.
    #[inline(always)]
    pub(super) fn find(&self, key: Key) -> u32 {
        self.place(key).1
    }

    /// The number of a point, which is a new one if there was none.
    #[inline(always)]
    pub(super) fn insert(&mut self, key: Key) -> Result<u32, CrfError> {
        match self.place(key) {
            (place, 0) => self.add(key, place),
            (_, row) => Ok(row),
        }
    }

    #[cold]
    fn add(&mut self, key: Key, mut place: usize) -> Result<u32, CrfError> {
        let count = self.count + 1;
        let row = u32::try_from(count).map_err(|_| CrfError::Memory { elements: count })?;
        if 2 * count > self.slots.len() {
            let mut larger = Self::with(2 * self.slots.len())?;
            for (&key, row) in self.keys().iter().zip(1..) {
                larger.take(larger.place(key).0, Slot { key, row });
            }
            *self = larger;
            place = self.place(key).0;
        }
        self.take(place, Slot { key, row });
        Ok(row)
    }

    /// Fills a place of the table with the next point.
    fn take(&mut self, place: usize, slot: Slot) {
        if let (Some(at), Some(key)) = (self.slots.get_mut(place), self.keys.get_mut(self.count)) {
            (*at, *key) = (slot, slot.key);
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_keep_their_numbers_while_the_table_grows() {
        let mut table = Table::new().unwrap();
        // Keys that differ in high bits only, in low bits only, and everywhere.
        let keys = || (0..30_000_u64).flat_map(|i| [i << 40, i, i.wrapping_mul(0x9E37_79B9_7F4A_7C15)]);
        let numbers: Vec<u32> = keys().map(|key| table.insert(key).unwrap()).collect();
        assert!(keys().zip(&numbers).all(|(key, &number)| table.find(key) == number));
        assert!(keys().zip(&numbers).all(|(key, &number)| table.keys()[number as usize - 1] == key));
        let distinct: std::collections::HashSet<u64> = keys().collect();
        assert_eq!(table.keys().len(), distinct.len());
        assert_eq!(table.find(u64::MAX), 0);
    }
}
