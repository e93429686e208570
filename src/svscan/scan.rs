//! Scanning: which services there are, and the life of their records. A service is a directory of the scan directory,
//! known by device and inode, not by name; `NAME/log` makes a second record, its logger, and a pipe between the two
//! whose ends the engine keeps for as long as the records live.

use super::Plan;
use super::engine::{Engine, token};
use crate::limits::SERVICES;
use crate::service::machine::{self, Timer};
use crate::service::{event, files, kind, label, supervisor, tally};
use crate::state::Service;
use crate::state::slot::{checksum, free};
use crate::sys::epoll::{Flags, Token};
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, dir, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use crate::{info, warning};
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::{AtFlags, FileType};
use rustix::pipe::{PipeFlags, pipe_with};
use zerocopy::FromZeros;

/// The service that logs what nobody else does.
const CATCH_ALL: &[u8] = b"s6-svscan-log";
/// The reserved name: the directory of the in-process fd-holder's socket.
pub const FDHOLDER: &[u8] = b"fdholder";
/// A scan that met something it could not judge is repeated after this.
const SCAN_AGAIN: Nanos = 5 * SECOND;
/// A supervisor is started at most this often.
const SUPERVISOR_INTERVAL: Nanos = SECOND;
/// A supervisor that could not be started is tried again after this.
const SUPERVISOR_AGAIN: Nanos = 10 * SECOND;

/// Hashes of what a scan complained about; those beyond are said again each time.
pub(super) type Complaints = heapless::Vec<u32, 16>;

/// What could not be done when an entry has vanished from the scan directory.
const GONE: &str = "open the service directory";

/// What one scan has seen.
struct Pass {
    seen: [u32; SERVICES / 32],
    /// What was complained about: the same is not logged at every scan.
    complaints: Complaints,
    again: bool,
    skipped: usize,
}

impl Engine {
    /// Scans the directory: new entries get records and supervisors, those that are gone are marked inactive.
    pub(super) fn scan(&mut self, now: Nanos) {
        self.tables.header.scan_deadline = if self.config.rescan > 0 { now + self.config.rescan } else { 0 };
        if Plan::of(&self.tables.header) != Plan::Run {
            self.tables.header.scan_deadline = 0;
            return;
        }
        let mut pass = Pass { seen: [0; SERVICES / 32], complaints: Complaints::new(), again: false, skipped: 0 };
        let scandir = Fd(self.tables.header.scandir_fd);
        let read = dir::visit(scandir, c".", |name, _| {
            if !name.to_bytes().starts_with(b".") {
                self.consider(name, &mut pass, now);
            }
            ControlFlow::Continue(())
        });
        match read {
            Ok(()) => {
                for (slot, service) in self.tables.services.iter_mut().take(self.high).enumerate() {
                    let seen = pass.seen.get(slot / 32).is_some_and(|word| word >> (slot % 32) & 1 != 0);
                    service.active = (service.used != 0 && seen).into();
                }
            }
            Err(e) => {
                pass.complain(
                    &self.complaints,
                    b"scandir",
                    format_args!("cannot read the scan directory: {}", Reason(e)),
                );
            }
        }
        if pass.skipped > 0 {
            let (skipped, max) = (pass.skipped, self.config.services_max);
            pass.complain(
                &self.complaints,
                b"too many",
                format_args!("{skipped} entries have no supervisor: there are {max} already"),
            );
        }
        self.complaints = pass.complaints;
        if pass.again {
            let at = now + SCAN_AGAIN;
            let due = &mut self.tables.header.scan_deadline;
            *due = if *due == 0 { at } else { at.min(*due) };
        }
    }

