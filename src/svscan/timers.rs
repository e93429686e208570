//! The services' deadlines in order: a binary heap of slots that knows where each slot is in it, so that a deadline
//! can be changed in place. Derived: the deadlines themselves are in the records.

use crate::sys::time::Nanos;

/// A heap over the slots `0..N`, each in it at most once. `N` at most 65535.
pub struct Timers<const N: usize> {
    len: usize,
    /// Node `i` holds the heap's entry `i`, and what is known of slot `i`: side by side, so that a few services touch
    /// one page of memory.
    nodes: [Node; N],
}

#[derive(Clone, Copy)]
struct Node {
    /// Deadline of the slot.
    key: Nanos,
    /// Its place in the heap plus one; 0: not in it.
    place: u16,
    /// The slot at this place of the heap.
    heap: u16,
}

impl<const N: usize> Timers<N> {
    /// No deadline at all; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Self {
        Timers { len: 0, nodes: [Node { key: 0, place: 0, heap: 0 }; N] }
    }

    /// Sets the deadline of a slot; 0 takes it out. A slot outside the table is ignored.
    pub fn set(&mut self, slot: usize, deadline: Nanos) {
        if slot >= N {
            return;
        }
        match (self.nodes[slot].place, deadline) {
            (0, 0) => {}
            (0, _) => {
                self.nodes[slot].key = deadline;
                self.put(self.len, slot);
                self.len += 1;
                self.rise(self.len - 1);
            }
            (place, 0) => self.remove(usize::from(place) - 1),
            (place, _) => {
                self.nodes[slot].key = deadline;
                let at = usize::from(place) - 1;
                self.rise(at);
                self.sink(usize::from(self.nodes[slot].place) - 1);
            }
        }
    }

    /// The earliest deadline and its slot.
    pub fn first(&self) -> Option<(usize, Nanos)> {
        (self.len > 0).then(|| (self.slot(0), self.nodes[self.slot(0)].key))
    }

    /// Takes out a slot whose deadline has passed.
    pub fn expired(&mut self, now: Nanos) -> Option<usize> {
        let (slot, deadline) = self.first()?;
        if deadline > now {
            return None;
        }
        self.remove(0);
        Some(slot)
    }

    fn remove(&mut self, at: usize) {
        let gone = self.slot(at);
        self.len -= 1;
        let last = self.slot(self.len);
        if at < self.len {
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
        self.nodes[self.slot(a)].key < self.nodes[self.slot(b)].key
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
                if child < self.len && self.before(child, least) {
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

impl<const N: usize> Default for Timers<N> {
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
        fn deadlines_come_out_in_order_whatever_was_changed(
            changes in prop::collection::vec((0usize..16, 0u64..50), 0..80),
        ) {
            let mut timers = Timers::<16>::new();
            let mut model = [0u64; 16];
            for (slot, deadline) in changes {
                timers.set(slot, deadline);
                model[slot] = deadline;
                let least = model.iter().copied().filter(|d| *d > 0).min();
                prop_assert_eq!(timers.first().map(|(_, d)| d), least);
            }
            let mut out = Vec::new();
            while let Some(slot) = timers.expired(u64::MAX) {
                out.push(model[slot]);
                model[slot] = 0;
            }
            prop_assert!(out.is_sorted());
            prop_assert!(model.iter().all(|d| *d == 0));
        }
    }

    #[test]
    fn what_is_not_due_stays() {
        let mut timers = Timers::<4>::new();
        timers.set(2, 100);
        assert_eq!(timers.expired(99), None);
        assert_eq!(timers.expired(100), Some(2));
        assert_eq!(timers.expired(100), None);
    }
}
