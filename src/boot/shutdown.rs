//! From the last stopped service to the kernel: everybody else is told to end, then killed; file systems are synced,
//! unmounted or made read-only; then power off, reboot or halt. Each step has a deadline: a disk that hangs or a
//! process that cannot die does not keep the machine from going down.

use super::Progress;
use super::unmount::unmount_all;
use crate::svscan::children::JobKind;
use crate::svscan::{Engine, Plan};
use crate::sys::signal::number as sig;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, process};
use crate::{notice, warning};
use rustix::system::RebootCommand;

/// After SIGKILL, processes get this long to be gone.
const AFTER_KILL: Nanos = 2 * SECOND;
/// The catch-all logger has this long to read what services have said…
const LAST_WORDS: Nanos = 2 * SECOND;
/// …and this long to end before everybody is killed.
const HANG_UP: Nanos = SECOND / 2;
/// Syncing and unmounting may take this long.
const UNMOUNT: Nanos = 20 * SECOND;

/// Ends the machine, in the way that was asked for last. Returns only if the kernel refuses (EPERM in a container):
/// what, and why.
pub fn finish(engine: &mut Engine, grace: Nanos) -> (Plan, Errno) {
    end_processes(engine, grace);
    let unlogged = engine.unlogged();
    if unlogged > 0 {
        warning!("{unlogged} bytes for s6-svscan-log are lost: it has not read them");
    }
    engine.set_progress(Progress::Unmounting as u32);
    notice!("syncing and unmounting file systems");
    if !engine.run_job(JobKind::Unmounter, unmount_all, time::boot() + UNMOUNT) {
        warning!("unmounting did not end in {} s: going on without", UNMOUNT / SECOND);
    }
    let plan = engine.plan();
    notice!("{} now", plan.name());
    (plan, reboot(plan))
}

/// reboot(2). Returns only if it is refused.
pub fn reboot(plan: Plan) -> Errno {
    let command = match plan {
        Plan::Poweroff => RebootCommand::PowerOff,
        Plan::Halt => RebootCommand::Halt,
        _ => RebootCommand::Restart,
    };
    rustix::system::reboot(command).err().unwrap_or(Errno::INVAL)
}

/// Whether there are processes besides us. On a machine they are our children, or below one; kill(2) would not tell,
/// because it counts kernel threads too. In a container there are none of those, but processes that came from outside.
fn anybody_left() -> bool {
    process::has_children() || (!process::owns_machine() && process::kill(-1, 0) != Err(Errno::SRCH))
}

/// SIGTERM to everybody who is left, then SIGKILL. The catch-all logger, the last service, logs what they say meanwhile, and
/// ends when they have; unless it ends by SIGTERM as they do.
fn end_processes(engine: &mut Engine, grace: Nanos) {
    engine.let_logger_finish(LAST_WORDS);
    for (signal, patience) in [(sig::TERM, grace), (sig::KILL, AFTER_KILL)] {
        if !anybody_left() {
            return; // nobody is left
        }
        if signal == sig::KILL {
            engine.hang_up_logger(HANG_UP);
        }
        let _ = process::kill(-1, signal);
        let _ = process::kill(-1, sig::CONT);
        let limit = time::boot() + patience;
        while time::boot() < limit {
            // Children wake us by their death; those of others are looked for.
            engine.turn(Some(limit.min(time::boot() + 50 * MILLI)));
            if !anybody_left() {
                return;
            }
        }
        if signal == sig::TERM {
            notice!("processes are left after {} ms: killing them", patience / MILLI);
        }
    }
    warning!("processes are left that cannot be killed");
}
