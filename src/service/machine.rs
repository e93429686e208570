//! The state machine of one supervised process: a pure function from (record, event, time) to (record, actions).
//!
//! States are s6-supervise's: down, up, finishing, and the last two once more for "and then the supervisor exits"
//! (`LastUp`, `LastFinish`); `Gone` is after that. What is wanted (`want_up`) is kept beside the state, so that any
//! order can be given at any time. A logger that is to drain its pipe keeps its state and has `drains` set until its
//! last start. `supervisor.rs` performs the actions and feeds their outcome back as events.
//!
//! Differences from s6, both deliberate: the second between two starts counts from start to start, so what was up for
//! longer than that comes back at once; and a start that fails because a program cannot be executed is not a death.
//! What goes beyond s6, such as waiting for dependencies, happens only to services that have one of its files.

use super::delay::Rule;
use super::extra;
use crate::state::Service;
use crate::sys::signal::number as sig;
use crate::sys::time::{Nanos, SECOND};
use crate::text::tai::Stamp;

/// Where a service is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Neither run nor finish is running.
    Down = 0,
    /// `run` is running.
    Up = 1,
    /// `finish` is running.
    Finish = 2,
    /// As `Up`; the supervisor exits after the next death.
    LastUp = 3,
    /// As `Finish`; the supervisor exits after it.
    LastFinish = 4,
    /// The supervisor has exited.
    Gone = 5,
}

impl State {
    /// All states, in the order of their numbers.
    pub const ALL: [State; 6] = [State::Down, State::Up, State::Finish, State::LastUp, State::LastFinish, State::Gone];

    /// The state that a record holds; `None` if its byte is none.
    pub fn of(record: &Service) -> Option<State> {
        State::ALL.get(usize::from(record.state)).copied()
    }

    /// Whether the supervisor has exited or is going to, whatever it is told.
    pub fn is_leaving(record: &Service) -> bool {
        record.drains != 0 || !matches!(State::of(record), Some(State::Down | State::Up | State::Finish))
    }
}

/// What a record's deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Timer {
    /// Nothing.
    None = 0,
    /// Start run.
    Start = 1,
    /// Kill a run that was told to go down.
    Kill = 2,
    /// Kill a finish that takes too long.
    KillFinish = 3,
    /// Start the supervisor again (the engine's business: the machine is gone meanwhile).
    Respawn = 4,
    /// Let the record go, of which the control group was not empty yet (the engine's business, as above).
    Linger = 5,
    /// A run that has not said for too long that it is alive is wrong.
    Watchdog = 6,
}

impl Timer {
    /// The timer that a record holds.
    pub fn of(record: &Service) -> Timer {
        const ALL: [Timer; 7] =
            [Timer::None, Timer::Start, Timer::Kill, Timer::KillFinish, Timer::Respawn, Timer::Linger, Timer::Watchdog];
        ALL.get(usize::from(record.timer)).copied().unwrap_or(Timer::None)
    }
}

/// What keeps a service that is down from being started, besides a deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Waits {
    /// Nothing.
    Nothing = 0,
    /// It has dependencies, and somebody is to look at them.
    Unknown = 1,
    /// A dependency that is not ready; the record says which.
    Dependency = 2,
    /// A dependency that there is not.
    Missing = 3,
    /// A dependency that waits, perhaps over others, for this service.
    Circle = 4,
    /// A descriptor that is not held.
    Descriptor = 5,
}

impl Waits {
    /// What a record says; a number that is none is `Unknown`, so that somebody looks.
    pub fn of(record: &Service) -> Waits {
        [Waits::Nothing, Waits::Unknown, Waits::Dependency, Waits::Missing, Waits::Circle, Waits::Descriptor]
            .get(usize::from(record.waits))
            .copied()
            .unwrap_or(Waits::Unknown)
    }
}

/// A change of what is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// `u`: up, from now on.
    Up,
    /// `d`: down, from now on.
    Down,
    /// `o`: up once.
    Once,
    /// `O`: do not restart it.
    AtMostOnce,
}

