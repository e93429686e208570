//! Trees of directories: copying them, removing them.

use super::{Errno, Fd, Result, dir, file};
use crate::text::CPath;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};

/// Directories in directories, at most: service directories have two or three levels.
const DEPTH: u32 = 16;

/// Where the copying is: the path below the top, for reports.
struct Place<'a> {
    path: CPath<512>,
    depth: u32,
    report: &'a mut dyn FnMut(&[u8], Errno),
}

/// Copies everything below the directory `from` into the directory `to`: directories, files, symbolic links and FIFOs with
/// their modes and owners. What cannot be copied is reported, with its path below `from`; the rest is copied. Errors:
/// `from` cannot be read.
pub fn copy(from: Fd, to: Fd, report: &mut dyn FnMut(&[u8], Errno)) -> Result<()> {
    let mut place = Place { path: CPath::new(), depth: 0, report };
    dir::visit(from, c".", |name, _| {
        place.copy_entry(from, to, name);
        ControlFlow::Continue(())
    })
}

/// Removes the entry `name` of `dir` and, if it is a directory, everything below. ENOENT: there is none. ELOOP: it is
/// deeper than sixteen directories.
pub fn remove(dir: Fd, name: &CStr) -> Result<()> {
    remove_at(dir, name, 0)
}

fn remove_at(parent: Fd, name: &CStr, depth: u32) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        // One more than a copy has: what has been copied can be removed.
        Err(Errno::ISDIR | Errno::PERM) if depth <= DEPTH => {}
        Err(Errno::ISDIR) => return Err(Errno::LOOP),
        done => return done,
    }
    let mut inside = file::open(parent, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)?;
    let done = empty(inside, depth);
    inside.close();
    done.and_then(|()| rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR))
}

/// Removes what is in a directory. Again, until nothing was found: some file systems lose their place when entries go.
fn empty(inside: Fd, depth: u32) -> Result<()> {
    loop {
        let (mut found, mut done) = (false, Ok(()));
        dir::visit(inside, c".", |name, _| {
            found = true;
            done = remove_at(inside, name, depth + 1);
            if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        done?;
        if !found {
            return Ok(());
        }
    }
}

/// Removes all that is in a directory, as far as it lies on `device`: what is mounted there stays, with the directories that
/// lead to it. What cannot be removed stays too.
pub fn empty_device(dir: Fd, device: u64) {
    empty_to(dir, device, 0);
}

fn empty_to(inside: Fd, device: u64, depth: u32) {
    // Again, as long as something goes: some file systems lose their place when entries do.
    loop {
        let mut removed = false;
        let _ = dir::visit(inside, c".", |name, _| {
            removed |= remove_on(inside, name, device, depth);
            ControlFlow::Continue(())
        });
        if !removed {
            return;
        }
    }
}

fn remove_on(parent: Fd, name: &CStr, device: u64, depth: u32) -> bool {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => return true,
        Err(Errno::ISDIR | Errno::PERM) if depth <= DEPTH => {}
        Err(_) => return false,
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let Ok(mut below) = file::open(parent, name, flags, 0) else { return false };
    if rustix::fs::fstat(below).is_ok_and(|stat| stat.st_dev == device) {
        empty_to(below, device, depth + 1);
    }
    below.close();
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).is_ok() // EBUSY: something is mounted there
}

impl Place<'_> {
    fn copy_entry(&mut self, from: Fd, to: Fd, name: &CStr) {
        let above = self.path.len();
        self.path.push(if above > 0 { b"/" } else { b"" });
        self.path.push(name.to_bytes());
        let done = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).and_then(|stat| {
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.copy_dir(from, to, name)?,
                FileType::RegularFile => copy_file(from, to, name)?,
                FileType::Symlink => copy_link(from, to, name)?,
                FileType::Fifo => present(rustix::fs::mkfifoat(to, name, Mode::from_raw_mode(0o600)))?,
                _ => return Err(Errno::OPNOTSUPP),
            }
            set_owner_and_mode(to, name, &stat)
        });
        if let Err(e) = done {
            (self.report)(self.path.as_bytes(), e);
        }
        self.path.truncate(above);
    }

    fn copy_dir(&mut self, from: Fd, to: Fd, name: &CStr) -> Result<()> {
        if self.depth == DEPTH {
            return Err(Errno::LOOP);
        }
        present(rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)))?;
        let mut source = file::open_dir(from, name)?;
        let done = file::open_dir(to, name).and_then(|mut target| {
            self.depth += 1;
            let done = dir::visit(source, c".", |name, _| {
                self.copy_entry(source, target, name);
                ControlFlow::Continue(())
            });
            self.depth -= 1;
            target.close();
            done
        });
        source.close();
        done
    }
}

/// Where /run is not a tmpfs, things may be there from the last time.
fn present(made: Result<()>) -> Result<()> {
    made.or_else(|e| if e == Errno::EXIST { Ok(()) } else { Err(e) })
}

