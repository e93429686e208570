//! The run image: service templates, copied to the scan directory on tmpfs at every boot, so that services can be
//! changed at run time on a read-only root, and a reboot brings back what was shipped.

use crate::sys::{Errno, Fd, Result, dir, file};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::warning;
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};

/// Directories in directories, at most: service directories have two or three levels.
const DEPTH: u32 = 16;

/// Copies everything below `from` into the directory `to`, which exists: directories, files, symbolic links and FIFOs
/// with their modes and owners. What cannot be copied is reported; the rest is. Answers how many entries there were at
/// the top. ENOENT: there is no `from`.
pub fn copy(from: &CStr, to: Fd) -> Result<usize> {
    let mut source = file::open_dir(Fd::CWD, from)?;
    let mut count = 0;
    let done = dir::visit(source, c".", |name, _| {
        count += 1;
        copy_entry(source, to, name, DEPTH);
        ControlFlow::Continue(())
    });
    source.close();
    done.map(|()| count)
}

fn copy_entry(from: Fd, to: Fd, name: &CStr, depth: u32) {
    let done = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)
        .and_then(|stat| match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => copy_dir(from, to, name, depth).map(|()| stat),
            FileType::RegularFile => copy_file(from, to, name).map(|()| stat),
            FileType::Symlink => copy_link(from, to, name).map(|()| stat),
            FileType::Fifo => rustix::fs::mkfifoat(to, name, Mode::from_raw_mode(0o600)).map(|()| stat),
            _ => Err(Errno::OPNOTSUPP),
        })
        .and_then(|stat| set_owner_and_mode(to, name, &stat));
    if let Err(e) = done {
        warning!("run image: cannot copy {}: {}", Printable(name.to_bytes()), Reason(e));
    }
}

fn copy_dir(from: Fd, to: Fd, name: &CStr, depth: u32) -> Result<()> {
    let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    match rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(e),
    }
    let mut source = file::open_dir(from, name)?;
    let target = file::open_dir(to, name);
    let done = target.and_then(|mut target| {
        let done = dir::visit(source, c".", |name, _| {
            copy_entry(source, target, name, depth);
            ControlFlow::Continue(())
        });
        target.close();
        done
    });
    source.close();
    done
}

fn copy_file(from: Fd, to: Fd, name: &CStr) -> Result<()> {
    let mut source = file::open(from, name, OFlags::RDONLY | OFlags::NOFOLLOW, 0)?;
    let target = file::open(to, name, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW, 0o600);
    let done = target.and_then(|mut target| {
        let done = copy_bytes(source, target);
        target.close();
        done
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
    let mut buf = [core::mem::MaybeUninit::<u8>::uninit(); 1024];
    let (target, _) = rustix::fs::readlinkat_raw(from, name, &mut buf[..])?;
    let path = crate::text::CPath::<1024>::of(&[target]);
    match rustix::fs::symlinkat(path.path()?, to, name) {
        Err(Errno::EXIST) => Ok(()),
        done => done,
    }
}

fn set_owner_and_mode(to: Fd, name: &CStr, stat: &Stat) -> Result<()> {
    if (stat.st_uid, stat.st_gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Ok(());
    }
    rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())
}