/// What happens to a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The deadline has passed.
    Timer,
    /// `run` was executed (its pid is in the record).
    Started,
    /// `run` could not be started; try again after so many nanoseconds.
    StartFailed(Nanos),
    /// `run` was not started: a descriptor that it is to be given is not held. Whoever stores it says [`Event::Release`];
    /// try again after so many nanoseconds anyway.
    Lacks(Nanos),
    /// It has dependencies, and was not started: somebody is to look at them, and to say [`Event::Release`] when they
    /// are ready.
    Held,
    /// What it depends on is ready.
    Release,
    /// `restart-delay`, read after [`Action::Delay`], and a random number.
    Delay(Rule, u32),
    /// The child in the record ended, with this wait status.
    Died(u32),
    /// `finish` was executed (its pid is in the record) and has so many nanoseconds, 0 for no limit.
    FinishStarted(Nanos),
    /// There is no `finish`, or it could not be executed.
    NoFinish,
    /// The service said that it is ready.
    Ready,
    /// The service said that it is alive, or that its watchdog has another time, which is in the record.
    Alive,
    /// The service said that something is wrong with it.
    Wrong,
    /// The service said that it needs so many nanoseconds more to end.
    Extend(Nanos),
    /// `timeout-kill`, read after [`Action::ArmKill`] or [`Action::Abort`]: nanoseconds, 0 for never.
    KillAfter(Nanos),
    /// Order: what is wanted.
    Want(Want),
    /// Order: a signal to the process.
    Signal(i32),
    /// Order: a signal to the process group.
    SignalGroup(i32),
    /// Order `r`: the down signal, and nothing else.
    Restart,
    /// Order `l`: the reload signal.
    Reload,
    /// Order `x`: exit after the next death.
    Exit,
    /// SIGTERM to the supervisor: bring it down and exit.
    Terminate,
    /// SIGHUP to the supervisor: close stdin and stdout, exit after the next death.
    Hangup,
    /// To a logger: read until the input ends, then exit. As `Hangup`; but one that is between two runs is started once
    /// more, and reads what is in its pipe.
    Drain,
    /// SIGQUIT to the supervisor: exit now, leave the process alone.
    Quit,
    /// SIGINT to the supervisor: SIGINT to the process group, exit now.
    Interrupt,
}

/// What is to be done, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Execute `run`; answer `Started`, `StartFailed`, `Lacks` or `Held`.
    Start,
    /// Execute `finish`; answer `FinishStarted` or `NoFinish`.
    Finish,
    /// Send a signal to the pid.
    Signal(i32),
    /// Send a signal to the process group.
    SignalGroup(i32),
    /// Send the signal that `down-signal` names.
    SignalDown,
    /// Send the signal that `reload-signal` names.
    SignalReload,
    /// Read `timeout-kill`; answer `KillAfter`.
    ArmKill,
    /// SIGKILL to the pid, or to the group with `flag-timeout-killpg`; then SIGCONT.
    Kill,
    /// SIGABRT to the pid: it did not say in time that it is alive, or (not `late`) said that something is wrong with it.
    /// Answer `KillAfter`, but not 0.
    Abort {
        /// See above.
        late: bool,
    },
    /// SIGKILL to what the process that has just died left behind.
    KillLeftovers,
    /// Read `restart-delay`; answer `Delay`.
    Delay,
    /// Close the readiness pipe.
    CloseNotify,
    /// Give later children the null device as stdin and stdout.
    CloseStdio,
    /// A logger: let go of its pipe. Its process has its own copy, and the producer is to notice when that is gone.
    ClosePipe,
    /// Add the death to the tally.
    Tally,
    /// Write the status file.
    Publish,
    /// Send these bytes to the event directory.
    Tell(&'static [u8]),
    /// The supervisor is over: let go of lock and control.
    Gone,
}

/// Actions of one step: never more than this.
pub type Actions = heapless::Vec<Action, 8>;

/// Shortest time between two starts of `run`.
pub const RESTART_INTERVAL: Nanos = SECOND;
/// A kill is repeated after this.
const KILL_AGAIN: Nanos = 5 * SECOND;
/// Exit code of `finish` that means: do not start it again.
const PERMANENT_FAILURE: u32 = 125 << 8;

