//! The run image: service templates, copied to the scan directory on tmpfs at every boot, so that services can be
//! changed at run time on a read-only root, and a reboot brings back what was shipped.

use crate::sys::{Errno, Fd, Result, dir, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::warning;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};

/// Directories in directories, at most: service directories have two or three levels.
const DEPTH: u32 = 16;

/// Where the copying is: the path below the run image, for messages.
struct Place {
    path: CPath<512>,
    depth: u32,
}

/// Copies everything below `from` into the directory `to`, which exists: directories, files, symbolic links and FIFOs
/// with their modes and owners. What cannot be copied is reported; the rest is. Answers how many services there were
/// (entries at the top that do not begin with a dot). ENOENT: there is no `from`.
pub fn copy(from: &CStr, to: Fd) -> Result<usize> {
    let mut source = file::open_dir(Fd::CWD, from)?;
    let mut place = Place { path: CPath::new(), depth: 0 };
    let mut count = 0;
    let done = dir::visit(source, c".", |name, _| {
        count += usize::from(!name.to_bytes().starts_with(b"."));
        place.copy_entry(source, to, name);
        ControlFlow::Continue(())
    });
    source.close();
    done.map(|()| count)
}

impl Place {
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
            warning!("run image: cannot copy {}: {}", Printable(self.path.as_bytes()), Reason(e));
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
    if !(uid.is_root() && gid.is_root()) {
        rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Ok(()),
        _ => rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty()),
    }
}
