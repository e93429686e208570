//! Directory entries: making, renaming and removing them; their kind, mode and group. By directory descriptor and
//! name; links are followed unless it says otherwise.

use super::{Errno, Fd, Result};
use crate::text::CPath;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fs::{AtFlags, Gid, Mode};

pub use rustix::fs::FileType;

/// Longest text of a dangling link that [`make_dir`] follows: s6's own limit.
const LINK: usize = 512;

/// mkfifo(3), with `mode` less the umask. EEXIST: the name is taken.
pub fn make_fifo(dir: Fd, path: &CStr, mode: u32) -> Result<()> {
    rustix::fs::mkfifoat(dir, path, Mode::from_raw_mode(mode))
}

/// Makes a directory of mode 0700 less the umask, unless there is one; says whether it did. Where `path` is a dangling
/// symbolic link it makes what that points to (one level). ENOTDIR: something else has that name. ENAMETOOLONG: the
/// link is longer than 511 bytes.
pub fn make_dir(dir: Fd, path: &CStr) -> Result<bool> {
    let private = Mode::from_raw_mode(0o700);
    match rustix::fs::mkdirat(dir, path, private) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => {}
        Err(e) => return Err(e),
    }
    match kind(dir, path) {
        Ok(FileType::Directory) => Ok(false),
        Ok(_) => Err(Errno::NOTDIR),
        Err(Errno::NOENT) => {
            let mut text = [MaybeUninit::<u8>::uninit(); LINK];
            let (target, rest) = rustix::fs::readlinkat_raw(dir, path, &mut text[..])?;
            if rest.is_empty() {
                return Err(Errno::NAMETOOLONG);
            }
            // The text counts from the directory that the link is in.
            let bytes = path.to_bytes();
            let parent = match bytes.iter().rposition(|b| *b == b'/') {
                Some(slash) if !target.starts_with(b"/") => bytes.get(..=slash).unwrap_or(b""),
                _ => b"",
            };
            let target = CPath::<{ 2 * LINK }>::of(&[parent, target]);
            rustix::fs::mkdirat(dir, target.path()?, private).map(|()| true)
        }
        Err(e) => Err(e),
    }
}

/// symlink(2): `path` that says `target`. EEXIST: the name is taken.
pub fn make_link(dir: Fd, path: &CStr, target: &CStr) -> Result<()> {
    rustix::fs::symlinkat(target, dir, path)
}

/// mkdir(2): a directory of mode 0777 less the umask. EEXIST: the name is taken.
pub fn new_dir(dir: Fd, path: &CStr) -> Result<()> {
    rustix::fs::mkdirat(dir, path, Mode::from_raw_mode(0o777))
}

/// unlink(2). ENOENT: there is none.
pub fn remove(dir: Fd, path: &CStr) -> Result<()> {
    rustix::fs::unlinkat(dir, path, AtFlags::empty())
}

/// rename(2), inside `dir`.
pub fn rename(dir: Fd, from: &CStr, to: &CStr) -> Result<()> {
    rustix::fs::renameat(dir, from, dir, to)
}

/// chmod(2): all twelve bits, whatever the umask.
pub fn set_mode(dir: Fd, path: &CStr, mode: u32) -> Result<()> {
    rustix::fs::chmodat(dir, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// chgrp(1).
pub fn set_group(dir: Fd, path: &CStr, group: u32) -> Result<()> {
    rustix::fs::chownat(dir, path, None, Some(Gid::from_raw(group)), AtFlags::empty())
}

/// Whose an entry is and who may what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The twelve mode bits.
    pub mode: u32,
}

/// The attributes of an entry.
pub fn attributes(dir: Fd, path: &CStr) -> Result<Attributes> {
    let stat = rustix::fs::statat(dir, path, AtFlags::empty())?;
    Ok(Attributes { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 })
}

/// What an entry is.
pub fn kind(dir: Fd, path: &CStr) -> Result<FileType> {
    rustix::fs::statat(dir, path, AtFlags::empty()).map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// The user that owns an entry.
pub fn owner(dir: Fd, path: &CStr) -> Result<u32> {
    rustix::fs::statat(dir, path, AtFlags::empty()).map(|stat| stat.st_uid)
}

/// As [`kind`], of a symbolic link itself.
pub fn kind_of_link(dir: Fd, path: &CStr) -> Result<FileType> {
    rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// What an open descriptor is.
pub fn kind_of(fd: Fd) -> Result<FileType> {
    rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// When an open directory last changed, in nanoseconds since 1970: at the latest when an entry was added, removed or
/// renamed. Nobody can set it back (st_ctime).
pub fn changed(dir: Fd) -> Result<u64> {
    let stat = rustix::fs::fstat(dir)?;
    Ok((stat.st_ctime as u64).wrapping_mul(1_000_000_000).wrapping_add(stat.st_ctime_nsec as u64))
}

/// rmdir(2). EBUSY, ENOTEMPTY: it is used still.
pub fn remove_dir(dir: Fd, path: &CStr) -> Result<()> {
    rustix::fs::unlinkat(dir, path, AtFlags::REMOVEDIR)
}