/// Makes a record that of a supervisor that has just started.
pub fn begin(service: &mut Service, want_up: bool, now: Nanos, stamp: Stamp) {
    service.state = State::Down as u8;
    service.want_up = want_up.into();
    service.paused = 0;
    service.ready = 1;
    service.fresh = 1;
    service.stdio_closed = 0;
    service.drains = 0;
    service.pid = 0;
    service.wstat = 0;
    service.started = 0;
    service.died = 0;
    service.starts = 0;
    service.failures = 0;
    service.watchdog = 0;
    service.gave_up = 0;
    stop_waiting(service);
    set_stamp(service, stamp);
    set_ready_stamp(service, stamp);
    if want_up { arm(service, Timer::Start, now) } else { disarm(service) }
}

/// One step.
pub fn step(service: &mut Service, event: Event, now: Nanos, stamp: Stamp) -> Actions {
    if matches!(event, Event::Terminate | Event::Drain) {
        service.deferred = 0; // it has been told
    }
    let mut step = Step { service, now, stamp, actions: Actions::new() };
    match State::of(step.service).unwrap_or(State::Gone) {
        State::Down => step.down(event),
        State::Up => step.up(event, false),
        State::LastUp => step.up(event, true),
        State::Finish => step.finish(event, false),
        State::LastFinish => step.finish(event, true),
        State::Gone => {}
    }
    if step.actions.contains(&Action::Publish) {
        step.service.fresh = 0;
        step.service.sequence = step.service.sequence.wrapping_add(2);
    }
    step.actions
}

struct Step<'a> {
    service: &'a mut Service,
    now: Nanos,
    stamp: Stamp,
    actions: Actions,
}

