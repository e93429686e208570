//! Bringing everything down: who is told what, who is waited for, and until when.

use super::Plan;
use super::engine::Engine;
use crate::service::machine::Event;
use crate::service::{kind, label};
use crate::state::Service;
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Fd, process, signal};
use crate::{notice, warning};

/// How services are told to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Services are terminated; loggers read until their input ends (s6-svscanctl's `t`, `n`).
    LoggersDrain,
    /// Everybody is terminated (`q`, `N`).
    All,
}

/// After the deadline of a stop, what was killed gets this long to be gone…
const AFTER_KILL: Nanos = 2 * SECOND;
/// …so many times.
const KILLS: u32 = 3;

impl Engine {
    /// Begins to stop everything. If a stop is under way, only what follows it changes.
    pub fn stop(&mut self, plan: Plan, manner: Manner, now: Nanos) {
        let header = &mut self.tables.header;
        let first = Plan::of(header) == Plan::Run;
        header.plan = plan as u32;
        if plan == Plan::Leave {
            return;
        }
        if first {
            header.scan_deadline = 0;
            if self.config.stop_timeout > 0 {
                header.stop_deadline = now + self.config.stop_timeout;
            }
            notice!("{}: stopping {} services", plan.name(), self.used().count());
            self.let_catch_all_end();
        }
        self.terminate(manner, now, |_| true);
    }

    /// Tells the supervisors of records that are not in the scan directory any more to end.
    pub(super) fn nuke(&mut self, manner: Manner, now: Nanos) {
        self.terminate(manner, now, |service| service.active == 0);
    }

    fn terminate(&mut self, manner: Manner, now: Nanos, which: impl Fn(&Service) -> bool) {
        for slot in 0..self.high {
            let Some(service) = self.tables.services.get(slot) else { continue };
            if service.used == 0 || !which(service) {
                continue;
            }
            if service.supervised == 0 {
                self.release(slot); // waiting for its next supervisor: there will be none
                continue;
            }
            let drains = manner == Manner::LoggersDrain && service.kind != kind::SERVICE;
            self.drive(slot, if drains { Event::Hangup } else { Event::Terminate }, now);
            self.let_pipe_end(slot);
        }
    }

    /// A logger that is to end keeps only the copy of the pipe that its process has, so that its producer notices when
    /// that is gone.
    fn let_pipe_end(&mut self, slot: usize) {
        if let Some(service) = self.tables.services.get_mut(slot) {
            if service.used != 0 && service.kind == kind::LOGGER && service.stdio_closed != 0 {
                let mut pipe = Fd(service.pipe_fd);
                pipe.close();
                service.pipe_fd = -1;
            }
        }
    }

    /// The catch-all logger ends when nobody can write to it any more: not we either.
    fn let_catch_all_end(&mut self) {
        if !self.used().any(|(_, service)| service.kind == kind::CATCH_ALL) {
            return;
        }
        let (null, console) = (Fd(self.tables.header.null_fd), Fd(self.tables.header.console_fd));
        let _ = null.place(1);
        let _ = if console.is_some() { console.place(2) } else { null.place(2) };
    }

    /// Whether the stop is over.
    pub(super) fn stopped(&self, plan: Plan) -> bool {
        if plan == Plan::Leave || self.used().next().is_none() {
            return true;
        }
        let deadline = self.tables.header.stop_deadline;
        let over = deadline == u64::MAX;
        if over {
            for (_, service) in self.used() {
                warning!("{} does not end, not even killed: left behind", label(service));
            }
        }
        over
    }

    /// The deadline of a stop: kill what is left, a few times (a finish script may follow a run); then leave it behind.
    pub(super) fn expire_stop(&mut self, now: Nanos) {
        let header = &mut self.tables.header;
        if header.stop_deadline == 0 || header.stop_deadline == u64::MAX || header.stop_deadline > now {
            return;
        }
        header.stop_kills += 1;
        header.stop_deadline = if header.stop_kills > KILLS { u64::MAX } else { now + AFTER_KILL };
        if header.stop_deadline == u64::MAX {
            return;
        }
        for (_, service) in self.used().filter(|(_, service)| service.pid > 0) {
            warning!("{} did not end in time: killed", label(service));
            let _ = process::kill(-service.pid, signal::number::KILL);
            let _ = process::kill(service.pid, signal::number::KILL);
        }
    }
}
