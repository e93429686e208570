//! Scanning: which services there are. A service is a directory of the scan directory, known by device and inode, not by
//! name; `NAME/log` makes a second record, its logger, and a pipe between the two whose ends the engine keeps for as
//! long as the records live. What a scan cannot judge it leaves as it was, and looks at again.

use super::Plan;
use super::engine::Engine;
use crate::limits::SERVICES;
use crate::service::kind;
use crate::service::machine::{self, State, Timer};
use crate::state::Service;
use crate::state::slot::checksum;
use crate::sys::memory::commit;
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, dir};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{fault_point, warning};
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::{AtFlags, FileType};
use rustix::pipe::{PipeFlags, pipe_with};

/// The service that logs what nobody else does.
const CATCH_ALL: &[u8] = b"s6-svscan-log";
/// The reserved name: the directory of the in-process fd-holder's socket.
pub const FDHOLDER: &[u8] = b"fdholder";
/// A scan that met something it could not judge is repeated after this.
const SCAN_AGAIN: Nanos = 5 * SECOND;

/// A scan is being done: if it is interrupted, another is due.
const SCANNING: Nanos = 2;

/// Hashes of what a scan complained about; those beyond are said again each time.
pub(super) type Complaints = heapless::Vec<u32, 16>;

/// What one scan has seen.
struct Pass {
    seen: [u32; SERVICES / 32],
    /// What was complained about: the same is not logged at every scan.
    complaints: Complaints,
    again: bool,
    skipped: usize,
}

/// Why a service has no logger although it has the directory for one.
enum NoLogger {
    /// It may get one later: the service waits for it.
    NotYet,
    /// It will not: the service does without.
    Never,
}

impl Engine {
    /// Scans the directory: new entries get records and supervisors, those that are gone are marked inactive.
    pub(super) fn scan(&mut self, now: Nanos) {
        if Plan::of(&self.tables.header) != Plan::Run {
            self.tables.header.scan_deadline = 0;
            return;
        }
        self.tables.header.scan_deadline = SCANNING;
        let mut pass = Pass { seen: [0; SERVICES / 32], complaints: Complaints::new(), again: false, skipped: 0 };
        let scandir = Fd(self.tables.header.scandir_fd);
        let read = dir::visit(scandir, c".", |name, kind| {
            if !name.to_bytes().starts_with(b".") {
                self.consider(name, kind, &mut pass, now);
            }
            ControlFlow::Continue(())
        });
        match read {
            Ok(()) => self.retire(&pass),
            Err(e) => {
                pass.again = true;
                pass.complain(
                    &self.complaints,
                    b"scandir",
                    format_args!("cannot read the scan directory: {}", Reason(e)),
                );
            }
        }
        if pass.skipped > 0 {
            let (skipped, max) = (pass.skipped, self.config.services_max);
            let how = if self.config.loggers_count { "loggers included" } else { "loggers not counted" };
            pass.complain(
                &self.complaints,
                b"too many",
                format_args!("{skipped} entries have no supervisor: there is room for {max}, {how}"),
            );
        }
        fault_point!("scan.done");
        let often = (self.config.rescan > 0).then_some(now + self.config.rescan);
        let again = pass.again.then_some(now + SCAN_AGAIN);
        let due = &mut self.tables.header.scan_deadline;
        if *due == SCANNING {
            *due = often.into_iter().chain(again).min().unwrap_or(0);
        }
        self.complaints = pass.complaints;
        self.wake_all_waiting(now);
    }

    /// Asks for a scan before anything else happens.
    pub(super) fn scan_soon(&mut self) {
        self.tables.header.scan_deadline = 1;
    }

    /// Marks inactive what a whole scan has not seen.
    fn retire(&mut self, pass: &Pass) {
        for slot in 0..self.high {
            let Some(service) = self.tables.services.get_mut(slot) else { continue };
            if service.used != 0 && !pass.has_seen(slot) {
                service.active = 0;
                if service.supervised == 0 {
                    self.release(slot); // it waited for its next supervisor: there will be none
                }
            }
        }
    }

