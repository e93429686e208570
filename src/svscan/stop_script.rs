//! The board's shutdown script: what process 1 runs before it stops anything, once in its life. While it runs everything
//! goes on, and what was asked for waits; when it has ended, or its time is over, that begins.
//!
//! All of it is in the arena: what follows and how far it has come, before the script is started; its pid, by the kernel; that
//! it has ended, before it is reaped. Whoever enters in between goes on from there.

use super::children::JobKind;
use super::engine::Engine;
use super::stop::Manner;
use super::{Plan, Role};
use crate::state::{Header, Job};
use crate::sys::memory::commit;
use crate::sys::process::SpawnError;
use crate::sys::time::{MILLI, Nanos};
use crate::sys::{Fd, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{fault_point, notice, warning};
use core::ffi::CStr;

/// How far the script has come, as the header holds it; it never goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Stage {
    /// No stop was asked for.
    Idle = 0,
    /// One was; the script is to be started.
    Asked = 1,
    /// It was started.
    Started = 2,
    /// It has ended, could not be started, or was given up: the stop begins.
    Ended = 3,
    /// Everybody was told that it has begun.
    Told = 4,
}

impl Stage {
    /// That of a header; a number that is none is the end.
    #[inline(always)] // see go_on_with_stop
    pub fn of(header: &Header) -> Stage {
        match header.stop_stage {
            0 => Stage::Idle,
            1 => Stage::Asked,
            2 => Stage::Started,
            3 => Stage::Ended,
            _ => Stage::Told,
        }
    }
}

impl Engine {
    /// Whether a stop that is asked for has to wait for the script. What was asked for last is what follows.
    pub(super) fn holds_stop(&mut self, plan: Plan, manner: Option<Manner>, now: Nanos) -> bool {
        let header = &mut self.tables.header;
        let has_script = header.stop_script.first().is_some_and(|byte| *byte != 0);
        if !has_script
            || !matches!(self.config.role, Role::Init(_))
            || matches!(Stage::of(header), Stage::Ended | Stage::Told)
        {
            return false;
        }
        (header.stop_plan, header.stop_manner) = (plan as u32, manner.map_or(0, Manner::number).into());
        commit(header);
        if Stage::of(header) == Stage::Idle {
            header.stop_stage = Stage::Asked as u32;
            commit(header);
        }
        fault_point!("script.asked");
        self.script_runs(now)
    }

    /// Begins the stop that has waited for the script, if one has and need not any more. It is asked at every death, and so is
    /// a part of the caller: the rest of the code here is not in memory until a stop comes.
    #[inline(always)]
    pub(super) fn go_on_with_stop(&mut self, now: Nanos) {
        if !matches!(Stage::of(&self.tables.header), Stage::Idle | Stage::Told) {
            self.begin_held_stop(now);
        }
    }

    #[inline(never)]
    fn begin_held_stop(&mut self, now: Nanos) {
        if !matches!(self.config.role, Role::Init(_)) || self.script_runs(now) {
            return;
        }
        fault_point!("script.over");
        let header = &self.tables.header;
        let plan = match header.stop_plan {
            3 => Plan::Poweroff,
            5 => Plan::Halt,
            _ => Plan::Reboot,
        };
        self.stop(plan, Manner::of(header.stop_manner as u8), now);
    }

    /// Starts the script if it was not; answers whether it runs.
    fn script_runs(&mut self, now: Nanos) -> bool {
        let stage = Stage::of(&self.tables.header);
        if matches!(stage, Stage::Asked | Stage::Started) {
            let later = now.saturating_add(self.tables.header.stop_script_timeout);
            if let Some(job) = self.tables.jobs.iter_mut().find(|job| is_script(job) && job.pid > 0) {
                if job.deadline == 0 {
                    job.deadline = later; // it was damaged
                }
                self.set_stage(Stage::Started);
                return true;
            }
        }
        if stage == Stage::Asked {
            match self.start_script(now) {
                Ok(()) => {
                    fault_point!("script.started");
                    self.set_stage(Stage::Started);
                    return true;
                }
                Err(why) => {
                    let script = Printable(path(&self.tables.header).to_bytes());
                    warning!("cannot run the shutdown script {script}: {}", Reason(why.errno()));
                }
            }
        }
        self.set_stage(Stage::Ended);
        false
    }

    fn start_script(&mut self, now: Nanos) -> Result<(), SpawnError> {
        let header = &self.tables.header;
        let script = CPath::<256>::of(&[path(header).to_bytes()]);
        let script = script.path().map_err(SpawnError::Setup)?;
        let (timeout, what) = (header.stop_script_timeout, header.stop_plan);
        let name = match what {
            3 => c"poweroff",
            5 => c"halt",
            _ => c"reboot",
        };
        let mut root = file::open_dir(Fd::CWD, c"/").map_err(SpawnError::Setup)?;
        let deadline = now.saturating_add(timeout);
        let started = self.start_job(JobKind::StopScript, &[script, name], root, true, deadline);
        root.close();
        if started.is_ok() {
            let (name, script) = (Printable(name.to_bytes()), Printable(script.to_bytes()));
            notice!("{name}: first {script}, for {} ms at most", timeout / MILLI);
        }
        started
    }

    /// Its child has ended; it was not reaped yet.
    pub(super) fn note_script_ended(&mut self) {
        if matches!(Stage::of(&self.tables.header), Stage::Asked | Stage::Started) {
            self.set_stage(Stage::Ended);
        }
        fault_point!("script.ended");
    }

    /// Its time may be over: if so it was killed, and is not waited for, for it may be one that cannot die.
    pub(super) fn give_up_script(&mut self) {
        let expired = |job: &Job| is_script(job) && job.deadline == 0;
        if self.tables.jobs.iter().any(expired) {
            self.note_script_ended();
        }
    }

    /// Everybody was told that the stop has begun.
    pub(super) fn note_stop_told(&mut self) {
        if Stage::of(&self.tables.header) == Stage::Ended {
            self.set_stage(Stage::Told);
        }
    }

    fn set_stage(&mut self, stage: Stage) {
        self.tables.header.stop_stage = stage as u32;
        commit(&self.tables.header);
    }
}

fn is_script(job: &Job) -> bool {
    job.used != 0 && job.kind == JobKind::StopScript as u8
}

fn path(header: &Header) -> &CStr {
    CStr::from_bytes_until_nul(&header.stop_script).unwrap_or_default()
}
