//! Files that are appended to, archived by a second name, and synced to their disk, by directory descriptor and name.

use super::{Errno, Fd, Result, file};
use core::ffi::CStr;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};

/// What is known of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// Bytes.
    pub size: u64,
    /// Permissions: all twelve bits.
    pub mode: u32,
    /// Whether it has another name.
    pub linked: bool,
}

/// Opens a file to append to it, never waiting; makes it with mode 0666 less the umask if it is not there.
pub fn open(dir: Fd, name: &CStr) -> Result<Fd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NONBLOCK;
    file::open(dir, name, flags, 0o666)
}

/// write(2), once: how many bytes of `bytes`, from the first on, have been written; not 0, unless there are none.
pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    loop {
        match rustix::io::write(fd, bytes) {
            Ok(0) if !bytes.is_empty() => return Err(Errno::IO),
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// What has been written is on its disk afterwards, and the size with it; times may not be.
pub fn sync_data(fd: Fd) -> Result<()> {
    rustix::fs::fdatasync(fd)
}

/// The names in `dir` (or in what `name` is there, such as `.` or `..`) are on its disk afterwards.
pub fn sync_dir(dir: Fd, name: &CStr) -> Result<()> {
    let mut fd = file::open(dir, name, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let done = file::sync(fd);
    fd.close();
    done
}

/// Permissions of an open file, whatever the umask.
pub fn set_mode(fd: Fd, mode: u32) -> Result<()> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
}

/// What is known of a file, links followed. `None`: there is none of this name.
pub fn status(dir: Fd, name: &CStr) -> Result<Option<Status>> {
    match rustix::fs::statat(dir, name, AtFlags::empty()) {
        Ok(stat) => {
            Ok(Some(Status { size: stat.st_size as u64, mode: stat.st_mode & 0o7777, linked: stat.st_nlink > 1 }))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// link(2). EEXIST: `to` is taken. EPERM, EOPNOTSUPP: there are no second names here.
pub fn link(dir: Fd, from: &CStr, to: &CStr) -> Result<()> {
    rustix::fs::linkat(dir, from, dir, to, AtFlags::empty())
}

/// Renames a file unless the new name is taken: EEXIST. On file systems that cannot do that in one step, in two.
pub fn rename_new(dir: Fd, from: &CStr, to: &CStr) -> Result<()> {
    match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => match status(dir, to)? {
            Some(_) => Err(Errno::EXIST),
            None => rustix::fs::renameat(dir, from, dir, to),
        },
        done => done,
    }
}
