//! Readiness by polling: runs a check again and again until it succeeds, while listening for the death of the service.
//! What s6-notifyoncheck(8) does behind a daemon that does not tell itself.

use super::event::Subscription;
use crate::sys::epoll::{BATCH, Epoll, Flags, Token};
use crate::sys::signal::{self, SignalSet, number};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Fd, Result, process};

/// When to check, and for how long. Milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Before the first check.
    pub first: u32,
    /// Between two checks.
    pub between: u32,
    /// How many checks; 0: any number.
    pub tries: u32,
    /// For one check, which is killed after that; 0: any time.
    pub each: u32,
    /// For all of it; 0: any time.
    pub all: u32,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum Verdict {
    /// A check succeeded.
    Ready = 0,
    /// No check did.
    Exhausted = 1,
    /// The service died.
    Died = 2,
    /// Time was up.
    TimedOut = 3,
}

/// What one waits for.
enum Happened {
    /// The service died.
    Death,
    /// The check ended; whether well.
    Check(bool),
    /// It is time.
    Time,
}

struct Watcher<'a> {
    epoll: Epoll,
    subscription: &'a Subscription,
    signals: Fd,
    /// Pid (and process group) of the check that runs, or 0.
    check: i32,
}

/// Runs checks as `plan` says until one succeeds or `d` comes through `subscription`. `spawn` starts a check, in a process
/// group of its own, and returns its pid; a check that cannot be started has failed. Whatever ends it, no check is left.
/// The process must have no other children; SIGCHLD must be blocked.
pub fn run(plan: &Plan, subscription: &Subscription, spawn: &mut dyn FnMut() -> Result<i32>) -> Result<Verdict> {
    let mut watcher = Watcher {
        epoll: Epoll::new()?,
        subscription,
        signals: signal::open_signalfd(SignalSet::of(&[number::CHLD]))?,
        check: 0,
    };
    let token = Token { kind: 0, slot: 0, generation: 0 };
    watcher.epoll.add(subscription.fd(), token, Flags::IN)?;
    watcher.epoll.add(watcher.signals, token, Flags::IN)?;
    let verdict = watcher.run(plan, spawn);
    watcher.kill_check();
    watcher.signals.close();
    watcher.epoll.fd().close();
    verdict
}

/// `millis` from now; 0 is never.
fn in_time(millis: u32) -> Option<Nanos> {
    (millis != 0).then(|| time::boot() + u64::from(millis) * MILLI)
}

impl Watcher<'_> {
    fn run(&mut self, plan: &Plan, spawn: &mut dyn FnMut() -> Result<i32>) -> Result<Verdict> {
        let end = in_time(plan.all);
        let mut pause = plan.first;
        let mut tries = 0u32;
        loop {
            // A pause of nothing is none, not one for ever.
            match self.until(Some(time::boot() + u64::from(pause) * MILLI), end)? {
                Happened::Death => return Ok(Verdict::Died),
                Happened::Time if is_past(end) => return Ok(Verdict::TimedOut),
                Happened::Check(_) | Happened::Time => {}
            }
            self.check = spawn().unwrap_or(0);
            if self.check != 0 {
                match self.until(in_time(plan.each), end)? {
                    Happened::Death => return Ok(Verdict::Died),
                    Happened::Check(true) => return Ok(Verdict::Ready),
                    Happened::Time if is_past(end) => return Ok(Verdict::TimedOut),
                    Happened::Check(false) | Happened::Time => {}
                }
                self.kill_check();
            }
            tries = tries.saturating_add(1);
            if tries == plan.tries {
                return Ok(Verdict::Exhausted);
            }
            pause = plan.between;
        }
    }

    fn kill_check(&mut self) {
        if self.check > 1 {
            let _ = process::kill(-self.check, number::KILL);
        }
        self.check = 0;
    }

    /// Waits until something happens, `limit` or `end` has passed.
    fn until(&mut self, limit: Option<Nanos>, end: Option<Nanos>) -> Result<Happened> {
        let limit = match (limit, end) {
            (Some(limit), Some(end)) => Some(limit.min(end)),
            (limit, end) => limit.or(end),
        };
        loop {
            let mut buf = [0; 64];
            while let Some(n) = self.subscription.read(&mut buf)? {
                if buf.iter().take(n).any(|byte| *byte == b'd') {
                    return Ok(Happened::Death);
                }
            }
            if let Some(well) = self.reap() {
                return Ok(Happened::Check(well));
            }
            if is_past(limit) {
                return Ok(Happened::Time);
            }
            let mut events = [(Token { kind: 0, slot: 0, generation: 0 }, Flags::empty()); BATCH];
            self.epoll.wait(&mut events, limit.map(|limit| limit.saturating_sub(time::boot())))?;
        }
    }

    /// Reaps who has ended; says how the check did, if it was among them.
    fn reap(&mut self) -> Option<bool> {
        while let Ok(Some(_)) = signal::read_signalfd(self.signals) {}
        let mut answer = None;
        while let Some(death) = process::peek_death() {
            process::reap(death.pid);
            if death.pid == self.check {
                answer = Some(death.wstat == 0);
                self.check = 0;
            }
        }
        answer
    }
}

fn is_past(limit: Option<Nanos>) -> bool {
    limit.is_some_and(|limit| limit <= time::boot())
}
