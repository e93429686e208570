//! Copying a directory with all that is in it, as service directories need it: the run image at boot, templates of
//! instances.

use super::{Errno, Fd, Result, dir, file};
use crate::text::CPath;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};

/// Directories in directories, at most: service directories have two or three levels.
const DEPTH: u32 = 16;

/// Copies everything in the directory `from` into the directory `to`: directories, files, symbolic links and FIFOs, with
/// their modes and, for root, their owners; set-user-ID bits too. Each entry that cannot be copied is given to `failed`,
/// by its path below `from`, which says whether to go on. EOPNOTSUPP: it is a device or a socket. ELOOP: it lies deeper
/// than 16 directories. The error of the whole: `from` cannot be read.
pub fn copy_below(from: Fd, to: Fd, failed: &mut dyn FnMut(&[u8], Errno) -> ControlFlow<()>) -> Result<()> {
    let mut place = Place { path: CPath::new(), depth: 0, failed };
    dir::visit(from, c".", |name, _| place.copy_entry(from, to, name))
}

/// Where the copying is: the path below the beginning, for messages.
struct Place<'a> {
    path: CPath<512>,
    depth: u32,
    failed: &'a mut dyn FnMut(&[u8], Errno) -> ControlFlow<()>,
}

impl Place<'_> {
    fn copy_entry(&mut self, from: Fd, to: Fd, name: &CStr) -> ControlFlow<()> {
        let above = self.path.len();
        self.path.push(if above > 0 { b"/" } else { b"" });
        self.path.push(name.to_bytes());
        let mut flow = ControlFlow::Continue(());
        let done = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).and_then(|stat| {
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => flow = self.copy_dir(from, to, name)?,
                FileType::RegularFile => copy_file(from, to, name)?,
                FileType::Symlink => copy_link(from, to, name)?,
                FileType::Fifo => present(rustix::fs::mkfifoat(to, name, Mode::from_raw_mode(0o600)))?,
                _ => return Err(Errno::OPNOTSUPP),
            }
            set_owner_and_mode(to, name, &stat)
        });
        if let Err(e) = done {
            flow = (self.failed)(self.path.as_bytes(), e);
        }
        self.path.truncate(above);
        flow
    }

    fn copy_dir(&mut self, from: Fd, to: Fd, name: &CStr) -> Result<ControlFlow<()>> {
        if self.depth == DEPTH {
            return Err(Errno::LOOP);
        }
        present(rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)))?;
        let mut source = file::open_dir(from, name)?;
        let mut flow = ControlFlow::Continue(());
        let done = file::open_dir(to, name).and_then(|mut target| {
            self.depth += 1;
            let done = dir::visit(source, c".", |name, _| {
                flow = self.copy_entry(source, target, name);
                flow
            });
            self.depth -= 1;
            target.close();
            done
        });
        source.close();
        done.map(|()| flow)
    }
}

/// The target may have been copied to before.
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
    use crate::service::scratch::Scratch;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    /// The paths that failed, with `flow` as the answer to each.
    fn copied(from: &Scratch, to: &Scratch, flow: ControlFlow<()>) -> Vec<(String, Errno)> {
        let mut failures = Vec::new();
        let mut failed = |path: &[u8], e| {
            failures.push((String::from_utf8(path.to_vec()).unwrap(), e));
            flow
        };
        copy_below(from.fd, to.fd, &mut failed).unwrap();
        failures
    }

    const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

    #[test]
    fn what_is_copied_is_the_same() {
        let (from, to) = (Scratch::new(), Scratch::new());
        from.mkdir("data");
        from.write("data/check", [7; 5000]);
        from.write(".hidden", "");
        symlink("data/check", from.path.join("link")).unwrap();
        super::super::entry::make_fifo(from.fd, c"fifo", 0o600).unwrap();
        for (name, mode) in [(c"data/check", 0o4751), (c"data", 0o1770), (c"fifo", 0o622)] {
            super::super::entry::set_mode(from.fd, name, mode).unwrap();
        }
        assert_eq!(copied(&from, &to, GO_ON), []);
        assert_eq!(to.names("."), [".hidden", "data", "fifo", "link"]);
        assert_eq!(std::fs::read(to.path.join("data/check")).unwrap(), [7; 5000]);
        assert_eq!(std::fs::read_link(to.path.join("link")).unwrap().to_str(), Some("data/check"));
        assert_eq!([to.mode("data/check"), to.mode("data"), to.mode("fifo")], [0o4751, 0o1770, 0o622]);
        // Once more: what is there is replaced.
        from.write("data/check", "new");
        assert_eq!(copied(&from, &to, GO_ON), []);
        assert_eq!(std::fs::read(to.path.join("data/check")).unwrap(), b"new");
    }

    #[test]
    fn what_cannot_be_copied_is_told_and_the_rest_is_copied() {
        let (from, to) = (Scratch::new(), Scratch::new());
        from.mkdir("a");
        let _socket = UnixListener::bind(from.path.join("a/s")).unwrap();
        from.write("a/file", "");
        from.write("b", "");
        assert_eq!(copied(&from, &to, GO_ON), [("a/s".to_owned(), Errno::OPNOTSUPP)]);
        assert_eq!((to.names("a"), to.names(".")), (vec!["file".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn the_copying_stops_at_the_first_failure_if_told_to() {
        let (from, to) = (Scratch::new(), Scratch::new());
        for dir in ["a", "b"] {
            from.mkdir(dir);
            std::mem::forget(UnixListener::bind(from.path.join(dir).join("s")).unwrap());
        }
        assert_eq!(copied(&from, &to, ControlFlow::Break(())).len(), 1);
    }

    #[test]
    fn directories_in_directories_have_an_end() {
        let (from, to) = (Scratch::new(), Scratch::new());
        let path = "d/".repeat(17);
        std::fs::create_dir_all(from.path.join(&path)).unwrap();
        assert_eq!(copied(&from, &to, GO_ON), [(path.trim_end_matches('/').to_owned(), Errno::LOOP)]);
    }
}
