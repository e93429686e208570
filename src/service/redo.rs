//! What is being done to one service, on record: see [`Redo`]. An event is noted before its machine takes it, and what was
//! interrupted in the middle of it is done again from the beginning, around the child that it had started already.
//!
//! Descriptors are never put back to what they were: an open one is noted when there is one, and one that is closed is
//! forgotten before. So what the interrupted record names is what is open, and what nothing names is closed on entry.

use super::machine::{Event, State, Timer, Want, arm};
use crate::state::{Redo, Service};
use crate::sys::memory::commit;
use crate::sys::process::{self, SpawnError};
use crate::sys::time::{Nanos, SECOND};
use crate::text::tai::Stamp;
use zerocopy::{FromBytes, IntoBytes};

/// An event is on record.
pub const EVENT: u32 = 1;
/// The service's record is to become the one that is here.
pub const CHANGE: u32 = 2;

/// The child is a run.
pub const RUN: u32 = 1;
/// The child is a finish.
pub const FINISH: u32 = 2;

/// What was done again so often and has failed each time is given up.
const ATTEMPTS: u32 = 2;
/// A service whose event was given up, and that is down, is started again after this.
const START_AGAIN: Nanos = SECOND;

/// When an event happens, and how it is acted on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Boot time.
    pub now: Nanos,
    /// Wall clock.
    pub stamp: Stamp,
    /// Whether a start that is due after a death may be done at once.
    pub at_once: bool,
}

/// What became of a child that an event has led to, before it was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Child {
    /// There was none yet.
    Never,
    /// It was started, whether or not it has ended meanwhile.
    Started(i32),
    /// It could not execute its program.
    Failed(SpawnError),
}

impl Redo {
    /// Puts an event on record. `taken`: so much of the inbox is done with from here on.
    pub fn begin(&mut self, slot: usize, service: &Service, event: Event, moment: &Moment, taken: u32) {
        if cfg!(feature = "volatile") {
            return;
        }
        self.end();
        let Some((number, value)) = encode(event) else { return };
        (self.slot, self.event, self.value) = (slot as u32, number, value);
        (self.now, self.at_once) = (moment.now, moment.at_once.into());
        (self.stamp_sec, self.stamp_nano) = (moment.stamp.sec, moment.stamp.nano);
        (self.attempts, self.taken) = (0, taken);
        (self.spawned, self.pid, self.failed) = (0, 0, 0);
        self.before.as_mut_bytes().copy_from_slice(service.as_bytes());
        self.becomes_valid(EVENT);
    }

    /// Changes several fields of a record that belong together: all of them, or none.
    pub fn change(&mut self, slot: usize, service: &mut Service, change: impl FnOnce(&mut Service)) {
        if cfg!(feature = "volatile") {
            return change(service);
        }
        self.end();
        self.slot = slot as u32;
        self.before.as_mut_bytes().copy_from_slice(service.as_bytes());
        change(&mut self.before);
        self.becomes_valid(CHANGE);
        service.as_mut_bytes().copy_from_slice(self.before.as_bytes());
        commit(service);
        self.end();
    }

    fn becomes_valid(&mut self, valid: u32) {
        commit(self);
        self.valid = valid;
        commit(self);
    }

    /// All that follows is done.
    pub fn end(&mut self) {
        self.valid = 0;
        commit(self);
    }

    /// The event that is on record; `None`: there is none, or a number that means nothing.
    pub fn event(&self) -> Option<Event> {
        if self.valid == EVENT { decode(self.event, self.value) } else { None }
    }

    /// When that was.
    pub fn moment(&self) -> Moment {
        let stamp = Stamp { sec: self.stamp_sec, nano: self.stamp_nano };
        Moment { now: self.now, stamp, at_once: self.at_once != 0 }
    }

    /// Counts that the event is fed again; answers whether it is to be.
    pub fn try_again(&mut self) -> bool {
        let may = self.attempts < ATTEMPTS;
        self.attempts = self.attempts.saturating_add(1);
        commit(self);
        may
    }

