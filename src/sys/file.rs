//! Small files, FIFOs and locks, by directory descriptor and name.

use super::{Errno, Fd, Result, raw};
use crate::text::CPath;
use crate::text::number::Decimal;
use core::ffi::CStr;
use linux_raw_sys::general as linux;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};

/// Opens a file; always close-on-exec, never the controlling terminal.
pub fn open(dir: Fd, path: &CStr, flags: OFlags, mode: u32) -> Result<Fd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(dir, path, flags, Mode::from_raw_mode(mode)).map(Fd::from_owned)
}

/// Opens a directory for use as the `dir` of other calls (O_PATH: no permission to read it is needed).
pub fn open_dir(dir: Fd, path: &CStr) -> Result<Fd> {
    open(dir, path, OFlags::PATH | OFlags::DIRECTORY, 0)
}

/// Runs `body` with the directory `path`, opened as by [`open_dir`] and closed after it.
pub fn with_dir<T>(path: &CStr, body: impl FnOnce(Fd) -> T) -> Result<T> {
    let mut dir = open_dir(Fd::CWD, path)?;
    let result = body(dir);
    dir.close();
    Ok(result)
}

/// Reads the first bytes of a file, up to the size of `buf`; never waits (O_NONBLOCK).
pub fn read<'a>(dir: Fd, path: &CStr, buf: &'a mut [u8]) -> Result<&'a [u8]> {
    let mut fd = open(dir, path, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    let done = read_full(fd, buf);
    fd.close();
    done.map(|n| &buf[..n])
}

