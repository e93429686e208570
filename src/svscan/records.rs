//! The life of a record: made by a scan, joined to its logger or its producer, given a supervisor (more than once, if
//! that exits), released with everything it holds. The pipe belongs to the record and outlives supervisors.

use super::Plan;
use super::engine::{Engine, token};
use crate::info;
use crate::service::machine::{self, State, Timer};
use crate::service::{cgroup, event, files, kind, label, news, notify, supervisor, tally, waiting};
use crate::state::Service;
use crate::state::slot::free;
use crate::sys::epoll::{Epoll, Flags, Token};
use crate::sys::memory::commit;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file};
use crate::text::errno::Reason;
use crate::text::tai::Stamp;
use crate::{fault_point, warning};
use core::ffi::CStr;
use zerocopy::FromZeros;

/// A supervisor is started at most this often.
const SUPERVISOR_INTERVAL: Nanos = SECOND;
/// A supervisor that could not be started is tried again after this.
const SUPERVISOR_AGAIN: Nanos = 10 * SECOND;
/// A control group that is not empty yet is tried again after this…
const LINGER_AGAIN: Nanos = 20 * MILLI;
/// …so many times: five seconds.
const LINGERS: u8 = 250;

impl Engine {
    /// The record of the directory with this device and inode.
    pub(super) fn find(&self, dev: u64, ino: u64) -> Option<usize> {
        let is = |service: &Service| service.used != 0 && service.dev == dev && service.ino == ino;
        match self.slots.by_identity(identity_key(dev, ino)) {
            Some(slot) if self.tables.services.get(slot).is_some_and(is) => Some(slot),
            Some(_) => self.used().find(|(_, service)| is(service)).map(|(slot, _)| slot), // two keys collide
            None => None,
        }
    }

    /// A new record; `None` if there is no room for more.
    pub(super) fn create(&mut self, name: &[u8], kind: u8, dev: u64, ino: u64) -> Option<usize> {
        let counts = |kind: u8| self.config.loggers_count || kind != kind::LOGGER;
        let in_use = self.used().filter(|(_, service)| counts(service.kind)).count();
        let slot = free(&self.tables.services, |service| service.used)?;
        if counts(kind) && in_use >= self.config.services_max {
            return None;
        }
        self.slots.set_identity(slot, identity_key(dev, ino));
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
        (service.cgroup_fd, service.waits_on) = (-1, -1);
        service.set_name(name);
        self.high = self.high.max(slot + 1);
        self.tables.header.services_top = self.high as u32;
        commit(service);
        fault_point!("create.before");
        service.used = 1;
        commit(service);
        fault_point!("create.after");
        Some(slot)
    }

    /// Makes `partner` the other side of a record, and `pipe` its end of the pipe between the two.
    pub(super) fn join(&mut self, slot: usize, partner: usize, pipe: Fd) {
        let mut earlier = Fd::NONE;
        self.change(slot, |service| {
            earlier = Fd(core::mem::replace(&mut service.pipe_fd, pipe.0));
            service.partner = partner as i32;
            service.seal();
        });
        fault_point!("join.done");
        earlier.close(); // the pipe to an earlier partner
    }

    /// Frees a record and everything it holds.
    pub(super) fn release(&mut self, slot: usize) {
        let now = time::boot();
        self.forget_dependant(slot);
        self.close_notify(slot);
        self.forget_stored(slot);
        let Some(service) = self.tables.services.get_mut(slot).filter(|service| service.used != 0) else { return };
        fault_point!("release.begin");
        supervisor::close_all(service);
        let (mut pipe, mut partner) = (Fd::NONE, -1);
        self.change(slot, |service| {
            pipe = Fd(core::mem::replace(&mut service.pipe_fd, -1));
            partner = core::mem::replace(&mut service.partner, -1);
            service.seal();
        });
        fault_point!("release.parted");
        pipe.close();
        if let Ok(other) = usize::try_from(partner) {
            self.change(other, |other| {
                other.partner = -1;
                other.seal();
            });
        }
        fault_point!("release.both");
        self.slots.set_pid(slot, 0);
        self.wake_waiting(slot, now);
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        if lingers(service, now) {
            return self.slots.set_deadline(slot, service.deadline);
        }
        service.used = 0;
        commit(service);
        fault_point!("release.done");
        service.zero();
        self.slots.set_identity(slot, 0);
        self.slots.set_deadline(slot, 0);
    }

    /// A record that was to go waited for its control group to be empty.
    pub(super) fn go_on_releasing(&mut self, slot: usize) {
        // The entry may be back already: look.
        if Plan::of(&self.tables.header) == Plan::Run {
            self.scan_soon();
        }
        self.release(slot);
    }

    /// When the next supervisor of a record may be started.
    pub(super) fn earliest_supervisor(service: &Service, now: Nanos) -> Nanos {
        now.max(service.supervisor_started.saturating_add(SUPERVISOR_INTERVAL))
    }

