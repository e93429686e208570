//! What is handed to another program in a memfd that nobody can change any more.

use super::{Errno, Fd, Result, file};
use core::ffi::CStr;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Most bytes that are read of such a file: far more than a full arena.
const MOST: u64 = 512 * 1024 * 1024;

/// A memfd, close-on-exec, with what `fill` writes through the function that it is given; sealed then. ENOSYS, EMFILE, ENOMEM,
/// and what `fill` fails with.
pub fn create(name: &CStr, fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>) -> Result<Fd> {
    let mut fd = Fd::from_owned(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    let done =
        fill(&mut |bytes| file::write_all(fd, bytes)).and_then(|()| rustix::fs::fcntl_add_seals(fd, all_seals()));
    match done {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

fn all_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL
}

/// Runs `body` with all that is in a sealed memfd. EINVAL: it is none: it could change, or shrink, under us.
pub fn with_bytes<T>(fd: Fd, body: impl FnOnce(&[u8]) -> T) -> Result<T> {
    let sealed = rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(all_seals() - SealFlags::SEAL));
    let size = file::size(fd)?;
    if !sealed || size > MOST {
        return Err(Errno::INVAL);
    }
    if size == 0 {
        return Ok(body(&[]));
    }
    let size = size as usize;
    // SAFETY: a fresh mapping, at an address that the kernel picks, of a file that can neither change nor shrink; `body`
    // cannot keep the slice beyond the mapping's end.
    unsafe {
        let at = rustix::mm::mmap(core::ptr::null_mut(), size, ProtFlags::READ, MapFlags::PRIVATE, fd, 0)?;
        let result = body(core::slice::from_raw_parts(at.cast(), size));
        let _ = rustix::mm::munmap(at, size);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_can_be_read_and_not_changed() {
        let mut fd = create(c"test", |write| write(b"hand").and_then(|()| write(b"-over"))).unwrap();
        assert_eq!(with_bytes(fd, <[u8]>::to_vec), Ok(b"hand-over".to_vec()));
        assert_eq!(file::write_all(fd, b"x"), Err(Errno::PERM));
        fd.close();
        let mut empty = create(c"test", |_| Ok(())).unwrap();
        assert_eq!(with_bytes(empty, <[u8]>::len), Ok(0));
        empty.close();
    }

    #[test]
    fn what_could_change_is_not_read() {
        let mut file = file::open(Fd::CWD, c"/proc/self/exe", rustix::fs::OFlags::RDONLY, 0).unwrap();
        assert_eq!(with_bytes(file, <[u8]>::len), Err(Errno::INVAL));
        file.close();
        let mut open = Fd::from_owned(rustix::fs::memfd_create(c"test", MemfdFlags::ALLOW_SEALING).unwrap());
        assert_eq!(with_bytes(open, <[u8]>::len), Err(Errno::INVAL));
        open.close();
    }

    #[test]
    fn a_writer_that_fails_leaves_nothing_open() {
        assert_eq!(create(c"test", |_| Err(Errno::IO)), Err(Errno::IO));
    }
}
