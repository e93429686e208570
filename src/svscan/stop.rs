//! Bringing everything down: who is told what, who is waited for, and until when; and how `svscan` ends.

use super::engine::Engine;
use super::{Plan, published};
use crate::service::machine::{Event, Timer};
use crate::service::{cgroup, files, kind, label, waiting};
use crate::sys::args::Argv;
use crate::sys::memory::commit;
use crate::sys::signal::SignalSet;
use crate::sys::time::{MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, file, process, signal};
use crate::text::errno::Reason;
use crate::{fault_point, notice, warning};
use core::ffi::CStr;
use rustix::process::{Resource, setrlimit};

const FINISH: &CStr = c".s6-svscan/finish";

/// How services are told to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Services are terminated; loggers read until their input ends (s6-svscanctl's `t`, `n`).
    LoggersDrain,
    /// Everybody is terminated (`q`, `N`).
    All,
}

impl Manner {
    /// As [`crate::state::Service::deferred`] holds it.
    pub fn number(self) -> u8 {
        match self {
            Manner::LoggersDrain => 1,
            Manner::All => 2,
        }
    }

    /// The manner with this number; `None`: there is nothing to be told.
    pub fn of(number: u8) -> Option<Manner> {
        match number {
            0 => None,
            2 => Some(Manner::All),
            _ => Some(Manner::LoggersDrain),
        }
    }
}

/// After the deadline of a stop, what was killed gets this long to be gone…
const AFTER_KILL: Nanos = 2 * SECOND;
/// …so many times.
const KILLS: u32 = 3;

impl Engine {
    /// Begins to stop everything: tells everybody, in the given manner; nobody if there is none. If a stop is under way
    /// already, they are told again, and what follows it changes. Process 1 runs the board's shutdown script before.
    pub fn stop(&mut self, plan: Plan, manner: Option<Manner>, now: Nanos) {
        if Plan::of(&self.tables.header) == Plan::Run && self.holds_stop(plan, manner, now) {
            return;
        }
        let timeout = self.stop_timeout();
        let header = &mut self.tables.header;
        let first = Plan::of(header) == Plan::Run;
        if first && timeout > 0 {
            header.stop_deadline = now.saturating_add(timeout);
            commit(header);
        }
        fault_point!("stop.begin");
        header.plan = plan as u32;
        commit(header);
        fault_point!("stop.begun");
        if first {
            header.scan_deadline = 0;
            let _ = waiting::write_stopping(Fd(header.scandir_fd), plan.name(), header.stop_deadline);
            notice!("{}: stopping {} services", plan.name(), self.used().count());
            self.let_go_of_output();
        }
        if plan == Plan::Leave {
            self.edges.clear(); // nobody will be there to tell the others later
        } else if first {
            self.find_dependants();
        }
        fault_point!("stop.told");
        if let Some(manner) = manner {
            self.terminate_in_order(manner, now);
        }
        self.note_stop_told();
    }

    /// How long a stop waits before it kills; 0 for ever.
    fn stop_timeout(&self) -> Nanos {
        if self.config.stop_timeout > 0 {
            return self.config.stop_timeout;
        }
        let reading = files::stop_timeout(Fd(self.tables.header.scandir_fd));
        if reading.problem.is_some() {
            warning!(".s6-svscan/stop-timeout: not a number of milliseconds, or not to be read; a stop has no limit");
        }
        Nanos::from(reading.value) * MILLI
    }

    /// Tells the supervisors of records that are not in the scan directory any more to end.
    pub(super) fn nuke(&mut self, manner: Manner, now: Nanos) {
        for slot in 0..self.high {
            if self.tables.services.get(slot).is_some_and(|service| service.used != 0 && service.active == 0) {
                self.terminate_one(slot, manner, now);
            }
        }
    }

