//! Finding free slots, and handles that notice when their slot has a new owner.

/// A slot and the generation of its owner: a handle that was kept too long matches nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    /// Slot in its table.
    pub slot: usize,
    /// Generation of the owner.
    pub generation: u32,
}

/// The first slot for which `used` answers 0.
pub fn free<T>(table: &[T], used: impl Fn(&T) -> u8) -> Option<usize> {
    table.iter().position(|record| used(record) == 0)
}

/// A checksum of the parts of a record that never change while it is in use: FNV-1a, folded to 32 bits.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for part in parts {
        for byte in *part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    (hash ^ hash >> 32) as u32
}
