//! What the two notification bridges have in common: a process that stays beside prog until it has passed on that prog is
//! ready. It is small, and in nobody's way: of what prog inherits it keeps nothing open that others wait for the end of.

use crate::applets::cli::{Cli, SYSTEM};
use crate::sys::signal::{self, SignalSet};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, Result, fd, process};
use rustix::fs::FileType;

/// The watcher's exit code when prog has ended without being ready. (Nobody looks at it, unless prog itself, with `-f`.)
pub const NEVER_READY: i32 = 1;

/// When `millis` from now are over; 0: never.
pub fn deadline(millis: u32) -> Option<Nanos> {
    (millis != 0).then(|| time::boot() + Nanos::from(millis) * MILLI)
}

/// Makes the watcher, as a child of prog-to-be, or `apart`: then it is no child of prog, which has no unknown children. It
/// does `watch`, whose value is its exit code, with the descriptors `kept` and perhaps standard error. Errors are exit
/// codes; what went wrong has been said.
pub fn start(cli: &Cli, apart: bool, kept: &[Fd], watch: &mut dyn FnMut() -> i32) -> core::result::Result<(), i32> {
    let mut begin = || {
        process::fork_with(&mut || {
            let_go(kept);
            watch()
        })
    };
    let started = match apart {
        false => begin().map(drop),
        true => process::fork_with(&mut || begin().map_or(SYSTEM, |_| 0)).and_then(passed_on),
    };
    started.map_err(|e| cli.unable("fork", e))
}

/// Waits for the child whose only work it was to have a child.
fn passed_on(pid: i32) -> Result<()> {
    match process::wait_for(pid) {
        Ok(death) if death.wstat != 0 => Err(Errno::AGAIN),
        // Deaths are not told to who ignores SIGCHLD.
        Ok(_) | Err(Errno::CHILD) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Closes what is prog's. Standard error stays, for messages, unless it is a pipe or a socket: somebody reads that to its
/// end, which is to come when prog lets go of it.
fn let_go(kept: &[Fd]) {
    SignalSet::of(&[signal::number::PIPE]).block();
    let awaited = rustix::fs::fstat(Fd::STDERR)
        .is_ok_and(|stat| matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::Socket));
    if awaited && !kept.contains(&Fd::STDERR) {
        Fd(Fd::STDERR.0).close();
    }
    fd::close_all_but(&[kept, &[Fd::STDERR]]);
}
