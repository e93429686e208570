//! The start: the directory is made and locked, and what an earlier logger has left becomes archives.

use super::archive::{Archiver, End};
use super::place::{Doing, Failed, Place, is_complete};
use super::{Report, Settings};
use crate::sys::lock::{Owner, Patience};
use crate::sys::{Errno, Fd, append, entry, file, identity, lock};
use crate::{fault_errno, fault_point};
use rustix::fs::OFlags;

/// What a logdir begins with.
pub struct Start {
    /// The directory.
    pub place: Place,
    /// `current`, open.
    pub current: Fd,
    /// Its size.
    pub size: u64,
}

/// Opens it. The error is an exit code; why has been said.
pub fn start(settings: &Settings, archiver: &mut Archiver, report: &Report<'_>) -> Result<Start, i32> {
    let mask = identity::set_umask(0o077);
    identity::set_umask(mask);
    let mut place = Place { dir: Fd::NONE, path: settings.path, mode: 0o666 & !mask };
    let opened = make(&mut place).and_then(|made| {
        let (current, size) = recover(&place, settings, archiver, report)?;
        if settings.gathers() {
            // Best effort: what is written later is synced, and says if that fails.
            let _ = append::sync_dir(place.dir, c".");
            let _ = made.then(|| append::sync_dir(place.dir, c".."));
        }
        Ok((current, size))
    });
    match opened {
        Ok((current, size)) => Ok(Start { place, current, size }),
        Err(failed) => Err(report.cli.fail(place.unable(&failed))),
    }
}

/// Makes the directory, unless it is there, and locks it: the lock lasts as long as the process. Answers whether it was made.
fn make(place: &mut Place) -> Result<bool, Failed> {
    let there = file::open_dir(Fd::CWD, place.path);
    if there == Err(Errno::NOENT) {
        file::make_dir(Fd::CWD, place.path, 0o2700).doing(&["mkdir", "/"])?;
        fault_point!("log.mkdir");
    }
    let made = there == Err(Errno::NOENT);
    place.dir = there.or_else(|_| file::open_dir(Fd::CWD, place.path)).doing(&["open", "/"])?;
    // A lock of the process, as s6's: one that opens the same directory twice is not its own rival.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK;
    let mut fd = file::open(place.dir, c"lock", flags, 0o666).doing(&["open", "/lock"])?;
    let locked = lock::take(fd, false, Owner::Process, Patience::None);
    if let Err(e) = locked {
        fd.close();
        return Err(if e == Errno::AGAIN { Errno::BUSY } else { e }).doing(&["lock", "/lock"]);
    }
    fault_point!("log.locked");
    Ok(made)
}

/// Archives what was left, and opens `current`; answers its size too.
fn recover(
    place: &Place,
    settings: &Settings,
    archiver: &mut Archiver,
    report: &Report<'_>,
) -> Result<(Fd, u64), Failed> {
    let dir = place.dir;
    let left = append::status(dir, c"current").doing(&["stat", "/current"])?;
    match left.filter(|left| is_complete(left.mode)) {
        Some(_) => {
            // A processor without a state could not begin, and would be tried for ever.
            if !file::exists(dir, c"state").unwrap_or(true) {
                let _ = file::truncate(dir, c"state");
            }
        }
        None => {
            // What does not go is written over later, or in the way: then that says so.
            let _ = entry::remove(dir, c"state");
            fault_point!("log.state.removed");
            let _ = entry::remove(dir, c"newstate");
            fault_point!("log.newstate.removed");
            let processed = append::status(dir, c"processed").doing(&["stat", "/processed"])?;
            let previous = append::status(dir, c"previous").doing(&["stat", "/previous"])?;
            if processed.is_some_and(|processed| is_complete(processed.mode)) {
                let _ = entry::remove(dir, c"previous");
                fault_point!("log.previous.removed");
                let done = archiver.archive(place, c"processed", End::Rotated, settings, report);
                done.doing(&["finish processed .s for logdir", "/"])?;
            } else {
                let _ = entry::remove(dir, c"processed");
                let done = archiver.archive(place, c"previous", End::Unclean, settings, report);
                done.doing(&["finish previous .u for logdir", "/"])?;
            }
            // A rotation had begun a new log, and had not ended: that it is empty is no log of its own.
            let is_begun = left.is_some_and(|left| left.size == 0) && (previous.is_some() || processed.is_some());
            if !is_begun {
                let done = archiver.archive(place, c"current", End::Unclean, settings, report);
                done.doing(&["finish current .u for logdir", "/"])?;
            }
            fault_point!("log.recovered");
            file::truncate(dir, c"state").doing(&["open", "/state"])?;
            fault_point!("log.state.made");
        }
    }
    let made = fault_errno!("log.create").and_then(|()| append::open(dir, c"current"));
    let mut current = made.doing(&["open", "/current"])?;
    fault_point!("log.current.made");
    let size = append::set_mode(current, place.mode).and_then(|()| file::size(current));
    fault_point!("log.opened");
    if size.is_err() {
        current.close();
    }
    Ok((current, size.doing(&["fchmod", "/current"])?))
}
