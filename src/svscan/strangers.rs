//! Children and records that do not know each other: what is left when the process fails between the two, or when a record was
//! reset. A child that runs in a service's directory, as the leader of its session, is what the service has started: the
//! record gets it back. Others are reaped when they end, and nothing else. A process that a record names and that is no child of
//! ours has died without our notice.

use super::engine::Engine;
use crate::service::machine::{self, State, Timer};
use crate::service::status::{self, Status};
use crate::service::{files, label, news};
use crate::state::Service;
use crate::sys::time::{MILLI, Nanos, SECOND};
use crate::sys::{Fd, family, file, process};
use crate::text::errno::Reason;
use crate::text::tai::Stamp;
use crate::{notice, warning};

/// How a death is put on record that nobody has seen: as exit code 255.
const UNKNOWN: u32 = 255 << 8;

impl Engine {
    /// Brings records and children together again.
    pub(super) fn find_children(&mut self, now: Nanos) {
        self.forget_lost_jobs();
        for slot in 0..self.high {
            let Some(service) = self.tables.services.get_mut(slot).filter(|service| service.used != 0) else {
                continue;
            };
            service.dead_pid = 0; // who was not reaped is seen again
            if service.supervised != 0 && service.pid > 0 && !process::is_child(service.pid) {
                warning!("{}: pid {} is no child any more: nobody knows how it ended", label(service), service.pid);
                let pid = service.pid;
                self.service_died(slot, pid, UNKNOWN, now);
            }
        }
        let mut unknown = false;
        let read = family::each_child(|pid| {
            if self.slots.by_pid(pid).is_none() && !self.tables.jobs.iter().any(|job| job.used != 0 && job.pid == pid) {
                unknown = true;
            }
        });
        if let Err(e) = read {
            warning!("cannot look for children that no record names: {}", Reason(e));
        }
        self.strangers = unknown;
        if !unknown {
            return;
        }
        for slot in 0..self.high {
            let lacks = |service: &&Service| service.used != 0 && service.supervised != 0 && service.pid <= 0;
            if self.tables.services.get(slot).filter(lacks).is_some() {
                if let Some(found) = self.find_child(slot) {
                    self.take_back(slot, found, now);
                }
            }
        }
    }

    /// A pipe that no record names: it may be that through which a service says that it is ready, which has the other end.
    pub(super) fn take_back_pipe(&mut self, fd: Fd) -> bool {
        let Ok(identity) = file::identity(fd) else { return false };
        for slot in 0..self.high {
            let Some(service) = self.tables.services.get_mut(slot).filter(|service| service.used != 0) else {
                continue;
            };
            let may = service.supervised != 0 && service.pid > 0 && service.ready == 0 && service.notify_fd < 0;
            if !may || !matches!(State::of(service), Some(State::Up | State::LastUp)) {
                continue;
            }
            let number = files::notification_fd(Fd(service.dir_fd)).value;
            if number.is_some_and(|number| family::descriptor(service.pid, number) == Ok(identity)) {
                service.notify_fd = fd.0;
                self.derive(slot);
                return true;
            }
        }
        false
    }

    /// Jobs that never began, or that ended unseen.
    fn forget_lost_jobs(&mut self) {
        for job in self.tables.jobs.iter_mut().filter(|job| job.used != 0) {
            if !process::is_child(job.pid) {
                (job.used, job.pid) = (0, 0);
            }
        }
    }

    /// The child that runs for a service which does not know it, if there are any of those at all.
    pub(super) fn find_child(&self, slot: usize) -> Option<Found> {
        let service = self.tables.services.get(slot).filter(|_| self.strangers)?;
        let mut found = None;
        let _ = family::each_child(|pid| {
            let leads = || process::session(pid) == Ok(pid);
            let is_here = || family::working_dir(pid) == Ok((service.dev, service.ino));
            if found.is_none() && self.slots.by_pid(pid).is_none() && leads() && is_here() {
                found = Some(pid);
            }
        });
        found.map(|pid| Found { pid, status: status::read(Fd(service.dir_fd)).ok() })
    }

    /// Gives a service its child back.
    pub(super) fn take_back(&mut self, slot: usize, found: Found, now: Nanos) {
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        let pid = found.pid;
        if found.runs_finish() {
            // How long it has run is not known: it has its time from now on.
            let limit = Nanos::from(files::timeout_finish(Fd(service.dir_fd)).value) * MILLI;
            finishes(service, pid, limit, now);
        } else {
            let status = found.status.filter(|status| status.pid == pid);
            runs(service, pid, status, now);
        }
        let what = if found.runs_finish() { "finish" } else { "run" };
        notice!("{}: its {what}, pid {pid}, runs: it is supervised again", label(service));
        news::settle(service);
        self.derive(slot);
    }
}

/// A child, and what was last told of its service.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pid: i32,
    status: Option<Status>,
}

impl Found {
    fn runs_finish(&self) -> bool {
        if let Some(status) = self.status.filter(|status| status.pid == self.pid) {
            return status.finishing;
        }
        // It was not told of any more: `./finish CODE…`, perhaps behind the name of a shell.
        let mut buf = [0; 256];
        let words = family::arguments(self.pid, &mut buf).unwrap_or_default();
        words.split(|byte| *byte == 0).take(3).any(|word| word == b"./finish")
    }
}

/// The record of a service whose `run` is this.
fn runs(service: &mut Service, pid: i32, status: Option<Status>, now: Nanos) {
    let told = status.is_some();
    let wall = Stamp::now();
    let status = status.unwrap_or(Status { stamp: wall, ready_stamp: wall, want_up: true, ..Status::default() });
    service.pid = pid;
    service.state = match State::of(service) {
        Some(State::LastUp | State::LastFinish) => State::LastUp,
        _ => State::Up,
    } as u8;
    (service.timer, service.deadline) = (Timer::None as u8, 0);
    (service.waits, service.waits_on) = (machine::Waits::Nothing as u8, -1);
    service.fresh = 0;
    service.want_up = status.want_up.into();
    service.paused = status.paused.into();
    service.ready = status.ready.into();
    service.wstat = status.wstat.into();
    (service.stamp_sec, service.stamp_nano) = (status.stamp.sec, status.stamp.nano);
    (service.ready_sec, service.ready_nano) = (status.ready_stamp.sec, status.ready_stamp.nano);
    service.started = now.saturating_sub(wall.sec.saturating_sub(status.stamp.sec).saturating_mul(SECOND)).max(1);
    service.notifies = u8::from(files::notification_fd(Fd(service.dir_fd)).value.is_some());
    service.sequence = service.sequence.wrapping_add(2); // it is told of anew
    if !told {
        service.untold = [b'u', 0, 0, 0];
    }
}

/// The record of a service whose `finish` is this.
fn finishes(service: &mut Service, pid: i32, limit: Nanos, now: Nanos) {
    service.pid = pid;
    service.state = match State::of(service) {
        Some(State::LastUp | State::LastFinish) => State::LastFinish,
        _ => State::Finish,
    } as u8;
    service.fresh = 0;
    service.ready = 0;
    (service.waits, service.waits_on) = (machine::Waits::Nothing as u8, -1);
    (service.timer, service.deadline) = (Timer::None as u8, 0);
    if limit > 0 {
        machine::arm(service, Timer::KillFinish, now.saturating_add(limit));
    }
    service.sequence = service.sequence.wrapping_add(2);
}