    /// Looks at one entry.
    fn consider(&mut self, name: &CStr, kind: FileType, pass: &mut Pass, now: Nanos) {
        let bytes = name.to_bytes();
        if self.holder.is_some() && bytes == FDHOLDER {
            return;
        }
        let before = &self.complaints;
        if bytes.len() > self.config.name_max {
            let max = self.config.name_max;
            let shown = Printable(bytes);
            return pass.complain(before, bytes, format_args!("{shown}: the name is longer than {max}; skipped"));
        }
        let scandir = Fd(self.tables.header.scandir_fd);
        let (dev, ino) = match identify(scandir, name) {
            Ok(Some(identity)) => identity,
            Ok(None) => return,
            // It was removed while we looked.
            Err(Errno::NOENT) if !matches!(kind, FileType::Symlink | FileType::Unknown) => return,
            Err(e) => {
                pass.again = true;
                pass.complain(before, bytes, format_args!("{}: {}; skipped for now", Printable(bytes), Reason(e)));
                if e != Errno::NOENT {
                    self.keep(bytes, pass);
                }
                return;
            }
        };
        let (slot, is_new) = match self.find(dev, ino) {
            Some(slot) => {
                let Some(service) = self.tables.services.get(slot) else { return };
                // A logger that is linked into the scan directory too has its supervisor, and so has a second link.
                if service.kind == kind::LOGGER || pass.has_seen(slot) {
                    return;
                }
                if service.active == 0 && State::is_leaving(service) {
                    return; // a new one is made when the old one is over
                }
                (slot, false)
            }
            None => {
                let kind = if bytes == CATCH_ALL { kind::CATCH_ALL } else { kind::SERVICE };
                match self.create(bytes, kind, dev, ino) {
                    Some(slot) => (slot, true),
                    None => return pass.skipped += 1,
                }
            }
        };
        self.rename(slot, name, now);
        let logger = match self.logger_of(slot, name, pass) {
            Ok(logger) => logger,
            Err(NoLogger::NotYet) if is_new => return self.release(slot),
            Err(_) => None,
        };
        // Both are there before either begins: who is not is let go of on entry. The service is before its logger, which does
        // not go without it.
        for slot in [Some(slot), logger].into_iter().flatten() {
            pass.mark(slot);
            if let Some(service) = self.tables.services.get_mut(slot) {
                service.active = 1;
                commit(service);
            }
            fault_point!("scan.active");
        }
        // The logger first: when the service starts, somebody listens.
        for slot in [logger, Some(slot)].into_iter().flatten() {
            let Some(service) = self.tables.services.get(slot) else { continue };
            // One that could not have its supervisor is tried again: what was in its way may have been removed.
            let failed = service.trouble != 0 && Engine::earliest_supervisor(service, now) == now;
            if service.supervised == 0 && (failed || Timer::of(service) == Timer::None) {
                self.begin_supervisor(slot, now);
            }
        }
    }

    /// What has this name stays as it is: nobody can tell at the moment whether it should.
    fn keep(&self, name: &[u8], pass: &mut Pass) {
        for (slot, service) in self.used() {
            if service.name_bytes() == name {
                pass.mark(slot);
            }
        }
    }

    /// Gives a record, and its logger's, the name of its entry, unless the entry that it was named after is still
    /// there. A supervisor that was not found under the old name is tried again under the new one.
    fn rename(&mut self, slot: usize, name: &CStr, now: Nanos) {
        let scandir = Fd(self.tables.header.scandir_fd);
        let Some(service) = self.tables.services.get(slot) else { return };
        let is_called = |service: &Service| service.name_bytes() == name.to_bytes();
        let partner = usize::try_from(service.partner).ok();
        if is_called(service) && partner.and_then(|slot| self.tables.services.get(slot)).is_none_or(is_called) {
            return;
        }
        let old = CPath::<256>::of(&[service.name_bytes()]);
        let is_there = old.path().and_then(|path| identify(scandir, path)) == Ok(Some((service.dev, service.ino)));
        if is_there && !is_called(service) {
            return;
        }
        for slot in [Some(slot), partner].into_iter().flatten() {
            self.change(slot, |service| service.set_name(name.to_bytes()));
            fault_point!("rename.one");
            let Some(service) = self.tables.services.get_mut(slot) else { continue };
            if service.supervised == 0 && Timer::of(service) == Timer::Respawn {
                machine::arm(service, Timer::Respawn, Engine::earliest_supervisor(service, now));
                self.slots.set_deadline(slot, service.deadline);
            }
        }
    }