/// A file that cannot be copied whole is not there at all: half a script would be run.
fn copy_file(from: Fd, to: Fd, name: &CStr) -> Result<()> {
    let mut source = file::open(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK, 0)?;
    let target = file::open(to, name, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW, 0o600);
    let done = target.and_then(|mut target| {
        let done = copy_bytes(source, target);
        target.close();
        done.inspect_err(|_| {
            let _ = file::remove(to, name);
        })
    });
    source.close();
    done
}

fn copy_bytes(from: Fd, to: Fd) -> Result<()> {
    let mut buf = [0u8; 2048];
    loop {
        match file::read_full(from, &mut buf)? {
            0 => return Ok(()),
            n => file::write_all(to, buf.get(..n).unwrap_or_default())?,
        }
    }
}

fn copy_link(from: Fd, to: Fd, name: &CStr) -> Result<()> {
    let mut buf = [MaybeUninit::<u8>::uninit(); 1024];
    let (target, _) = rustix::fs::readlinkat_raw(from, name, &mut buf[..])?;
    present(rustix::fs::symlinkat(CPath::<1024>::of(&[target]).path()?, to, name))
}

fn set_owner_and_mode(to: Fd, name: &CStr, stat: &Stat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    // What we make is ours; only root can give it away.
    if rustix::process::geteuid().is_root() && !(uid.is_root() && gid.is_root()) {
        rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Ok(()),
        _ => rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    fn scratch(name: &str) -> (PathBuf, Fd) {
        let path = std::env::temp_dir().join(format!("linchpin-tree-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let c_path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        (path, file::open_dir(Fd::CWD, &c_path).unwrap())
    }

    #[test]
    fn a_tree_is_copied_with_its_modes_and_links_and_removed_as_a_whole() {
        let (path, mut top) = scratch("copy");
        std::fs::create_dir_all(path.join("from/sub/deep")).unwrap();
        std::fs::create_dir(path.join("to")).unwrap();
        std::fs::write(path.join("from/sub/run"), "text").unwrap();
        std::fs::set_permissions(path.join("from/sub/run"), std::fs::Permissions::from_mode(0o751)).unwrap();
        symlink("/outside", path.join("from/sub/link")).unwrap();
        let (mut from, mut to) = (file::open_dir(top, c"from").unwrap(), file::open_dir(top, c"to").unwrap());
        copy(from, to, &mut |path, e| panic!("{path:?}: {e}")).unwrap();
        assert_eq!(std::fs::read(path.join("to/sub/run")).unwrap(), b"text");
        assert_eq!(std::fs::metadata(path.join("to/sub/run")).unwrap().permissions().mode() & 0o7777, 0o751);
        assert_eq!(std::fs::read_link(path.join("to/sub/link")).unwrap(), PathBuf::from("/outside"));
        assert!(path.join("to/sub/deep").is_dir());
        for i in 0..300 {
            std::fs::write(path.join(format!("to/sub/deep/{i}")), "").unwrap();
        }
        remove(to, c"sub").unwrap();
        assert_eq!(std::fs::read_dir(path.join("to")).unwrap().count(), 0);
        assert_eq!(remove(to, c"sub"), Err(Errno::NOENT));
        [&mut from, &mut to, &mut top].into_iter().for_each(Fd::close);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_device_is_emptied_and_links_are_not_followed() {
        let (path, mut top) = scratch("device");
        std::fs::create_dir_all(path.join("top/a/b")).unwrap();
        std::fs::create_dir(path.join("kept")).unwrap();
        std::fs::write(path.join("top/a/b/file"), "text").unwrap();
        symlink("../kept", path.join("top/link")).unwrap();
        let mut inside = file::open_dir(top, c"top").unwrap();
        let device = rustix::fs::fstat(inside).unwrap().st_dev;
        empty_device(inside, device + 1);
        assert!(path.join("top/a/b/file").exists() && !path.join("top/link").exists());
        empty_device(inside, device);
        assert_eq!(std::fs::read_dir(path.join("top")).unwrap().count(), 0);
        assert!(path.join("kept").exists());
        [&mut inside, &mut top].into_iter().for_each(Fd::close);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_a_link_points_to_is_not_removed() {
        let (path, mut top) = scratch("link");
        std::fs::create_dir_all(path.join("kept/file")).unwrap();
        std::fs::create_dir(path.join("gone")).unwrap();
        symlink("../kept", path.join("gone/link")).unwrap();
        remove(top, c"gone").unwrap();
        assert!(path.join("kept/file").exists());
        top.close();
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_is_too_deep_is_reported_and_not_removed() {
        let (path, mut top) = scratch("deep");
        std::fs::create_dir_all(path.join("from").join("d/".repeat(20))).unwrap();
        std::fs::create_dir(path.join("to")).unwrap();
        let (mut from, mut to) = (file::open_dir(top, c"from").unwrap(), file::open_dir(top, c"to").unwrap());
        let mut reports = Vec::new();
        copy(from, to, &mut |_, e| reports.push(e)).unwrap();
        assert_eq!(reports, [Errno::LOOP]);
        assert_eq!(remove(top, c"from"), Err(Errno::LOOP));
        [&mut from, &mut to, &mut top].into_iter().for_each(Fd::close);
        std::fs::remove_dir_all(path).unwrap();
    }
}
