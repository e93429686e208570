//! Deaths, and children that are no services: handlers of signals, the init script. One sweep takes every death there
//! is; orphans that process 1 inherits are reaped and forgotten.

use super::Role;
use super::engine::Engine;
use crate::service::machine::Event;
use crate::state::Job;
use crate::sys::args::Argv;
use crate::sys::memory::commit;
use crate::sys::process::{self, Spawn, SpawnError};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, signal};
use crate::text::errno::Reason;
use crate::{fault_point, info, warning};
use core::ffi::CStr;

/// What a job is, as [`Job::kind`] holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum JobKind {
    /// A `.s6-svscan/SIGxxx` handler.
    SignalHandler = 1,
    /// The board's init script.
    InitScript = 2,
    /// Unmounts everything at the end.
    Unmounter = 3,
    /// What a stop begins with.
    StopScript = 4,
}

impl JobKind {
    fn name(kind: u8) -> &'static str {
        match kind {
            1 => "signal handler",
            2 => "init script",
            3 => "unmounter",
            4 => "shutdown script",
            _ => "job",
        }
    }
}

/// Slots for the shutdown script and the unmounter.
const KEPT: usize = 2;
/// Deaths taken per turn: more wait for the next, so that a flood of orphans does not keep others waiting.
const DEATHS_PER_TURN: usize = 256;
/// Deaths of services among them: each may be followed by a start, which takes about a millisecond.
const STARTS_PER_TURN: usize = 32;

impl Engine {
    /// Takes every death there is, up to a bound; answers whether there may be more.
    pub(super) fn sweep(&mut self, now: Nanos) -> bool {
        let mut services = 0;
        for _ in 0..DEATHS_PER_TURN {
            // Seen first, reaped last: if we fault in between, the same death is seen again.
            let Some(death) = process::peek_death() else { return false };
            fault_point!("death.seen");
            if let Some(slot) = self.slots.by_pid(death.pid) {
                self.service_died(slot, death.pid, death.wstat, now);
                services += 1;
            } else if let Some(job) = self.tables.jobs.iter_mut().find(|job| job.used != 0 && job.pid == death.pid) {
                let prepared = job.kind == JobKind::InitScript as u8;
                let is_stop_script = job.kind == JobKind::StopScript as u8;
                tell_end(job, death.wstat);
                if prepared {
                    self.ask_for_sockets(now); // it may have mounted a file system, or brought an interface up
                }
                if is_stop_script {
                    self.note_script_ended();
                }
                if let Some(job) = self.tables.jobs.iter_mut().find(|job| job.used != 0 && job.pid == death.pid) {
                    (job.used, job.pid) = (0, 0);
                }
            }
            fault_point!("death.taken");
            process::reap(death.pid);
            fault_point!("death.reaped");
            self.go_on_with_stop(now);
            if services == STARTS_PER_TURN {
                break;
            }
        }
        true
    }

    pub(super) fn service_died(&mut self, slot: usize, pid: i32, wstat: u32, now: Nanos) {
        self.slots.set_pid(slot, 0);
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        // Once it was taken, the record has another child, or none, and this is seen no more.
        if service.pid != pid {
            return;
        }
        service.dead_pid = pid;
        commit(service);
        // It may have said that it is ready in its last moment.
        self.hear_readiness(slot, now);
        if self.tables.services.get(slot).is_some_and(|service| service.notified != 0) {
            self.hear_last(slot, now);
        }
        self.drive(slot, Event::Died(wstat), now);
        if let Some(service) = self.tables.services.get_mut(slot) {
            service.dead_pid = 0;
        }
    }

