//! What the engine needs before it runs: signals, standard descriptors and limits as it wants them, and the scan
//! directory's own files.

use crate::service::waiting;
use crate::state::Header;
use crate::sys::process::Rlimit;
use crate::sys::{Errno, Fd, Result, file, signal};
use core::ffi::CStr;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Gives every signal its default action: an ignored SIGCHLD would keep all deaths from us, and services are not to
/// inherit what our starter ignored.
pub fn reset_signals() {
    for number in 1..=64 {
        signal::reset_action(number);
    }
}

/// Sees to it that 0, 1 and 2 are open, so that nothing else is opened under those numbers: what was closed becomes
/// the null device, or (before there is one) the root directory.
pub fn fill_stdio() {
    for number in 0..3 {
        if Fd(number).is_open() {
            continue;
        }
        let flags = if number == 0 { OFlags::RDONLY } else { OFlags::WRONLY };
        let opened = rustix::fs::open(c"/dev/null", flags, Mode::empty())
            .or_else(|_| rustix::fs::open(c"/", OFlags::PATH, Mode::empty()));
        if let Ok(fd) = opened {
            let mut fd = Fd::from_owned(fd);
            if fd.0 != number {
                let _ = fd.place(number);
                fd.close();
            }
        }
    }
}

/// Raises RLIMIT_NOFILE to what a full house needs, or as far as it goes; answers what children must get back.
pub fn raise_nofile(privileged: bool) -> Option<Rlimit> {
    let before = getrlimit(Resource::Nofile);
    let wanted = crate::limits::DESCRIPTORS;
    let hard = if privileged { before.maximum.map(|max| max.max(wanted)) } else { before.maximum };
    let soft = hard.map_or(wanted, |hard| hard.min(wanted));
    if before.current.is_none_or(|current| current >= soft) {
        return None;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: hard }) {
        Ok(()) => Some(before),
        Err(_) => {
            let within = Rlimit { current: before.maximum, maximum: before.maximum };
            setrlimit(Resource::Nofile, within).is_ok().then_some(before)
        }
    }
}

/// Opens the scan directory and `.s6-svscan/` in it: directory 0700, `lock` 0600 and locked, `control` FIFO 0600. Puts
/// the descriptors into the header. EAGAIN on the lock: another svscan runs here.
pub fn open_scandir(header: &mut Header, path: &CStr) -> core::result::Result<(), (&'static str, Errno)> {
    let scandir = file::open_dir(Fd::CWD, path).map_err(|e| ("open the scan directory", e))?;
    header.scandir_fd = scandir.0;
    rustix::process::fchdir(scandir).map_err(|e| ("change into the scan directory", e))?;
    make_dir(scandir, c".s6-svscan", 0o700).map_err(|e| ("make .s6-svscan", e))?;
    header.lock_fd = file::lock(scandir, c".s6-svscan/lock", 0o600).map_err(|e| ("lock .s6-svscan/lock", e))?.0;
    waiting::remove_stopping(scandir);
    let control = file::control_fifo(scandir, c".s6-svscan/control", 0o600);
    header.control_fd = control.map_err(|e| ("make .s6-svscan/control", e))?.0;
    let null = file::open(Fd::CWD, c"/dev/null", OFlags::RDWR, 0).map_err(|e| ("open /dev/null", e))?;
    header.null_fd = null.0;
    Ok(())
}

/// A directory with exactly this mode, made if it is missing. ENOTDIR: something else has the name.
pub fn make_dir(dir: Fd, path: &CStr, mode: u32) -> Result<()> {
    match rustix::fs::mkdirat(dir, path, Mode::from_raw_mode(mode)) {
        Ok(()) => rustix::fs::chmodat(dir, path, Mode::from_raw_mode(mode), AtFlags::empty()),
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(dir, path, AtFlags::empty())?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { Ok(()) } else { Err(Errno::NOTDIR) }
        }
        Err(e) => Err(e),
    }
}
