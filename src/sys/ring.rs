//! The memory of a log's ring: a file that is mapped shared, so that what is stored into it is there for others at once, and
//! outlives the process whatever ends it.

use super::{Errno, Fd, Result, file};
use core::sync::atomic::{Ordering, fence};
use rustix::fs::FallocateFlags;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const PAGE: u64 = 4096;

/// The first `size` bytes of an open file have room on its file system afterwards, so that storing into a mapping of them
/// cannot fail; the file is at least so long. ENOSPC, EDQUOT: there is no room.
pub fn allocate(fd: Fd, size: u64) -> Result<()> {
    loop {
        match rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, size) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return touch(fd, size),
            done => return done,
        }
    }
}

/// The same where the file system cannot do it: writes a byte of each page, the one that is there.
fn touch(fd: Fd, size: u64) -> Result<()> {
    if file::size(fd)? < size {
        rustix::fs::ftruncate(fd, size)?;
    }
    let mut at = 0;
    while at < size {
        let mut byte = [0];
        file::read_at(fd, &mut byte, at)?;
        match rustix::io::pwrite(fd, &byte, at) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
            Ok(_) => at += PAGE,
        }
    }
    Ok(())
}

/// Maps the first `size` bytes of an open file, which [`allocate`] has dealt with, for the rest of the process's life.
/// ENODEV: its file system has no such mappings.
///
/// Whoever calls this holds the lock that keeps all others from writing to the file, and maps it once. (Somebody who makes
/// the file shorter all the same kills the process: SIGBUS.)
pub fn map(fd: Fd, size: usize) -> Result<&'static mut [u8]> {
    let (anywhere, writable) = (core::ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
    // SAFETY: a fresh mapping at an address that the kernel picks; it is never unmapped, and nobody else writes to it.
    unsafe {
        let at = mmap(anywhere, size, writable, MapFlags::SHARED, fd, 0)?;
        Ok(core::slice::from_raw_parts_mut(at.cast(), size))
    }
}

/// As [`map`], for `body` only.
pub fn with_map<T>(fd: Fd, size: usize, body: impl FnOnce(&mut [u8]) -> T) -> Result<T> {
    let bytes = map(fd, size)?;
    let at = bytes.as_mut_ptr();
    let done = body(bytes);
    // SAFETY: it is the mapping made above, and what was lent of it is gone: `body` could not keep it.
    let _ = unsafe { munmap(at.cast(), size) };
    Ok(done)
}

/// What was stored into `bytes` until here is in memory before anything that is stored after it: for a process that reads
/// the file meanwhile, and for the one that finds it when this one has been killed at the next instruction.
#[inline(always)]
pub fn order(bytes: &mut [u8]) {
    // SAFETY: no instruction at all; but the compiler must assume that one reads and writes what is at this address.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) bytes.as_mut_ptr(), options(nostack, preserves_flags));
    }
    fence(Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::OFlags;

    #[test]
    fn what_is_stored_is_in_the_file_and_pages_are_touched_without_changing_them() {
        let name = std::ffi::CString::new(format!("/tmp/linchpin-ring-{}", std::process::id())).unwrap();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let mut fd = file::open(Fd::CWD, &name, flags, 0o600).unwrap();
        allocate(fd, 3 * PAGE).unwrap();
        let bytes = map(fd, 3 * PAGE as usize).unwrap();
        bytes.fill(7);
        order(bytes);
        touch(fd, 5 * PAGE).unwrap();
        let mut found = [1; 5 * PAGE as usize];
        assert_eq!(file::read_at(fd, &mut found, 0), Ok(found.len()));
        assert!(found[..3 * PAGE as usize].iter().all(|byte| *byte == 7));
        assert!(found[3 * PAGE as usize..].iter().all(|byte| *byte == 0));
        assert_eq!(with_map(fd, PAGE as usize, |bytes| bytes[9]), Ok(7));
        fd.close();
        std::fs::remove_file(name.to_str().unwrap()).unwrap();
    }
}