    /// Whether this is about the service that `service` belongs to.
    pub fn is_of(&self, service: &Service) -> bool {
        let before = &self.before;
        service.used != 0
            && (before.used, before.generation, before.checksum) == (1, service.generation, service.checksum)
    }

    /// Makes the record what it was before the event, but for what is open, and what a child that runs was given.
    pub fn put_back(&self, service: &mut Service) {
        let Ok(mut before) = Service::read_from_bytes(self.before.as_bytes()) else { return };
        before.dir_fd = service.dir_fd;
        before.control_fd = service.control_fd;
        before.lock_fd = service.lock_fd;
        before.notify_fd = service.notify_fd;
        before.pipe_fd = service.pipe_fd;
        before.cgroup_fd = service.cgroup_fd;
        before.notified = service.notified;
        before.notifies = service.notifies;
        before.watchdog = service.watchdog;
        before.waiting_file = service.waiting_file;
        service.as_mut_bytes().copy_from_slice(before.as_bytes());
        commit(service);
    }

    /// From here on `pid` is that of a child of this kind.
    pub fn about_to_start(&mut self, kind: u32) {
        (self.pid, self.failed) = (0, 0);
        commit(self);
        self.spawned = kind;
        commit(self);
    }

    /// What became of the child of this kind.
    pub fn child(&self, kind: u32) -> Child {
        match SpawnError::of_note(self.failed) {
            _ if self.spawned != kind => Child::Never,
            Some(why) => {
                if process::is_child(self.pid) {
                    let _ = process::wait_for(self.pid); // it is in exit(2) already
                }
                Child::Failed(why)
            }
            None if process::is_child(self.pid) => Child::Started(self.pid),
            None => Child::Never,
        }
    }

    /// The event that is on record fails every time. Makes the record one that is true, without its machine: what lives is
    /// what it is about, a death is taken, and what was asked for last is wanted.
    pub fn give_up(&self, event: Event, service: &mut Service, now: Nanos) {
        self.put_back(service);
        let stamp = Stamp { sec: self.stamp_sec, nano: self.stamp_nano };
        match event {
            Event::Died(wstat) if matches!(State::of(service), Some(State::Up | State::LastUp)) => {
                (service.pid, service.wstat, service.untallied) = (0, wstat, 1);
                (service.died, service.stamp_sec, service.stamp_nano) = (self.now, stamp.sec, stamp.nano);
                is_down(service);
            }
            Event::Died(_) => is_down(service),
            Event::Want(want) => service.want_up = (want == Want::Up).into(),
            Event::Exit | Event::Terminate | Event::Hangup | Event::Drain => is_last(service),
            _ => {}
        }
        for (kind, state) in [(RUN, State::Up), (FINISH, State::Finish)] {
            if let Child::Started(pid) = self.child(kind) {
                (service.pid, service.state, service.fresh) = (pid, state as u8, 0);
                (service.timer, service.deadline) = (Timer::None as u8, 0);
                if kind == RUN {
                    (service.started, service.ready) = (self.now, 0);
                    service.starts = service.starts.wrapping_add(1);
                    (service.stamp_sec, service.stamp_nano) = (stamp.sec, stamp.nano);
                }
            }
        }
        if service.pid == 0 && matches!(State::of(service), Some(State::Down)) {
            (service.timer, service.deadline) = (Timer::None as u8, 0);
            if service.want_up != 0 {
                arm(service, Timer::Start, now.saturating_add(START_AGAIN));
            }
        } else if Timer::of(service) != Timer::None {
            service.deadline = service.deadline.max(now.saturating_add(START_AGAIN)); // it may be the timer that fails
        }
        service.sequence = service.sequence.wrapping_add(2);
        commit(service);
    }
}

fn is_down(service: &mut Service) {
    let last = matches!(State::of(service), Some(State::LastUp | State::LastFinish)) || service.deferred != 0;
    (service.pid, service.paused, service.ready) = (0, 0, 1);
    (service.timer, service.deadline) = (Timer::None as u8, 0);
    service.state = if last { State::Gone } else { State::Down } as u8;
}

