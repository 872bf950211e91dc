//! The lattice points by their keys: a hash table with open addressing.

use alloc::vec::Vec;

use super::{CrfError, memory::zeroed, simplex::Key};

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
    keys: Vec<Key>,
}

/// Places of a new table.
const FIRST: usize = 1 << 12;

/// Mixes all bits of a key into all others (the finaliser of splitmix64).
#[inline(always)]
fn mixed(key: Key) -> usize {
    let key = (key ^ (key >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (key ^ (key >> 31)) as usize
}

impl Table {
    pub(super) fn new() -> Result<Self, CrfError> {
        Ok(Self { slots: zeroed(FIRST)?, keys: Vec::new() })
    }

    /// The keys of the points, the first being point 1's.
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The place of a key: the point's, or the free one where it belongs. Steps grow by one, so that runs of taken places
    /// are left quickly; every place is visited, and half of them are free.
    #[inline(always)]
    fn place(&self, key: Key) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = mixed(key) & mask;
        let mut step = 0;
        loop {
            let slot = &self.slots[place];
            if slot.row == 0 || slot.key == key {
                return place;
            }
            step += 1;
            place = (place + step) & mask;
        }
    }

    /// The number of a point, 0 if there is no such point.
    #[inline(always)]
    pub(super) fn find(&self, key: Key) -> u32 {
        self.slots[self.place(key)].row
    }

    /// The number of a point, which is a new one if there was none.
    #[inline(always)]
    pub(super) fn insert(&mut self, key: Key) -> Result<u32, CrfError> {
        let place = self.place(key);
        match self.slots[place].row {
            0 => self.add(key, place),
            row => Ok(row),
        }
    }

    #[cold]
    fn add(&mut self, key: Key, mut place: usize) -> Result<u32, CrfError> {
        let count = self.keys.len() + 1;
        let row = u32::try_from(count).map_err(|_| CrfError::Memory { elements: count })?;
        if 2 * count > self.slots.len() {
            let larger = Self { slots: zeroed(2 * self.slots.len())?, keys: Vec::new() };
            let keys = core::mem::take(&mut self.keys);
            *self = larger;
            for (&key, row) in keys.iter().zip(1..) {
                let place = self.place(key);
                self.slots[place] = Slot { key, row };
            }
            self.keys = keys;
            place = self.place(key);
        }
        self.slots[place] = Slot { key, row };
        self.keys.try_reserve(1).map_err(|_| CrfError::Memory { elements: count })?;
        self.keys.push(key);
        Ok(row)
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