/// read(2): what there is, at most what `buf` holds; 0 is the end.
pub fn read_some(fd: Fd, buf: &mut [u8]) -> Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *buf) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Reads until `buf` is full or the file ends.
pub fn read_full(fd: Fd, buf: &mut [u8]) -> Result<usize> {
    let mut at = 0;
    while at < buf.len() {
        match rustix::io::read(fd, &mut buf[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}

/// Reads from byte `offset` on until `buf` is full or the file ends.
pub fn read_at(fd: Fd, buf: &mut [u8], offset: u64) -> Result<usize> {
    let mut at = 0;
    while at < buf.len() {
        match rustix::io::pread(fd, &mut buf[at..], offset + at as u64) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}

/// Size of an open file.
pub fn size(fd: Fd) -> Result<u64> {
    rustix::fs::fstat(fd).map(|stat| stat.st_size as u64)
}

/// Writes all of `bytes`. On a non-blocking descriptor EAGAIN ends it half-way.
pub fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// What has been written to an open file is on its disk afterwards.
pub fn sync(fd: Fd) -> Result<()> {
    rustix::fs::fsync(fd)
}

/// Replaces file `name` by `bytes` so that readers see the old content or the new, never less: writes `scratch`,
/// then renames it. Mode 0666 less the umask.
pub fn replace(dir: Fd, name: &CStr, scratch: &CStr, bytes: &[u8]) -> Result<()> {
    let mut fd = open(dir, scratch, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK, 0o666)?;
    let done = write_all(fd, bytes);
    fd.close();
    done.and_then(|()| rustix::fs::renameat(dir, scratch, dir, name))
}

/// Creates an empty file, or empties it. Mode 0666 less the umask.
pub fn truncate(dir: Fd, name: &CStr) -> Result<()> {
    open(dir, name, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK, 0o666).map(|mut fd| fd.close())
}

/// Whether `path` exists, links followed. An error other than "not there" is passed on.
pub fn exists(dir: Fd, path: &CStr) -> Result<bool> {
    match rustix::fs::statat(dir, path, AtFlags::empty()) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(e),
    }
}

/// A FIFO that its reader never sees the end of: created with `mode` (exactly) if it is missing, opened for reading
/// and writing, non-blocking. EEXIST: something else has that name.
pub fn control_fifo(dir: Fd, path: &CStr, mode: u32) -> Result<Fd> {
    match rustix::fs::mkfifoat(dir, path, Mode::from_raw_mode(mode)) {
        Ok(()) => rustix::fs::chmodat(dir, path, Mode::from_raw_mode(mode), AtFlags::empty())?,
        Err(Errno::EXIST) => {}
        Err(e) => return Err(e),
    }
    let stat = rustix::fs::statat(dir, path, AtFlags::empty())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Err(Errno::EXIST);
    }
    open(dir, path, OFlags::RDWR | OFlags::NONBLOCK, 0)
}

/// Makes a pipe or FIFO keep at most `bytes` (rounded up to a power of two of pages), if it may; it goes on as it is if not.
pub fn limit_fifo(fifo: Fd, bytes: usize) {
    let _ = rustix::pipe::fcntl_setpipe_size(fifo, bytes);
}

/// Opens (creating it with `mode`, exactly) and write-locks a lock file. EAGAIN: somebody else holds it.
///
/// The lock belongs to the open file description (F_OFD_SETLK): it conflicts with the fcntl locks that s6 takes and
/// probes for, but is not lost when the process opens and closes the same file a second time.
pub fn lock(dir: Fd, path: &CStr, mode: u32) -> Result<Fd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    let mut fd = match open(dir, path, flags, 0) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => {
            let fd = open(dir, path, flags | OFlags::CREATE, mode)?;
            let _ = rustix::fs::fchmod(fd, Mode::from_raw_mode(mode));
            fd
        }
        Err(e) => return Err(e),
    };
    match lock_open(fd) {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

/// Write-locks an open file; see [`lock`].
pub fn lock_open(fd: Fd) -> Result<()> {
    match raw::file_lock(fd.0, linux::F_OFD_SETLK, linux::F_WRLCK) {
        Ok(_) => Ok(()),
        Err(Errno::ACCESS) => Err(Errno::AGAIN),
        Err(e) => Err(e),
    }
}

/// Whether somebody holds a write lock on an open file.
pub fn is_locked(fd: Fd) -> Result<bool> {
    raw::file_lock(fd.0, linux::F_OFD_GETLK, linux::F_RDLCK).map(|kind| kind != linux::F_UNLCK)
}

/// Makes a directory with `mode` less the umask; one that is there already will do. ENOTDIR: something else is there.
pub fn make_dir(dir: Fd, path: &CStr, mode: u32) -> Result<()> {
    match rustix::fs::mkdirat(dir, path, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(dir, path, AtFlags::empty())?;
            let there = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if there { Ok(()) } else { Err(Errno::NOTDIR) }
        }
        other => other,
    }
}

/// Sets the owner and the group of a file (of a symbolic link itself); `None`, and all ones, keep what there is.
pub fn set_owner(dir: Fd, path: &CStr, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let uid = uid.filter(|id| *id != u32::MAX).map(Uid::from_raw);
    let gid = gid.filter(|id| *id != u32::MAX).map(Gid::from_raw);
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    rustix::fs::chownat(dir, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

/// Sets the permissions of a file, whatever the umask; symbolic links are followed.
pub fn set_mode(dir: Fd, path: &CStr, mode: u32) -> Result<()> {
    rustix::fs::chmodat(dir, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// Removes a file (not a directory).
pub fn remove(dir: Fd, path: &CStr) -> Result<()> {
    rustix::fs::unlinkat(dir, path, AtFlags::empty())
}

/// Reads what a client wrote into a FIFO; `None` when there is nothing (more).
pub fn read_fifo(fd: Fd, buf: &mut [u8]) -> Result<Option<usize>> {
    match rustix::io::read(fd, buf) {
        Ok(0) | Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Ok(n) => Ok(Some(n)),
        Err(e) => Err(e),
    }
}

/// What an open descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// st_dev and st_ino, to recognise it again.
    pub identity: (u64, u64),
    /// Whether it is a socket.
    pub is_socket: bool,
}

/// Looks at an open descriptor. Does not wait for a remote file system (AT_STATX_DONT_SYNC). ENOSYS: a kernel before
/// 4.11.
pub fn about(fd: Fd) -> Result<About> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(fd, c"", flags, rustix::fs::StatxFlags::TYPE | rustix::fs::StatxFlags::INO)?;
    Ok(About {
        identity: (rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino),
        is_socket: FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Socket,
    })
}

/// st_dev and st_ino of what an open descriptor is. See [`about`].
pub fn identity(fd: Fd) -> Result<(u64, u64)> {
    about(fd).map(|about| about.identity)
}

/// The absolute path of an open file, as /proc tells. ENAMETOOLONG: it does not fit `buf` with a byte to spare. ENOENT:
/// it is outside our root.
pub fn path_of(fd: Fd, buf: &mut [u8]) -> Result<&[u8]> {
    let link = CPath::<32>::of(&[b"/proc/self/fd/", Decimal::new(fd.0 as u64).as_bytes()]);
    let n = rustix::fs::readlinkat_raw(Fd::CWD, link.path()?, &mut *buf)?;
    let (n, size) = (n, buf.len());
    if n == size {
        return Err(Errno::NAMETOOLONG);
    }
    buf.get(..n).filter(|path| path.starts_with(b"/")).ok_or(Errno::NOENT)
}

/// Whether two descriptors of one [`identity`] are the same open file: kcmp(2). Where the kernel does not tell, sockets
/// are, for they cannot be opened twice, and others are not.
pub fn is_same(a: Fd, b: Fd) -> bool {
    raw::is_same_file(a.0, b.0).unwrap_or_else(|_| {
        rustix::fs::fstat(a).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_outlives_a_second_open_and_close_in_the_same_process() {
        let name = std::ffi::CString::new(format!("/tmp/linchpin-lock-{}", std::process::id())).unwrap();
        let mut held = lock(Fd::CWD, &name, 0o644).unwrap();
        let mut other = open(Fd::CWD, &name, OFlags::RDONLY, 0).unwrap();
        assert!(is_locked(other).unwrap());
        other.close();
        assert_eq!(lock(Fd::CWD, &name, 0o644), Err(Errno::AGAIN));
        held.close();
        let mut again = lock(Fd::CWD, &name, 0o644).unwrap();
        again.close();
        std::fs::remove_file(name.to_str().unwrap()).unwrap();
    }
}
