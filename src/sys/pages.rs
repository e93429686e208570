//! Memory by the page, for buffers that are seldom full: address space first, pages as they are touched.

use super::Result;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

const PAGE: usize = 4096;

/// Zeroed memory of `size` bytes, for the rest of the process's life. Nothing is charged for pages that nobody touches. ENOMEM.
pub fn reserve(size: usize) -> Result<&'static mut [u8]> {
    let (anywhere, writable) = (core::ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
    // SAFETY: a fresh anonymous mapping at an address that the kernel picks; it is never unmapped, and nobody else has it.
    unsafe {
        let at = mmap_anonymous(anywhere, size, writable, MapFlags::PRIVATE | MapFlags::NORESERVE)?;
        Ok(core::slice::from_raw_parts_mut(at.cast(), size))
    }
}

/// Gives the whole pages of `bytes`, a part of what [`reserve`] gave, back to the kernel: they hold zeros afterwards.
pub fn release(bytes: &mut [u8]) {
    let start = (bytes.as_ptr() as usize).next_multiple_of(PAGE) - bytes.as_ptr() as usize;
    let Some(rest) = bytes.get_mut(start..) else { return };
    let whole = rest.len() / PAGE * PAGE;
    if whole > 0 {
        // SAFETY: whole pages that the exclusive borrow covers; private anonymous memory reads as zeros afterwards, which
        // are valid bytes.
        let _ = unsafe { madvise(rest.as_mut_ptr().cast(), whole, Advice::LinuxDontNeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_pages_are_zero_and_their_neighbours_are_not() {
        let bytes = reserve(8 * PAGE).unwrap();
        bytes.fill(7);
        release(&mut bytes[100..5 * PAGE - 1]);
        assert!(bytes[..PAGE].iter().all(|byte| *byte == 7));
        assert!(bytes[PAGE..4 * PAGE].iter().all(|byte| *byte == 0));
        assert!(bytes[4 * PAGE..].iter().all(|byte| *byte == 7));
    }
}