impl Step<'_> {
    fn act(&mut self, action: Action) {
        let _ = self.actions.push(action);
    }

    fn enter(&mut self, state: State) {
        self.service.state = state as u8;
    }

    fn publish(&mut self, tell: &'static [u8]) {
        self.act(Action::Publish);
        if !tell.is_empty() {
            self.act(Action::Tell(tell));
        }
    }

    fn want(&mut self, up: bool) {
        let before = self.orders();
        self.service.want_up = up.into();
        self.service.gave_up = 0;
        self.publish_unless(before);
    }

    /// What the status file shows of the orders.
    fn orders(&self) -> (u8, u8) {
        (self.service.want_up, self.service.paused)
    }

    /// Writes the status file, unless it shows all of it already: a client that sends the same order a thousand times
    /// is not to cost a thousand files.
    fn publish_unless(&mut self, same: (u8, u8)) {
        let shown = self.service.published == self.service.sequence && self.service.fresh == 0;
        if !shown || self.orders() != same {
            self.act(Action::Publish);
        }
    }

    fn exit(&mut self) {
        self.service.drains = 0;
        self.service.deferred = 0;
        stop_waiting(self.service);
        disarm(self.service);
        self.act(Action::CloseNotify);
        self.act(Action::Tell(b"x"));
        self.act(Action::Gone);
        self.enter(State::Gone);
    }

    fn down(&mut self, event: Event) {
        match event {
            Event::Timer => {
                disarm(self.service);
                if self.service.want_up != 0 || self.service.waits != 0 {
                    self.act(Action::Start);
                }
            }
            // It may have been told meanwhile not to start.
            Event::Release if self.service.waits != 0 => self.act(Action::Start),
            Event::Held => {
                self.service.waits = Waits::Unknown as u8;
                disarm(self.service);
            }
            Event::Delay(rule, random) if Timer::of(self.service) == Timer::Start => {
                let lived = self.service.died.saturating_sub(self.service.started);
                let (delay, failures) = rule.next(self.service.failures, lived, random);
                self.service.failures = failures;
                self.arm_start(delay);
            }
            Event::Started => {
                self.enter(State::Up);
                disarm(self.service);
                stop_waiting(self.service);
                self.service.gave_up = 0;
                self.service.ready = 0;
                self.service.started = self.now;
                self.service.starts = self.service.starts.wrapping_add(1);
                set_stamp(self.service, self.stamp);
                self.publish(b"u");
                if self.service.drains != 0 {
                    self.service.drains = 0;
                    self.let_drain();
                }
            }
            Event::StartFailed(_) | Event::Lacks(_) if self.service.drains != 0 => self.exit(),
            Event::Lacks(again) => {
                self.service.waits = Waits::Descriptor as u8;
                self.service.waits_on = -1;
                arm(self.service, Timer::Start, self.now.saturating_add(again));
            }
            Event::StartFailed(retry) => {
                stop_waiting(self.service);
                if self.service.want_up != 0 {
                    arm(self.service, Timer::Start, self.now.saturating_add(retry));
                }
            }
            // Whoever says so has a reason to believe that it will last.
            Event::Want(want @ (Want::Up | Want::Once)) => {
                disarm(self.service);
                self.service.failures = 0;
                self.want(want == Want::Up);
                self.act(Action::Start);
            }
            Event::Want(Want::Down | Want::AtMostOnce) => {
                disarm(self.service);
                stop_waiting(self.service);
                self.want(false);
            }
            Event::Drain if self.service.want_up != 0 => {
                self.service.drains = 1;
                disarm(self.service);
                self.act(Action::Start);
            }
            Event::Exit | Event::Terminate | Event::Hangup | Event::Drain | Event::Quit | Event::Interrupt => {
                self.exit();
            }
            _ => {}
        }
    }

    /// Run reads until its input ends; the supervisor exits when it has died.
    fn let_drain(&mut self) {
        self.enter(State::LastUp);
        self.act(Action::CloseStdio);
        self.act(Action::ClosePipe);
    }

    fn up(&mut self, event: Event, last: bool) {
        match event {
            // Who is stopped cannot say that it is alive.
            Event::Timer if Timer::of(self.service) == Timer::Watchdog && self.service.paused != 0 => self.watch(),
            Event::Timer if Timer::of(self.service) == Timer::Watchdog => self.abort(true),
            Event::Timer => {
                disarm(self.service);
                self.act(Action::Kill);
                arm(self.service, Timer::Kill, self.now.saturating_add(KILL_AGAIN));
            }
            Event::Alive => self.watch(),
            Event::Wrong if Timer::of(self.service) != Timer::Kill => self.abort(false),
            Event::Extend(time) if Timer::of(self.service) == Timer::Kill && (last || self.service.want_up == 0) => {
                let deadline = self.service.deadline.max(self.now.saturating_add(time));
                arm(self.service, Timer::Kill, deadline);
            }
            Event::KillAfter(0) => {}
            Event::KillAfter(time) => arm(self.service, Timer::Kill, self.now.saturating_add(time)),
            Event::Died(wstat) => {
                self.service.paused = 0;
                self.service.ready = 0;
                self.service.pid = 0;
                self.service.wstat = wstat;
                self.service.died = self.now;
                set_stamp(self.service, self.stamp);
                disarm(self.service);
                self.enter(if last { State::LastFinish } else { State::Finish });
                self.kill_leftovers();
                self.act(Action::CloseNotify);
                self.act(Action::Tally);
                self.act(Action::Finish);
            }
            Event::Ready if self.service.ready == 0 => {
                self.service.ready = 1;
                set_ready_stamp(self.service, self.stamp);
                self.act(Action::CloseNotify);
                self.watch();
                self.publish(b"U");
            }
            Event::Want(Want::Up) => self.want(true),
            Event::Want(Want::Once | Want::AtMostOnce) => self.want(false),
            Event::Want(Want::Down) => self.go_down(),
            Event::Signal(signal) => {
                self.act(Action::Signal(signal));
                self.note_pause(signal);
            }
            Event::SignalGroup(signal) => {
                self.act(Action::SignalGroup(signal));
                self.note_pause(signal);
            }
            Event::Restart => self.act(Action::SignalDown),
            Event::Reload => self.act(Action::SignalReload),
            Event::Exit | Event::Hangup => {
                self.enter(State::LastUp);
                self.act(Action::CloseStdio);
            }
            Event::Drain => self.let_drain(),
            Event::Terminate => {
                self.enter(State::LastUp);
                self.go_down();
            }
            Event::Quit => self.exit(),
            Event::Interrupt => {
                self.act(Action::SignalGroup(sig::INT));
                self.exit();
            }
            _ => {}
        }
    }

    /// Gives it the time of its watchdog from now on, if it has one and is not to be killed anyway.
    fn watch(&mut self) {
        match Timer::of(self.service) {
            Timer::None | Timer::Watchdog if self.service.watchdog == 0 => disarm(self.service),
            Timer::None | Timer::Watchdog => {
                arm(self.service, Timer::Watchdog, self.now.saturating_add(self.service.watchdog));
            }
            _ => {}
        }
    }

    /// Something is wrong with it: it is to leave a core behind, and if it does not end by that, it is killed.
    fn abort(&mut self, late: bool) {
        disarm(self.service);
        self.act(Action::Abort { late });
    }

    fn go_down(&mut self) {
        let before = self.orders();
        self.service.paused = 0;
        self.service.want_up = 0;
        self.act(Action::SignalDown);
        self.act(Action::Signal(sig::CONT));
        self.publish_unless(before);
        self.act(Action::ArmKill);
    }

    fn note_pause(&mut self, signal: i32) {
        if signal == sig::STOP || signal == sig::CONT {
            let before = self.orders();
            self.service.paused = (signal == sig::STOP).into();
            self.publish_unless(before);
            if Timer::of(self.service) == Timer::Watchdog {
                self.watch();
            }
        }
    }

    fn finish(&mut self, event: Event, last: bool) {
        match event {
            Event::FinishStarted(limit) => {
                if limit > 0 {
                    arm(self.service, Timer::KillFinish, self.now.saturating_add(limit));
                }
                self.publish(b"d");
            }
            Event::NoFinish => self.over(b"dD", last),
            Event::Died(wstat) => {
                self.kill_leftovers();
                if wstat == PERMANENT_FAILURE {
                    self.service.want_up = 0;
                    self.service.gave_up = 1;
                    self.over(b"OD", last);
                } else {
                    self.over(b"D", last);
                }
            }
            Event::Timer => {
                self.act(Action::Signal(sig::CONT));
                self.act(Action::Signal(sig::KILL));
                arm(self.service, Timer::KillFinish, self.now.saturating_add(KILL_AGAIN));
            }
            Event::Want(want) => self.want(want == Want::Up),
            Event::Drain if self.service.want_up != 0 => {
                self.service.drains = 1;
                self.service.stdio_closed = 0; // the last run gets the pipe
            }
            Event::Exit | Event::Hangup | Event::Drain | Event::Terminate if !last => {
                self.service.drains = 0;
                self.enter(State::LastFinish);
                self.act(Action::CloseStdio);
            }
            Event::Exit | Event::Hangup => self.act(Action::CloseStdio),
            Event::Terminate => self.service.drains = 0,
            Event::Quit => self.exit(),
            Event::Interrupt => {
                self.act(Action::SignalGroup(sig::INT));
                self.exit();
            }
            _ => {}
        }
    }

    /// Run is dead and finish is over.
    fn over(&mut self, tell: &'static [u8], last: bool) {
        self.service.pid = 0;
        self.service.ready = 1;
        set_ready_stamp(self.service, self.stamp);
        disarm(self.service);
        self.enter(State::Down);
        self.publish(tell);
        if self.service.drains != 0 && self.service.want_up != 0 {
            self.act(Action::Start);
        } else if last || self.service.drains != 0 || self.service.deferred != 0 {
            self.exit(); // in a stop nothing starts again
        } else if self.service.want_up != 0 {
            self.arm_start(RESTART_INTERVAL);
            if self.service.extras & extra::RESTART_DELAY != 0 {
                self.act(Action::Delay);
            }
        }
    }

    /// Has it started so long after its last start; now, if that is past.
    fn arm_start(&mut self, delay: Nanos) {
        let earliest = self.service.started.saturating_add(delay);
        arm(self.service, Timer::Start, earliest.max(self.now));
    }

    fn kill_leftovers(&mut self) {
        if self.service.extras & (extra::KILL_LEFTOVERS | extra::CGROUP) != 0 {
            self.act(Action::KillLeftovers);
        }
    }
}

fn set_stamp(service: &mut Service, stamp: Stamp) {
    (service.stamp_sec, service.stamp_nano) = (stamp.sec, stamp.nano);
}

fn set_ready_stamp(service: &mut Service, stamp: Stamp) {
    (service.ready_sec, service.ready_nano) = (stamp.sec, stamp.nano);
}

fn stop_waiting(service: &mut Service) {
    service.waits = Waits::Nothing as u8;
    service.waits_on = -1;
}

/// Arms the record's one timer.
pub fn arm(service: &mut Service, timer: Timer, at: Nanos) {
    service.timer = timer as u8;
    service.deadline = at.max(1);
}

fn disarm(service: &mut Service) {
    service.timer = Timer::None as u8;
    service.deadline = 0;
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
