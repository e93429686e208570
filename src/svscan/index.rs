//! Finding a slot by a key (a pid, a device and inode): open addressing with linear probing. Derived: the keys are
//! in the records, the index holds slots only, and is rebuilt from them.

/// A hash index of at most `N` entries; keep it half empty. `N` a power of two, at most 32768.
pub struct Index<const N: usize>([Entry; N]);

#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    /// Slot plus one; 0: the entry is empty.
    slot: u16,
}

impl<const N: usize> Index<N> {
    /// An empty index; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Self {
        assert!(N.is_power_of_two() && N <= 32768);
        Index([Entry { key: 0, slot: 0 }; N])
    }

    /// Pids and inodes that are made one after the other are neighbours here, on one page of memory: mixing the bits
    /// better would make each touch a page of its own.
    fn home(key: u64) -> usize {
        key as usize % N
    }

    /// Where `key` is, or else where the run ends in which it would be.
    fn find(&self, key: u64) -> Option<(usize, bool)> {
        let mut at = Self::home(key);
        for _ in 0..N {
            match self.0[at] {
                Entry { slot: 0, .. } => return Some((at, false)),
                entry if entry.key == key => return Some((at, true)),
                _ => at = (at + 1) % N,
            }
        }
        None
    }

    /// The slot stored under `key`.
    pub fn get(&self, key: u64) -> Option<usize> {
        let (at, found) = self.find(key)?;
        found.then(|| usize::from(self.0[at].slot) - 1)
    }

    /// Stores `slot` under `key`, in place of what was there. False if the index is full.
    pub fn insert(&mut self, key: u64, slot: usize) -> bool {
        match self.find(key) {
            Some((at, _)) => {
                self.0[at] = Entry { key, slot: slot as u16 + 1 };
                true
            }
            None => false,
        }
    }

    /// Forgets `key`, and moves later entries of the same run up so that they are still found.
    pub fn remove(&mut self, key: u64) {
        let Some((mut hole, true)) = self.find(key) else { return };
        self.0[hole].slot = 0;
        let mut at = hole;
        for _ in 0..N {
            at = (at + 1) % N;
            let entry = self.0[at];
            if entry.slot == 0 {
                return;
            }
            // Movable unless its home lies behind the hole: then it would not be found there.
            let home = Self::home(entry.key);
            if at.wrapping_sub(home) % N >= at.wrapping_sub(hole) % N {
                self.0[hole] = entry;
                self.0[at].slot = 0;
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
