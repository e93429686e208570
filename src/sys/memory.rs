//! The arena's memory: a memfd mapped shared, so that it outlives the program image that wrote it.

use super::{Errno, Fd, Result};
use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

const PAGE: usize = 4096;

/// Creates a memfd of `size` bytes (a multiple of the page size), sealed against changing its size. ENOSYS, ENOMEM.
pub fn create(name: &CStr, size: usize) -> Result<Fd> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, size as u64)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(Fd::from_owned(fd))
}

/// Whether this is a memfd with the seals of [`create`].
pub fn is_sealed(fd: Fd) -> bool {
    let wanted = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(wanted))
}

/// Maps all `size` bytes of a memfd, for the rest of the process's life. EINVAL: it has another size.
///
/// The one who calls this is the only one in the process to map this descriptor; a child that inherits the mapping
/// must not write to it.
pub fn map(fd: Fd, size: usize) -> Result<&'static mut [u8]> {
    if rustix::fs::fstat(fd)?.st_size as u64 != size as u64 {
        return Err(Errno::INVAL);
    }
    let (anywhere, writable) = (core::ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
    // SAFETY: a fresh mapping at an address that the kernel picks, of a file that cannot shrink; never unmapped.
    unsafe {
        let at = if cfg!(feature = "volatile") {
            rustix::mm::mmap_anonymous(anywhere, size, writable, MapFlags::PRIVATE)?
        } else {
            rustix::mm::mmap(anywhere, size, writable, MapFlags::SHARED, fd, 0)?
        };
        Ok(core::slice::from_raw_parts_mut(at.cast(), size))
    }
}

/// What was stored into `record` until here is in memory before anything that follows is: a process that is interrupted at
/// the next instruction leaves it so to its successor. The compiler may otherwise put off a store, or drop one that is
/// followed by another.
#[inline(always)]
pub fn commit<T: ?Sized>(record: &T) {
    if cfg!(feature = "volatile") {
        return;
    }
    // SAFETY: no instruction at all; but the compiler must assume that one reads what is at this address.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) core::ptr::from_ref(record).cast::<u8>(), options(nostack, preserves_flags));
    }
}

/// The stack may grow so far and no further, from here: what recurses without end is to be noticed before it has eaten
/// memory that a small machine does not have, and that takes time to be given back. Best effort.
pub fn limit_stack() {
    const ROOM: usize = 1024 * 1024;
    let here = 0u8;
    let at = (&raw const here as usize).saturating_sub(ROOM) / PAGE * PAGE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE | MapFlags::NORESERVE;
    // SAFETY: a page of its own, without any access, where nothing else is mapped (else it is refused).
    let _ = unsafe { rustix::mm::mmap_anonymous(at as *mut _, PAGE, ProtFlags::empty(), flags) };
}

/// Gives the whole pages inside `bytes`, which must be a part of a mapped arena, back to the kernel: they read as
/// zero from now on and cost nothing. Best effort.
pub fn release(bytes: &mut [u8]) {
    let start = (bytes.as_mut_ptr() as usize).next_multiple_of(PAGE);
    let end = (bytes.as_mut_ptr() as usize + bytes.len()) / PAGE * PAGE;
    if start >= end {
        return;
    }
    // SAFETY: whole pages inside an exclusive slice; MADV_REMOVE makes them zero, which is a valid value for bytes.
    let _ = unsafe { rustix::mm::madvise(start as *mut _, end - start, rustix::mm::Advice::LinuxRemove) };
}

/// Zeroes a buffer of our own that is not needed any more, and gives its whole pages back to the kernel.
pub fn discard(bytes: &mut [u8]) {
    let start = (bytes.as_mut_ptr() as usize).next_multiple_of(PAGE);
    let end = (bytes.as_mut_ptr() as usize + bytes.len()) / PAGE * PAGE;
    if start < end {
        // SAFETY: whole private pages inside an exclusive slice; they read as zero afterwards, as all bytes may.
        let _ = unsafe { rustix::mm::madvise(start as *mut _, end - start, rustix::mm::Advice::LinuxDontNeed) };
    }
    let edge = start.saturating_sub(bytes.as_ptr() as usize).min(bytes.len());
    bytes[..edge].fill(0);
    let tail = end.saturating_sub(bytes.as_ptr() as usize).clamp(edge, bytes.len());
    bytes[tail..].fill(0);
}

/// What is nothing if its bytes are zero.
///
/// # Safety
/// That must be so.
pub unsafe trait Blank {}
// SAFETY: zero is a number.
unsafe impl Blank for u8 {}
// SAFETY: a null pointer is zero on the machines that we know.
unsafe impl<T> Blank for *const T {}

/// Makes the first `used` elements of a buffer of our own nothing, and gives their pages back to the kernel, with those
/// that follow in the last of them. A buffer that begins at a page keeps none.
pub fn discard_pages<T: Blank>(buffer: &mut [T], used: usize) {
    let used = (used.min(buffer.len()) * size_of::<T>()).next_multiple_of(PAGE).min(size_of_val(buffer));
    // SAFETY: bytes of a buffer that we have exclusively, of which zero is a valid value.
    discard(unsafe { core::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), used) });
}

/// Lets memory from `start` to `end`, which is touched here and there only, be had by the page and not by huge pages:
/// where the kernel gives those to everybody, as Debian's does on machines of 512 MiB or more, the first byte that is written
/// would cost two megabytes. Best effort; kernels without huge pages refuse it.
pub fn keep_sparse(start: usize, end: usize) {
    /// The largest page there is; what is left over at the ends is too small to become a huge one.
    const LARGEST: usize = 64 * 1024;
    let (start, end) = (start.next_multiple_of(LARGEST), end / LARGEST * LARGEST);
    if start < end {
        // SAFETY: it changes nothing but how the kernel fills the mapping.
        let _ = unsafe { rustix::mm::madvise(start as *mut _, end - start, rustix::mm::Advice::LinuxNoHugepage) };
    }
}

/// The code that runs while booting, seldom, or only in commands: start and end. The binary's link script knows; in
/// tests there is no such part.
static SELDOM: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Tells where the code is that [`forget_seldom`] may let go of.
///
/// # Safety
/// `start..end` must be code of the binary's own file, mapped privately and never written.
pub unsafe fn set_seldom(start: usize, end: usize) {
    SELDOM[0].store(start, Ordering::Relaxed);
    SELDOM[1].store(end, Ordering::Relaxed);
}

/// Lets go of what was needed for something rare, such as booting or a scan: code that is seldom run (it is mapped
/// again when it is run again), and the stack below the caller.
pub fn forget_seldom() {
    const DEEPEST: usize = 256 * 1024;
    /// What the frames of this call and of the system calls in it may still need.
    const MARGIN: usize = 4096;
    let here = 0u8;
    let stack = (&raw const here as usize).saturating_sub(MARGIN);
    let (start, end) = (SELDOM[0].load(Ordering::Relaxed), SELDOM[1].load(Ordering::Relaxed));
    for (start, end) in [(start, end), (stack.saturating_sub(DEEPEST), stack)] {
        let (start, end) = (start / PAGE * PAGE, end / PAGE * PAGE);
        if start < end {
            // SAFETY: unmodified private pages of a file are read again when touched; nothing lives below the stack
            // pointer of a process that has one thread and no signal handler running.
            let _ = unsafe { rustix::mm::madvise(start as *mut _, end - start, rustix::mm::Advice::LinuxDontNeed) };
        }
    }
}
