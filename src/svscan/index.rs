//! Finding a slot by a key (a pid, a device and inode): open addressing with linear probing. Derived: the keys are
//! in the records, the index holds slots only, and is rebuilt from them.

/// A hash index of at most `N` entries; keep it half empty. `N` a power of two, at most 32768.
pub struct Index<const N: usize> {
    /// Slot plus one; 0: empty.
    entries: [u16; N],
    keys: [u64; N],
}

impl<const N: usize> Index<N> {
    /// An empty index; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Self {
        assert!(N.is_power_of_two() && N <= 32768);
        Index { entries: [0; N], keys: [0; N] }
    }

    fn home(key: u64) -> usize {
        // Fibonacci hashing: the high bits of the product are well mixed.
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - N.trailing_zeros())) as usize
    }

    /// The slot stored under `key`.
    pub fn get(&self, key: u64) -> Option<usize> {
        let mut at = Self::home(key);
        for _ in 0..N {
            match self.entries[at] {
                0 => return None,
                slot if self.keys[at] == key => return Some(usize::from(slot) - 1),
                _ => at = (at + 1) % N,
            }
        }
        None
    }

    /// Stores `slot` under `key`, in place of what was there. False if the index is full.
    pub fn insert(&mut self, key: u64, slot: usize) -> bool {
        let mut at = Self::home(key);
        for _ in 0..N {
            if self.entries[at] == 0 || self.keys[at] == key {
                self.entries[at] = slot as u16 + 1;
                self.keys[at] = key;
                return true;
            }
            at = (at + 1) % N;
        }
        false
    }

    /// Forgets `key`, and moves later entries of the same run up so that they are still found.
    pub fn remove(&mut self, key: u64) {
        let mut hole = Self::home(key);
        for _ in 0..N {
            match self.entries[hole] {
                0 => return,
                _ if self.keys[hole] == key => break,
                _ => hole = (hole + 1) % N,
            }
        }
        if self.keys[hole] != key {
            return;
        }
        self.entries[hole] = 0;
        let mut at = hole;
        for _ in 0..N {
            at = (at + 1) % N;
            if self.entries[at] == 0 {
                return;
            }
            let home = Self::home(self.keys[at]);
            // Movable if its home is not between the hole (exclusive) and where it is (inclusive).
            if (at.wrapping_sub(home)) % N >= (at.wrapping_sub(hole)) % N {
                self.entries[hole] = self.entries[at];
                self.keys[hole] = self.keys[at];
                self.entries[at] = 0;
                hole = at;
            }
        }
    }
}

impl<const N: usize> Default for Index<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn it_agrees_with_a_map(operations in prop::collection::vec((any::<bool>(), 0u64..24, 0usize..100), 0..200)) {
            let mut index = Index::<32>::new();
            let mut map = HashMap::new();
            for (insert, key, slot) in operations {
                if insert {
                    prop_assert!(index.insert(key, slot));
                    map.insert(key, slot);
                } else {
                    index.remove(key);
                    map.remove(&key);
                }
                for key in 0..24 {
                    prop_assert_eq!(index.get(key), map.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn a_full_index_says_so_and_still_answers() {
        let mut index = Index::<4>::new();
        for key in 0..4 {
            assert!(index.insert(key, key as usize));
        }
        assert!(!index.insert(9, 9));
        assert_eq!(index.get(9), None);
        index.remove(9);
        assert_eq!(index.get(3), Some(3));
    }
}