    /// Starts the supervisor of a record: lock, control FIFO, first status, event `s`. If it cannot be, tries again later.
    pub(super) fn begin_supervisor(&mut self, slot: usize, now: Nanos) {
        let scandir = Fd(self.tables.header.scandir_fd);
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        service.supervisor_started = now;
        let control = Token { kind: token::SERVICE_CONTROL, slot: slot as u32, generation: service.generation };
        let path = supervisor::name(service);
        match open_supervisor(scandir, path.path(), service, &self.epoll, control) {
            Ok(want_up) => self.supervise(slot, want_up, now),
            Err((what, e)) => {
                supervisor::close_all(service);
                if service.trouble != e.raw_os_error() as u32 {
                    service.trouble = e.raw_os_error() as u32;
                    warning!("{} has no supervisor: unable to {what}: {}; tried again", label(service), Reason(e));
                }
                // Somebody else who supervises it may end at any time.
                let again = if e == Errno::AGAIN { SUPERVISOR_INTERVAL } else { SUPERVISOR_AGAIN };
                machine::arm(service, Timer::Respawn, now + again);
                self.slots.set_deadline(slot, service.deadline);
                if e == Errno::NOENT {
                    self.scan_soon(); // it has another name, or is gone
                }
            }
        }
    }

    /// A record has its supervisor: the machine begins.
    pub(super) fn supervise(&mut self, slot: usize, want_up: bool, now: Nanos) {
        let running = self.find_child(slot);
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        service.trouble = 0;
        service.waiting_file = 0;
        waiting::remove(Fd(service.dir_fd)); // of an earlier supervisor
        notify::remove_shown(Fd(service.dir_fd)); // likewise
        machine::begin(service, want_up, now, Stamp::now());
        supervisor::announce(service);
        commit(service);
        fault_point!("supervise.before");
        service.supervised = 1;
        commit(service);
        fault_point!("supervise.after");
        if let Some(running) = running {
            // The record was lost, not the process.
            self.take_back(slot, running, now);
            return;
        }
        news::settle(service);
        self.slots.set_deadline(slot, service.deadline);
    }

    /// The supervisor of a record is over: start it again if it should be there, else let the record go.
    pub(super) fn supervisor_gone(&mut self, slot: usize, now: Nanos) {
        let stopping = Plan::of(&self.tables.header) != Plan::Run;
        self.close_notify(slot);
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        service.supervised = 0;
        commit(service);
        fault_point!("gone.begun");
        supervisor::close_all(service);
        if self.config.role.only_service().is_some() {
            self.tables.header.plan = Plan::Leave as u32; // that was all
        } else if service.active != 0 && !stopping {
            info!("{}: its supervisor has exited; there will be another", label(service));
            machine::arm(service, Timer::Respawn, Engine::earliest_supervisor(service, now));
            self.slots.set_deadline(slot, service.deadline);
        } else {
            info!("{} stopped", label(service));
            // The entry may be back already: look.
            if !stopping {
                self.scan_soon();
            }
            self.release(slot);
        }
    }
}

/// What could not be done ("unable to …"), and why.
/// Removes the control group of a record that is to go. Who was killed in it takes a moment to be gone: answers whether
/// to try again, and when is in the record.
fn lingers(service: &mut Service, now: Nanos) -> bool {
    let had = service.cgroup_fd >= 0 || service.lingers > 0;
    close(&mut service.cgroup_fd);
    // A process that was left running stays where it is.
    if !had || service.pid > 0 {
        return false;
    }
    match cgroup::remove(service) {
        Ok(()) => false,
        Err(Errno::BUSY) if service.lingers < LINGERS => {
            service.lingers += 1;
            (service.active, service.supervised, service.state) = (0, 0, State::Gone as u8);
            machine::arm(service, Timer::Linger, now + LINGER_AGAIN);
            true
        }
        Err(e) => {
            warning!("{}: cannot remove its control group: {}", label(service), Reason(e));
            false
        }
    }
}

pub(super) type Failure = (&'static str, Errno);

/// Opens what a supervisor needs; answers whether the service is wanted up. What was opened is in the record, also when
/// it fails.
pub(super) fn open_supervisor(
    scandir: Fd,
    path: Result<&CStr>,
    service: &mut Service,
    epoll: &Epoll,
    control: Token,
) -> core::result::Result<bool, Failure> {
    let gone = |e| ("open the service directory", e);
    let dir = path.and_then(|path| file::open_dir(scandir, path)).map_err(gone)?;
    service.dir_fd = dir.0;
    commit(service);
    fault_point!("begin.dir");
    let stat = rustix::fs::fstat(dir).map_err(gone)?;
    if (stat.st_dev as u64, stat.st_ino as u64) != (service.dev, service.ino) {
        return Err(gone(Errno::NOENT));
    }
    let prepared = files::prepare(dir)?;
    service.lock_fd = prepared.lock.0;
    service.control_fd = prepared.control.0;
    commit(service);
    fault_point!("begin.locked");
    epoll.add(prepared.control, control, Flags::IN).map_err(|e| ("watch supervise/control", e))?;
    let _ = event::clean(dir, c"event"); // what is stale is no obstacle
    tally::clear(dir).map_err(|e| ("empty supervise/death_tally", e))?;
    Ok(!files::down(dir).value)
}

fn close(number: &mut i32) {
    let mut fd = Fd(core::mem::replace(number, -1));
    commit(number);
    fd.close();
}

/// The key of a directory; never 0.
pub(super) fn identity_key(dev: u64, ino: u64) -> u64 {
    (ino ^ dev.rotate_left(40)).max(1)
}