    /// Tells the supervisor of a record to end.
    pub(super) fn terminate_one(&mut self, slot: usize, manner: Manner, now: Nanos) {
        let Some(service) = self.tables.services.get(slot) else { return };
        if Timer::of(service) == Timer::Linger {
            return; // it is over already
        }
        // Process 1 keeps the pipe of its catch-all logger open: that does not see an end of its input before the very end.
        let endless = self.is_last(service) && self.plan() == Plan::Run;
        let drains = manner == Manner::LoggersDrain && service.kind != kind::SERVICE && !endless;
        if service.supervised == 0 {
            // It waits for its next supervisor. A logger gets it now, for what is left in its pipe.
            if drains {
                self.begin_supervisor(slot, now);
            }
            if self.tables.services.get(slot).is_some_and(|service| service.supervised == 0) {
                return self.release(slot);
            }
        }
        self.drive(slot, if drains { Event::Drain } else { Event::Terminate }, now);
    }

    /// The catch-all logger ends when nobody can write to it any more: not we either. Process 1 lets go of its pipe later.
    pub(super) fn let_go_of_output(&mut self) {
        if !self.speaks_to_the_last() {
            self.take_back_output();
        }
    }

    /// From here on our output, and that of `finish`, goes to the console, if we were given one.
    pub(super) fn take_back_output(&mut self) {
        let (null, console) = (Fd(self.tables.header.null_fd), Fd(self.tables.header.console_fd));
        let to = if console.is_some() { console } else { null };
        if console.is_some() || self.used().any(|(_, service)| service.kind == kind::CATCH_ALL) {
            let _ = to.place(1);
            let _ = to.place(2);
        }
    }

    /// Whether the stop is over.
    pub(super) fn stopped(&self, plan: Plan) -> bool {
        if plan == Plan::Leave || self.used().all(|(_, service)| self.is_last(service)) {
            return true;
        }
        let deadline = self.tables.header.stop_deadline;
        let over = deadline == u64::MAX;
        if over {
            for (_, service) in self.used().filter(|(_, service)| !self.is_last(service)) {
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
        if header.stop_kills >= KILLS {
            header.stop_deadline = u64::MAX;
            return; // `stopped` tells who is left
        }
        for (_, service) in self.used().filter(|(_, service)| service.pid > 0 && !self.is_last(service)) {
            warning!("{} did not end in time: killed", label(service));
            let _ = process::kill(-service.pid, signal::number::KILL);
            let _ = process::kill(service.pid, signal::number::KILL);
        }
        fault_point!("stop.killed");
        let header = &mut self.tables.header;
        header.stop_kills += 1;
        header.stop_deadline = now + AFTER_KILL;
    }

    /// How `svscan` ends: as `.s6-svscan/finish`, in its place; exit code 0 if there is none. A `finish` that cannot be
    /// executed is a crash: `.s6-svscan/crash` takes over, or the exit code tells (127 no such file, 126 otherwise).
    pub fn leave(&mut self) -> i32 {
        cgroup::remove_base();
        waiting::remove_stopping(Fd(self.tables.header.scandir_fd));
        published::remove(Fd(self.tables.header.scandir_fd));
        if let Some(limit) = self.config.nofile {
            let _ = setrlimit(Resource::Nofile, limit);
        }
        // A second order to stop must not kill us now, when signals are let through for what comes.
        while let Ok(Some(_)) = signal::read_signalfd(self.signals) {}
        signal::forget(signal::number::PIPE); // some listener may have gone while it was told something
        SignalSet::EMPTY.block();
        let exec = |path| process::exec_argv(path, &Argv::<2>::new(&[path]), self.env);
        let why = exec(FINISH);
        if why == Errno::NOENT && file::exists(Fd::CWD, FINISH) == Ok(false) {
            return 0;
        }
        warning!("cannot execute .s6-svscan/finish: {}; executing .s6-svscan/crash", Reason(why));
        match exec(c".s6-svscan/crash") {
            Errno::NOENT => 127,
            _ => 126,
        }
    }
}