    /// Starts a child that is no service, as `words`, of which the first is its path, with `dir` as its working directory. It
    /// is killed at `deadline`; 0: never. ENFILE: there are [`crate::limits::JOBS`] already.
    pub fn start_job(
        &mut self,
        kind: JobKind,
        words: &[&CStr],
        dir: Fd,
        session: bool,
        deadline: Nanos,
    ) -> Result<(), SpawnError> {
        // However many handlers of signals there are, process 1 can end the machine.
        let kept = if kind == JobKind::SignalHandler && matches!(self.config.role, Role::Init(_)) { KEPT } else { 0 };
        let free = self.tables.jobs.iter_mut().enumerate().filter(|(_, job)| job.used == 0).nth(kept);
        let Some((slot, job)) = free else { return Err(SpawnError::Setup(Errno::NFILE)) };
        let argv = Argv::<3>::new(words);
        let path = words.first().copied().unwrap_or_default();
        let spawn = Spawn {
            path,
            argv: &argv,
            env: self.env,
            given: None,
            dir,
            stdio: [Fd::NONE; 3],
            extra: &[],
            session,
            new_pidns: false,
            cgroup: Fd::NONE,
            nofile: self.config.nofile,
        };
        // The record is there before the child is.
        *job = Job { used: 1, kind: kind as u8, failed: 0, pid: 0, started: time::boot(), deadline };
        self.tables.inbox.job = slot as u32 + 1; // if a signal is in it, that is what it asked for
        commit(&self.tables.inbox);
        let Some(job) = self.tables.jobs.get_mut(slot) else { return Err(SpawnError::Setup(Errno::NFILE)) };
        commit(job);
        fault_point!("job.before");
        let started = spawn.start_on_record(&mut job.pid, &mut job.failed);
        fault_point!("job.after");
        if started.is_err() {
            job.used = 0;
        }
        started
    }

    /// Runs `work` in a forked child until it ends or the deadline passes; whatever else happens is served meanwhile.
    /// Answers whether it ended by itself. If one of this kind runs already, begun before we were interrupted, that is
    /// waited for.
    pub fn run_job(&mut self, kind: JobKind, work: fn() -> i32, limit: Nanos) -> bool {
        let jobs = &mut self.tables.jobs;
        let is_running = |job: &Job| job.used != 0 && job.kind == kind as u8 && job.pid > 0;
        let place = jobs.iter().position(is_running).or_else(|| jobs.iter().position(|job| job.used == 0));
        let Some((slot, job)) = place.and_then(|slot| Some((slot, jobs.get_mut(slot)?))) else { return false };
        if !is_running(job) {
            *job = Job { used: 1, kind: kind as u8, failed: 0, pid: 0, started: time::boot(), deadline: 0 };
            commit(job);
            fault_point!("job.fork.before");
            if let Err(e) = process::fork_job_on_record(work, &mut job.pid) {
                job.used = 0;
                warning!("cannot start the {}: {}", JobKind::name(kind as u8), Reason(e));
                return false;
            }
            fault_point!("job.fork.after");
        }
        let pid = job.pid;
        let running = |engine: &Engine| engine.tables.jobs.get(slot).is_some_and(|job| job.used != 0 && job.pid == pid);
        while running(self) && time::boot() < limit {
            self.turn(Some(limit));
        }
        let ended = !running(self);
        if !ended {
            let _ = process::kill(pid, signal::number::KILL);
        }
        ended
    }

    pub(super) fn job_deadline(&self) -> Option<Nanos> {
        self.tables.jobs.iter().filter(|job| job.used != 0 && job.deadline > 0).map(|job| job.deadline).min()
    }

    pub(super) fn expire_jobs(&mut self, now: Nanos) {
        let mut expired = false;
        for job in self.tables.jobs.iter_mut().filter(|job| job.used != 0 && job.deadline > 0 && job.deadline <= now) {
            let (pid, took) = (job.pid, now.saturating_sub(job.started) / MILLI);
            warning!("the {} (pid {pid}) has not ended after {took} ms: killed", JobKind::name(job.kind));
            // What it waits for is one of its own process group, if it has one.
            if process::session(pid) == Ok(pid) {
                let _ = process::kill(-pid, signal::number::KILL);
            }
            let _ = process::kill(pid, signal::number::KILL);
            job.deadline = 0;
            expired = true;
        }
        if expired {
            self.give_up_script();
            self.go_on_with_stop(now);
        }
    }
}

fn tell_end(job: &Job, wstat: u32) {
    let name = JobKind::name(job.kind);
    match (wstat & 0x7f, wstat >> 8) {
        (0, 0) => info!("the {name} is done"),
        (0, code) => warning!("the {name} exited with {code}"),
        (signal, _) => warning!("the {name} was killed by SIG{}", crate::sys::signal::name(signal as i32)),
    }
}
