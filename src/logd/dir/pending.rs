//! Lines that wait in memory to be written to a logdir: whole ones, in their order.

use crate::limits::LOG_PENDING;
use crate::sys::{Result, pages};

/// What it has used beyond this is given back when nothing waits.
const KEEP: usize = 256 * 1024;

/// See above.
pub struct Pending {
    bytes: &'static mut [u8],
    /// What waits is from here...
    start: usize,
    /// ...to here.
    end: usize,
}

impl Pending {
    /// Nothing waits. ENOMEM: there is no address space left.
    pub fn new() -> Result<Pending> {
        Ok(Pending { bytes: pages::reserve(LOG_PENDING)?, start: 0, end: 0 })
    }

    /// Bytes that can still be pushed.
    pub fn room(&self) -> usize {
        self.bytes.len() - (self.end - self.start)
    }

    /// What waits.
    pub fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Adds `bytes`. False: there is no room, and nothing has been added.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        if self.bytes.len() - self.end < bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if let Some(room) = self.bytes.get_mut(self.end..self.end + bytes.len()) {
            room.copy_from_slice(bytes);
            self.end += bytes.len();
        }
        true
    }

    /// The first `count` bytes that wait have been written.
    pub fn written(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        if self.start == self.end {
            if self.end > KEEP {
                pages::release(self.bytes.get_mut(KEEP..self.end).unwrap_or_default());
            }
            (self.start, self.end) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_in_which_they_were_pushed() {
        let mut pending = Pending::new().unwrap();
        let (mut pushed, mut taken) = (0u32, 0u32);
        let mut state = 1u32;
        for _ in 0..200_000 {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            if state & 0x10000 != 0 {
                let block: Vec<u8> = (0..25).flat_map(|i| (pushed + i).to_le_bytes()).collect();
                let room = pending.room();
                assert_eq!(pending.push(&block), room >= 100);
                pushed += if room >= 100 { 25 } else { 0 };
            } else {
                let count = ((state >> 20) as usize % 200 * 4).min(pending.waiting().len());
                for number in pending.waiting()[..count].chunks(4) {
                    assert_eq!(number, taken.to_le_bytes());
                    taken += 1;
                }
                pending.written(count);
            }
            assert_eq!(pending.waiting().len(), (pushed - taken) as usize * 4);
        }
        assert!(taken > 0);
    }

    #[test]
    fn what_has_no_room_is_refused_as_a_whole() {
        let mut pending = Pending::new().unwrap();
        while pending.push(&[1; 100_000]) {}
        let room = pending.room();
        assert!(room < 100_000 && pending.push(&vec![2; room]) && !pending.push(&[3]));
        pending.written(1);
        assert!(pending.push(&[4]) && !pending.push(&[5]));
        assert_eq!((pending.waiting().len(), pending.waiting().last()), (LOG_PENDING, Some(&4)));
    }
}