    /// The logger of a service: the one it has, or a new one if `NAME/log` is a directory, with a pipe between the two.
    fn logger_of(
        &mut self,
        producer: usize,
        name: &CStr,
        pass: &mut Pass,
    ) -> core::result::Result<Option<usize>, NoLogger> {
        let Some(service) = self.tables.services.get(producer) else { return Ok(None) };
        let path = CPath::<512>::of(&[name.to_bytes(), b"/log"]);
        let scandir = Fd(self.tables.header.scandir_fd);
        let found = path.path().and_then(|path| identify(scandir, path));
        let shown = Printable(name.to_bytes());
        if let Ok(logger) = usize::try_from(service.partner) {
            if matches!(found, Ok(None) | Err(Errno::NOENT)) {
                let what = path.as_bytes();
                pass.complain(&self.complaints, what, format_args!("{shown}/log is gone: its logger is kept"));
            }
            return Ok(Some(logger));
        }
        let Ok(Some((dev, ino))) = found else { return Ok(None) };
        let slot = match self.find(dev, ino).map(|slot| (slot, self.tables.services.get(slot))) {
            Some((slot, Some(other))) => {
                if other.active != 0 {
                    let why = "is another service already: it has no logger";
                    pass.complain(&self.complaints, name.to_bytes(), format_args!("{shown}/log {why}"));
                    return Err(NoLogger::Never);
                }
                // One whose service is gone is taken over; one that is ending is waited for.
                if other.kind != kind::LOGGER || other.partner >= 0 || State::is_leaving(other) {
                    return Err(NoLogger::NotYet);
                }
                slot
            }
            _ => match self.create(name.to_bytes(), kind::LOGGER, dev, ino) {
                Some(slot) => slot,
                None => {
                    pass.skipped += 1;
                    return Err(NoLogger::NotYet);
                }
            },
        };
        match pipe_with(PipeFlags::CLOEXEC) {
            Ok((read, write)) => {
                fault_point!("join.pipe");
                self.join(slot, producer, Fd::from_owned(read));
                self.join(producer, slot, Fd::from_owned(write));
                Ok(Some(slot))
            }
            Err(e) => {
                pass.again = true;
                let why = Reason(e);
                let before = &self.complaints;
                pass.complain(
                    before,
                    name.to_bytes(),
                    format_args!("{shown}: no pipe for its logger: {why}; tried again"),
                );
                if self.tables.services.get(slot).is_some_and(|service| service.supervised == 0) {
                    self.release(slot);
                }
                Err(NoLogger::NotYet)
            }
        }
    }
}

impl Pass {
    fn mark(&mut self, slot: usize) {
        if let Some(word) = self.seen.get_mut(slot / 32) {
            *word |= 1 << (slot % 32);
        }
    }

    fn has_seen(&self, slot: usize) -> bool {
        self.seen.get(slot / 32).is_some_and(|word| word >> (slot % 32) & 1 != 0)
    }

    /// Says what is wrong, unless the last scan said it already.
    fn complain(&mut self, before: &Complaints, about: &[u8], text: core::fmt::Arguments<'_>) {
        let hash = checksum(&[about]);
        let _ = self.complaints.push(hash);
        if !before.contains(&hash) {
            warning!("{text}");
        }
    }
}

/// Device and inode of a directory, links followed; `None` if it is something else.
fn identify(scandir: Fd, path: &CStr) -> Result<Option<(u64, u64)>> {
    let stat = rustix::fs::statat(scandir, path, AtFlags::empty())?;
    let is = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    Ok(is.then_some((stat.st_dev as u64, stat.st_ino as u64)))
}
