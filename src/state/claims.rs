//! What the records of an arena lay claim to: descriptor numbers, each of which is named once, and processes, names and
//! directories, of which no two records have the same. Needed while an arena is checked, and until what nobody claims is
//! closed; then its memory can be given back.

use crate::limits::{DESCRIPTORS, HELD, JOBS, SERVICES};
use crate::sys::memory;
use zerocopy::{FromBytes, IntoBytes};

/// Descriptor numbers that are told apart; higher ones are all claimed.
const NUMBERS: usize = (DESCRIPTORS as usize).next_multiple_of(64);
/// Twice as many as there can be.
const KEYS: usize = (2 * (2 * SERVICES + HELD + JOBS)).next_power_of_two();

/// See the module.
#[derive(FromBytes, IntoBytes)]
#[repr(C)]
pub struct Claims {
    numbers: [u64; NUMBERS / 64],
    /// Open addressing; 0 is free.
    keys: [u64; KEYS],
}

/// What a key is of.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Of {
    /// A process.
    Process = 1,
    /// A service directory.
    Directory = 2,
    /// The identifier of a held descriptor.
    Identifier = 3,
}

impl Claims {
    /// None yet; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Self {
        Claims { numbers: [0; NUMBERS / 64], keys: [0; KEYS] }
    }

    /// Forgets all, and gives the memory back.
    pub fn discard(&mut self) {
        memory::discard(self.as_mut_bytes());
    }

    /// Forgets all. What was never touched is not touched.
    pub fn clear(&mut self) {
        for word in self.numbers.iter_mut().chain(&mut self.keys) {
            if *word != 0 {
                *word = 0;
            }
        }
    }

    /// Whether a record names this descriptor.
    pub fn has(&self, fd: i32) -> bool {
        match usize::try_from(fd) {
            Ok(fd) => self.numbers.get(fd / 64).is_none_or(|word| word >> (fd % 64) & 1 != 0),
            Err(_) => false,
        }
    }

    /// Claims a descriptor number; false: somebody has claimed it. A negative one is no descriptor.
    pub fn take(&mut self, fd: i32) -> bool {
        let Ok(fd) = usize::try_from(fd) else { return true };
        let Some(word) = self.numbers.get_mut(fd / 64) else { return true };
        let is_new = *word >> (fd % 64) & 1 == 0;
        *word |= 1 << (fd % 64);
        is_new
    }

    /// Claims something else; false: somebody has claimed it.
    pub fn take_key(&mut self, of: Of, parts: &[&[u8]]) -> bool {
        let mut key = 0xcbf2_9ce4_8422_2325u64 ^ of as u64;
        for byte in parts.iter().copied().flatten() {
            key = (key ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let key = (key ^ key >> 29).max(1);
        for step in 0..KEYS {
            let Some(place) = self.keys.get_mut((key as usize).wrapping_add(step) % KEYS) else { return true };
            if *place == key {
                return false;
            }
            if *place == 0 {
                *place = key;
                return true;
            }
        }
        true // it is full: that cannot be
    }
}

impl Default for Claims {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_twice_is_noticed_and_what_is_beyond_the_table_is_nobodys_to_close() {
        let mut claims = Box::new(Claims::new());
        assert!(claims.take(5) && claims.take(69) && !claims.take(5));
        assert!(claims.has(69) && !claims.has(6) && !claims.has(-1));
        assert!(claims.take(-1) && claims.take(-1));
        assert!(claims.has(NUMBERS as i32) && claims.has(i32::MAX) && claims.take(i32::MAX));
        assert!(claims.take_key(Of::Process, &[b"5"]) && claims.take_key(Of::Directory, &[b"5"]));
        assert!(!claims.take_key(Of::Process, &[b"5"]));
        claims.clear();
        assert!(claims.take(5) && claims.take_key(Of::Process, &[b"5"]));
    }
}