    fn consider(&mut self, name: &CStr, pass: &mut Pass, now: Nanos) {
        let bytes = name.to_bytes();
        if self.holder.is_some() && bytes == FDHOLDER {
            return;
        }
        if bytes.len() > self.config.name_max {
            return pass.complain(
                &self.complaints,
                bytes,
                format_args!("{}: the name is longer than {}; skipped", Printable(bytes), self.config.name_max),
            );
        }
        let scandir = Fd(self.tables.header.scandir_fd);
        let (dev, ino) = match directory(scandir, name) {
            Ok(Some(identity)) => identity,
            Ok(None) => return,
            Err(e) => {
                return pass.complain(
                    &self.complaints,
                    bytes,
                    format_args!("{}: {}; skipped for now", Printable(bytes), Reason(e)),
                );
            }
        };
        let slot = match self.find(dev, ino) {
            Some(slot) => {
                let Some(service) = self.tables.services.get_mut(slot) else { return };
                if service.kind == kind::LOGGER {
                    return; // somebody linked NAME/log into the scan directory: it has its supervisor
                }
                let leaving = machine::State::of(service).is_none_or(|s| s as u8 >= machine::State::LastUp as u8);
                if service.active == 0 && service.supervised != 0 && leaving {
                    return; // a new one is made when the old one is over
                }
                slot
            }
            None => {
                let kind = if bytes == CATCH_ALL { kind::CATCH_ALL } else { kind::SERVICE };
                match self.create(bytes, kind, dev, ino) {
                    Some(slot) => slot,
                    None => return pass.skipped += 1,
                }
            }
        };
        pass.mark(slot);
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        if service.supervised == 0 && service.name_bytes() != bytes {
            service.set_name(bytes);
        }
        let mut logger = usize::try_from(service.partner).ok();
        if logger.is_none() {
            logger = self.consider_logger(slot, name, pass);
        }
        // The logger first: when the service starts, somebody listens.
        for slot in [logger, Some(slot)].into_iter().flatten() {
            pass.mark(slot);
            if self.tables.services.get(slot).is_some_and(|s| s.supervised == 0 && Timer::of(s) == Timer::None) {
                self.begin_supervisor(slot, now);
            }
        }
    }

    /// Makes the logger's record and the pipe, if `NAME/log` is a directory.
    fn consider_logger(&mut self, producer: usize, name: &CStr, pass: &mut Pass) -> Option<usize> {
        let path = CPath::<512>::of(&[name.to_bytes(), b"/log"]);
        let scandir = Fd(self.tables.header.scandir_fd);
        let (dev, ino) = path.path().and_then(|path| directory(scandir, path)).ok()??;
        if self.find(dev, ino).is_some() {
            return None;
        }
        let Some(slot) = self.create(name.to_bytes(), kind::LOGGER, dev, ino) else {
            pass.skipped += 1;
            return None;
        };
        match pipe_with(PipeFlags::CLOEXEC) {
            Ok((read, write)) => {
                for (slot, partner, fd) in [(slot, producer, read), (producer, slot, write)] {
                    if let Some(service) = self.tables.services.get_mut(slot) {
                        service.pipe_fd = Fd::from_owned(fd).0;
                        service.partner = partner as i32;
                        service.seal();
                    }
                }
                Some(slot)
            }
            Err(e) => {
                pass.complain(
                    &self.complaints,
                    name.to_bytes(),
                    format_args!("{}: no pipe for its logger: {}; tried again", Printable(name.to_bytes()), Reason(e)),
                );
                self.release(slot);
                None
            }
        }
    }

    fn find(&self, dev: u64, ino: u64) -> Option<usize> {
        let is = |service: &Service| service.used != 0 && service.dev == dev && service.ino == ino;
        match self.derived.identities.get(identity_key(dev, ino)) {
            Some(slot) if self.tables.services.get(slot).is_some_and(is) => Some(slot),
            Some(_) => self.used().find(|(_, service)| is(service)).map(|(slot, _)| slot), // two keys collide
            None => None,
        }
    }

    fn create(&mut self, name: &[u8], kind: u8, dev: u64, ino: u64) -> Option<usize> {
        let in_use = self.used().count();
        let slot = free(&self.tables.services, |service| service.used)?;
        if in_use >= self.config.services_max || !self.derived.identities.insert(identity_key(dev, ino), slot) {
            return None;
        }
        let header = &mut self.tables.header;
        let generation = header.next_generation;
        header.next_generation = generation.wrapping_add(1).max(1);
        let service = self.tables.services.get_mut(slot)?;
        service.zero();
        service.generation = generation;
        service.kind = kind;
        (service.dev, service.ino) = (dev, ino);
        service.partner = -1;
        for fd in [
            &mut service.dir_fd,
            &mut service.control_fd,
            &mut service.lock_fd,
            &mut service.notify_fd,
            &mut service.pipe_fd,
        ] {
            *fd = -1;
        }
        service.spare_fds = [-1; 2];
        service.set_name(name);
        service.used = 1;
        self.high = self.high.max(slot + 1);
        Some(slot)
    }

