//! What the engine needs before it runs: signals, standard descriptors and limits as it wants them, and the scan
//! directory's own files.

use super::Role;
use crate::error;
use crate::fault_point;
use crate::service::waiting;
use crate::state::{Header, Tables, Why, leave};
use crate::sys::fd::{Inherited, close_all_on_exec, close_inherited, note_inherited};
use crate::sys::memory::commit;
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

/// What is needed to begin: what was left open for us, the limit of descriptors, and what an earlier incarnation left. The
/// first thing after the arena is there, before anything else is opened. Answers what children get back as their limit.
pub fn begin(tables: &mut Tables, why: Why, role: Role) -> Option<Rlimit> {
    let header = &mut tables.header;
    let init = matches!(role, Role::Init(_));
    if why == Why::Fresh {
        let own = [Fd(header.arena_fd), Fd(header.exe_fd)];
        let inherited = if init { close_inherited(own) } else { note_inherited(own) };
        (header.own_from, header.inherited) = (inherited.own_from, inherited.mask);
    } else {
        let inherited = inherited(header);
        inherited.remember();
        close_all_on_exec(inherited);
    }
    leave::find_binary(header);
    // `supervise` needs few, and takes them within its own limit.
    if matches!(role, Role::Supervise(_)) { None } else { raise_nofile(header, init) }
}

/// What was left open for us, as the header has it.
pub fn inherited(header: &Header) -> Inherited {
    Inherited { own_from: header.own_from, mask: header.inherited }
}

/// What was left open for us is not our children's any more.
pub fn forget_inherited(header: &mut Header, fd: Fd) {
    let mut inherited = inherited(header);
    inherited.forget(fd.0);
    (header.own_from, header.inherited) = (inherited.own_from, inherited.mask);
}

/// Raises RLIMIT_NOFILE to what a full house needs, or as far as it goes; answers what children must get back. An earlier
/// incarnation may have raised it already: what it was then is in the header.
fn raise_nofile(header: &mut Header, privileged: bool) -> Option<Rlimit> {
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let limit = |number: u64| (number != u64::MAX).then_some(number);
    let before = getrlimit(Resource::Nofile);
    if header.nofile_soft != 0 {
        // What is more than we have ourselves was not given to us.
        if header.nofile_soft <= header.nofile_hard && header.nofile_hard <= number(before.maximum) {
            return Some(Rlimit { current: limit(header.nofile_soft), maximum: limit(header.nofile_hard) });
        }
        error!("the arena's header: the limit of descriptors for children is damaged: they have ours");
        header.nofile_soft = 0;
    }
    let wanted = crate::limits::DESCRIPTORS;
    let hard = if privileged { before.maximum.map(|max| max.max(wanted)) } else { before.maximum };
    let soft = hard.map_or(wanted, |hard| hard.min(wanted));
    if before.current.is_none_or(|current| current >= soft) {
        return None;
    }
    header.nofile_hard = number(before.maximum);
    commit(header);
    header.nofile_soft = number(before.current);
    commit(header);
    let done = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: hard })
        .or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum }));
    if done.is_err() {
        header.nofile_soft = 0;
    }
    done.is_ok().then_some(before)
}

/// Opens the scan directory and `.s6-svscan/` in it: directory 0700, `lock` 0600 and locked, `control` FIFO 0600. Puts
/// the descriptors into the header; those that are there, of an earlier incarnation, are kept. EAGAIN on the lock: another
/// svscan runs here.
pub fn open_scandir(header: &mut Header, path: &CStr) -> core::result::Result<(), (&'static str, Errno)> {
    if header.scandir_fd < 0 {
        header.scandir_fd = file::open_dir(Fd::CWD, path).map_err(|e| ("open the scan directory", e))?.0;
    }
    fault_point!("scandir.dir");
    let scandir = Fd(header.scandir_fd);
    rustix::process::fchdir(scandir).map_err(|e| ("change into the scan directory", e))?;
    make_dir(scandir, c".s6-svscan", 0o700).map_err(|e| ("make .s6-svscan", e))?;
    if header.lock_fd < 0 {
        let lock = file::lock(scandir, c".s6-svscan/lock", 0o600);
        let lock = lock.map_err(|e| ("lock .s6-svscan/lock", e))?;
        fault_point!("scandir.lock");
        header.lock_fd = lock.0;
    }
    waiting::remove_stopping(scandir);
    if header.control_fd < 0 {
        let control = file::control_fifo(scandir, c".s6-svscan/control", 0o600);
        let control = control.map_err(|e| ("make .s6-svscan/control", e))?;
        fault_point!("scandir.control");
        header.control_fd = control.0;
    }
    open_null(header).map_err(|e| ("open /dev/null", e))
}

fn open_null(header: &mut Header) -> Result<()> {
    if header.null_fd < 0 {
        header.null_fd = file::open(Fd::CWD, c"/dev/null", OFlags::RDWR, 0)?.0;
    }
    Ok(())
}

/// Opens again what the header has lost of that. The working directory is the scan directory, if there is one.
pub fn reopen_scandir(header: &mut Header) -> Result<()> {
    open_null(header)?;
    if !file::exists(Fd::CWD, c".s6-svscan/lock")? {
        return Ok(()); // the machine never had one
    }
    if header.scandir_fd < 0 {
        header.scandir_fd = file::open_dir(Fd::CWD, c".")?.0;
    }
    let scandir = Fd(header.scandir_fd);
    if header.lock_fd < 0 {
        header.lock_fd = file::lock(scandir, c".s6-svscan/lock", 0o600)?.0;
    }
    if header.control_fd < 0 {
        header.control_fd = file::control_fifo(scandir, c".s6-svscan/control", 0o600)?.0;
    }
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
