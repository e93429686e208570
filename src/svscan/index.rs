//! Finding a slot by a key (a pid, a device and inode): the keys of all slots, side by side, searched one by one. Two
//! thousand take a microsecond or two, a few dozen share a page of memory, and nothing can collide. Derived: the keys
//! are in the records too.

/// The keys of the slots `0..N`.
pub struct Index<const N: usize> {
    /// A slot's key; 0: it has none.
    keys: [u64; N],
    /// Slots from here on never had one.
    high: usize,
}

impl<const N: usize> Index<N> {
    /// An empty index; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Self {
        Index { keys: [0; N], high: 0 }
    }

    /// The slot whose key is `key`; the first, if several have it.
    pub fn get(&self, key: u64) -> Option<usize> {
        let known = self.keys.get(..self.high).unwrap_or_default();
        if key == 0 { None } else { known.iter().position(|known| *known == key) }
    }

    /// Gives `slot` the key `key`, which is not 0, in place of the one it had. False: there is no such slot.
    pub fn insert(&mut self, key: u64, slot: usize) -> bool {
        let Some(place) = self.keys.get_mut(slot) else { return false };
        *place = key;
        self.high = self.high.max(slot + 1);
        true
    }

    /// Takes the key from the slot that has it.
    pub fn remove(&mut self, key: u64) {
        if let Some(place) = self.get(key).and_then(|slot| self.keys.get_mut(slot)) {
            *place = 0;
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

    proptest! {
        #[test]
        fn the_first_slot_with_the_key_is_found(operations in prop::collection::vec((any::<bool>(), 1u64..9, 0usize..8), 0..60)) {
            let mut index = Index::<8>::new();
            let mut model = [0u64; 8];
            for (insert, key, slot) in operations {
                if insert {
                    prop_assert!(index.insert(key, slot));
                    model[slot] = key;
                } else {
                    index.remove(key);
                    if let Some(slot) = model.iter().position(|known| *known == key) {
                        model[slot] = 0;
                    }
                }
                for key in 1..9 {
                    prop_assert_eq!(index.get(key), model.iter().position(|known| *known == key));
                }
            }
        }
    }

    #[test]
    fn nobody_has_the_key_zero_and_there_is_no_slot_beyond_the_table() {
        let mut index = Index::<4>::new();
        assert_eq!(index.get(0), None);
        assert!(!index.insert(7, 4));
        assert_eq!(index.get(7), None);
    }
}