fn is_last(service: &mut Service) {
    service.state = match State::of(service) {
        Some(State::Up) => State::LastUp,
        Some(State::Finish) => State::LastFinish,
        Some(State::Down) => State::Gone,
        _ => return,
    } as u8;
}

/// Does what was left half done of a change to a record that is on record: the first thing on entry, before the records are
/// checked. Pure.
pub fn complete(redo: &mut Redo, services: &mut [Service]) {
    if redo.valid == CHANGE {
        if let Some(service) = services.get_mut(redo.slot as usize) {
            if redo.before.used == 1 && redo.before.generation == service.generation {
                service.as_mut_bytes().copy_from_slice(redo.before.as_bytes());
                commit(service);
            }
        }
        redo.end();
    }
}

/// The events that come from outside, with their numbers and operands; outcomes of actions are none: they follow from one of
/// those.
fn encode(event: Event) -> Option<(u32, u64)> {
    let number = |signal: i32| u64::from(signal as u32);
    Some(match event {
        Event::Timer => (1, 0),
        Event::Release => (2, 0),
        Event::Died(wstat) => (3, wstat.into()),
        Event::Ready => (4, 0),
        Event::Alive => (5, 0),
        Event::Wrong => (6, 0),
        Event::Extend(time) => (7, time),
        Event::Want(Want::Up) => (8, 0),
        Event::Want(Want::Down) => (9, 0),
        Event::Want(Want::Once) => (10, 0),
        Event::Want(Want::AtMostOnce) => (11, 0),
        Event::Signal(signal) => (12, number(signal)),
        Event::SignalGroup(signal) => (13, number(signal)),
        Event::Restart => (14, 0),
        Event::Reload => (15, 0),
        Event::Exit => (16, 0),
        Event::Terminate => (17, 0),
        Event::Hangup => (18, 0),
        Event::Drain => (19, 0),
        Event::Quit => (20, 0),
        Event::Interrupt => (21, 0),
        Event::Started
        | Event::StartFailed(_)
        | Event::Lacks(_)
        | Event::Held
        | Event::Delay(..)
        | Event::FinishStarted(_)
        | Event::NoFinish
        | Event::KillAfter(_) => return None,
    })
}

/// The name of an event, for messages.
pub fn name(event: Event) -> &'static str {
    const NAMES: [&str; 21] = [
        "timer",
        "release",
        "died",
        "ready",
        "alive",
        "wrong",
        "extend",
        "up",
        "down",
        "once",
        "at most once",
        "signal",
        "signal to the group",
        "restart",
        "reload",
        "exit",
        "terminate",
        "hangup",
        "drain",
        "quit",
        "interrupt",
    ];
    let number = encode(event).map_or(0, |(number, _)| number as usize);
    number.checked_sub(1).and_then(|at| NAMES.get(at)).copied().unwrap_or("an outcome")
}

fn decode(event: u32, value: u64) -> Option<Event> {
    let signal = || u32::try_from(value).ok().map(|signal| signal as i32).filter(|signal| (0..=64).contains(signal));
    Some(match event {
        1 => Event::Timer,
        2 => Event::Release,
        3 => Event::Died(u32::try_from(value).ok()?),
        4 => Event::Ready,
        5 => Event::Alive,
        6 => Event::Wrong,
        7 => Event::Extend(value),
        8 => Event::Want(Want::Up),
        9 => Event::Want(Want::Down),
        10 => Event::Want(Want::Once),
        11 => Event::Want(Want::AtMostOnce),
        12 => Event::Signal(signal()?),
        13 => Event::SignalGroup(signal()?),
        14 => Event::Restart,
        15 => Event::Reload,
        16 => Event::Exit,
        17 => Event::Terminate,
        18 => Event::Hangup,
        19 => Event::Drain,
        20 => Event::Quit,
        21 => Event::Interrupt,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "redo_tests.rs"]
mod tests;
