//! What is derived of each slot, for speed: its deadline in a heap that is in order, its pid and its identity to be
//! found by. The records have all of it too; here it lies side by side, so that a few services touch one page of memory
//! and two thousand are searched in a microsecond or two.

use crate::sys::time::Nanos;

/// The slots `0..N`; `N` at most 65535.
pub struct Slots<const N: usize> {
    /// Slots from here on were never used.
    high: usize,
    /// Entries of the heap.
    waiting: usize,
    /// Node `i` holds entry `i` of the heap, and what is known of slot `i`.
    nodes: [Node; N],
}

#[derive(Clone, Copy)]
struct Node {
    /// Deadline of the slot.
    deadline: Nanos,
    /// Key of its directory; 0: none.
    identity: u64,
    /// Pid of its process; 0: none.
    pid: i32,
    /// Its place in the heap plus one; 0: not in it.
    place: u16,
    /// The slot at this place of the heap.
    heap: u16,
}

impl<const N: usize> Slots<N> {
    /// Nothing known of any; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Self {
        Slots { high: 0, waiting: 0, nodes: [Node { deadline: 0, identity: 0, pid: 0, place: 0, heap: 0 }; N] }
    }

    fn known(&self) -> &[Node] {
        self.nodes.get(..self.high).unwrap_or_default()
    }

    fn node(&mut self, slot: usize) -> Option<&mut Node> {
        self.high = self.high.max(slot.saturating_add(1).min(N));
        self.nodes.get_mut(slot)
    }

    /// Notes the pid of a slot's process; 0: it has none. A slot outside the table is ignored.
    pub fn set_pid(&mut self, slot: usize, pid: i32) {
        if let Some(node) = self.node(slot) {
            node.pid = pid;
        }
    }

    /// The slot whose process has this pid.
    pub fn by_pid(&self, pid: i32) -> Option<usize> {
        if pid == 0 { None } else { self.known().iter().position(|node| node.pid == pid) }
    }

    /// Notes the key of a slot's directory; 0: it has none. A slot outside the table is ignored.
    pub fn set_identity(&mut self, slot: usize, key: u64) {
        if let Some(node) = self.node(slot) {
            node.identity = key;
        }
    }

    /// The slot whose directory has this key; the first, if several have.
    pub fn by_identity(&self, key: u64) -> Option<usize> {
        if key == 0 { None } else { self.known().iter().position(|node| node.identity == key) }
    }

    /// Sets the deadline of a slot; 0 takes it out. A slot outside the table is ignored.
    pub fn set_deadline(&mut self, slot: usize, deadline: Nanos) {
        let Some(node) = self.node(slot) else { return };
        match (node.place, deadline) {
            (0, 0) => {}
            (0, _) => {
                node.deadline = deadline;
                self.put(self.waiting, slot);
                self.waiting += 1;
                self.rise(self.waiting - 1);
            }
            (place, 0) => self.take_out(usize::from(place) - 1),
            (place, _) => {
                node.deadline = deadline;
                self.rise(usize::from(place) - 1);
                self.sink(usize::from(self.nodes[slot].place) - 1);
            }
        }
    }

    /// The earliest deadline.
    pub fn first(&self) -> Option<Nanos> {
        (self.waiting > 0).then(|| self.nodes[self.slot(0)].deadline)
    }

    /// Takes out a slot whose deadline has passed.
    pub fn expired(&mut self, now: Nanos) -> Option<usize> {
        if self.first()? > now {
            return None;
        }
        let slot = self.slot(0);
        self.take_out(0);
        Some(slot)
    }

    fn take_out(&mut self, at: usize) {
        let gone = self.slot(at);
        self.waiting -= 1;
        let last = self.slot(self.waiting);
        if at < self.waiting {
            self.put(at, last);
            self.rise(at);
            self.sink(usize::from(self.nodes[last].place) - 1);
        }
        self.nodes[gone].place = 0;
    }

    fn slot(&self, at: usize) -> usize {
        usize::from(self.nodes[at].heap)
    }

    fn put(&mut self, at: usize, slot: usize) {
        self.nodes[at].heap = slot as u16;
        self.nodes[slot].place = at as u16 + 1;
    }

    fn before(&self, a: usize, b: usize) -> bool {
        self.nodes[self.slot(a)].deadline < self.nodes[self.slot(b)].deadline
    }

    fn swap(&mut self, a: usize, b: usize) {
        let (x, y) = (self.slot(a), self.slot(b));
        self.put(a, y);
        self.put(b, x);
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.before(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.waiting && self.before(child, least) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }
}

impl<const N: usize> Default for Slots<N> {
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
        fn the_first_slot_with_the_key_is_found(changes in prop::collection::vec((0u64..9, 0usize..8), 0..60)) {
            let mut slots = Slots::<8>::new();
            let mut model = [0u64; 8];
            for (key, slot) in changes {
                slots.set_identity(slot, key);
                slots.set_pid(slot, key as i32);
                model[slot] = key;
                for key in 1..9 {
                    let expected = model.iter().position(|known| *known == key);
                    prop_assert_eq!(slots.by_identity(key), expected);
                    prop_assert_eq!(slots.by_pid(key as i32), expected);
                }
            }
        }
    }

    #[test]
    fn nobody_is_found_by_zero_and_nothing_is_known_beyond_the_table() {
        let mut slots = Slots::<4>::new();
        slots.set_pid(4, 7);
        slots.set_identity(4, 7);
        slots.set_deadline(4, 7);
        assert_eq!((slots.by_pid(7), slots.by_identity(7), slots.first()), (None, None, None));
        assert_eq!((slots.by_pid(0), slots.by_identity(0)), (None, None));
    }

    proptest! {
        #[test]
        fn deadlines_come_out_in_order_whatever_was_changed(
            changes in prop::collection::vec((0usize..16, 0u64..50), 0..80),
        ) {
            let mut slots = Slots::<16>::new();
            let mut model = [0u64; 16];
            for (slot, deadline) in changes {
                slots.set_deadline(slot, deadline);
                model[slot] = deadline;
                let least = model.iter().copied().filter(|d| *d > 0).min();
                prop_assert_eq!(slots.first(), least);
            }
            let mut out = Vec::new();
            while let Some(slot) = slots.expired(u64::MAX) {
                out.push(model[slot]);
                model[slot] = 0;
            }
            prop_assert!(out.is_sorted());
            prop_assert!(model.iter().all(|d| *d == 0));
        }
    }

    #[test]
    fn what_is_not_due_stays() {
        let mut slots = Slots::<4>::new();
        slots.set_deadline(2, 100);
        assert_eq!(slots.expired(99), None);
        assert_eq!(slots.expired(100), Some(2));
        assert_eq!(slots.expired(100), None);
    }
}