    /// Frees a record and everything it holds.
    pub(super) fn release(&mut self, slot: usize) {
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        let (key, partner) = (identity_key(service.dev, service.ino), service.partner);
        supervisor::close_all(service);
        Fd(service.pipe_fd).close();
        service.zero();
        if self.derived.identities.get(key) == Some(slot) {
            self.derived.identities.remove(key);
        }
        self.derived.timers.set(slot, 0);
        if let Some(other) = usize::try_from(partner).ok().and_then(|p| self.tables.services.get_mut(p)) {
            other.partner = -1;
            other.seal();
        }
    }

    /// Starts the supervisor of a record: lock, control FIFO, first status, event `s`.
    pub(super) fn begin_supervisor(&mut self, slot: usize, now: Nanos) {
        let scandir = Fd(self.tables.header.scandir_fd);
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        service.supervisor_started = now;
        match open_supervisor(scandir, service) {
            Ok(want_up) => {
                service.trouble = 0;
                service.supervised = 1;
                machine::begin(service, want_up, now, Stamp::now());
                let control = Token { kind: token::SERVICE_CONTROL, slot: slot as u32, generation: service.generation };
                if let Err(e) = self.epoll.add(Fd(service.control_fd), control, Flags::IN) {
                    warning!("{} cannot be controlled: {}", label(service), Reason(e));
                }
                supervisor::announce(service);
                self.derived.timers.set(slot, service.deadline);
            }
            Err((what, e)) => {
                supervisor::close_all(service);
                if service.trouble != e.raw_os_error() as u32 {
                    service.trouble = e.raw_os_error() as u32;
                    warning!("{} has no supervisor: unable to {what}: {}; tried again", label(service), Reason(e));
                }
                let again = if e == Errno::AGAIN { SUPERVISOR_INTERVAL } else { SUPERVISOR_AGAIN };
                machine::arm(service, Timer::Respawn, now + again);
                self.derived.timers.set(slot, service.deadline);
                if service.active == 0 && what == GONE {
                    self.release(slot);
                }
            }
        }
    }

    /// The supervisor of a record is over: start it again if it should be there, else let the record go.
    pub(super) fn supervisor_gone(&mut self, slot: usize, now: Nanos) {
        let stopping = Plan::of(&self.tables.header) != Plan::Run;
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        service.supervised = 0;
        supervisor::close_all(service);
        info!("{} stopped", label(service));
        if service.active != 0 && !stopping {
            let at = now.max(service.supervisor_started + SUPERVISOR_INTERVAL);
            machine::arm(service, Timer::Respawn, at);
            self.derived.timers.set(slot, at);
        } else {
            self.release(slot);
            // The entry may be back already: look.
            if !stopping {
                self.tables.header.scan_deadline = now.max(1);
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

    /// Says what is wrong, unless the last scan said it already; asks for another scan.
    fn complain(&mut self, before: &Complaints, about: &[u8], text: core::fmt::Arguments<'_>) {
        self.again = true;
        let hash = checksum(&[about]);
        let _ = self.complaints.push(hash);
        if !before.contains(&hash) {
            warning!("{text}");
        }
    }
}

/// Opens what a supervisor needs; answers whether the service is wanted up.
fn open_supervisor(scandir: Fd, service: &mut Service) -> core::result::Result<bool, (&'static str, Errno)> {
    let suffix: &[u8] = if service.kind == kind::LOGGER { b"/log" } else { b"" };
    let path = CPath::<512>::of(&[service.name_bytes(), suffix]);
    let dir = path.path().and_then(|path| file::open_dir(scandir, path)).map_err(|e| (GONE, e))?;
    service.dir_fd = dir.0;
    let stat = rustix::fs::fstat(dir).map_err(|e| (GONE, e))?;
    if (stat.st_dev as u64, stat.st_ino as u64) != (service.dev, service.ino) {
        return Err((GONE, Errno::NOENT));
    }
    let prepared = files::prepare(dir)?;
    service.lock_fd = prepared.lock.0;
    service.control_fd = prepared.control.0;
    let _ = event::clean(dir, c"event"); // what is stale is no obstacle
    tally::clear(dir).map_err(|e| ("empty supervise/death_tally", e))?;
    Ok(!files::down(dir).value)
}

/// Device and inode of a directory, links followed; `None` if it is something else.
fn directory(scandir: Fd, path: &CStr) -> Result<Option<(u64, u64)>> {
    let stat = rustix::fs::statat(scandir, path, AtFlags::empty())?;
    let is = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    Ok(is.then_some((stat.st_dev as u64, stat.st_ino as u64)))
}

fn identity_key(dev: u64, ino: u64) -> u64 {
    ino ^ dev.rotate_left(40)
}
