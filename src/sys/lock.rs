//! Locks on whole files, that wait if they must: fcntl(2).

use super::signal::{SignalSet, number::ALRM, reset_action};
use super::{Errno, Fd, Result, raw, time};
use linux_raw_sys::general as linux;

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// This process, whatever it becomes by exec; lost as soon as it closes any descriptor of the file.
    Process,
    /// Everybody who has the descriptor, or a copy of it; lost when the last one is closed.
    Description,
}

/// How long to wait for a lock that somebody else holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Not at all.
    None,
    /// So many milliseconds.
    Millis(u32),
    /// For ever.
    Endless,
}

#[cfg(target_pointer_width = "64")]
const PROCESS: [u32; 2] = [linux::F_SETLK, linux::F_SETLKW];
#[cfg(target_pointer_width = "32")]
const PROCESS: [u32; 2] = [linux::F_SETLK64, linux::F_SETLKW64];
const DESCRIPTION: [u32; 2] = [linux::F_OFD_SETLK, linux::F_OFD_SETLKW];

/// After the deadline the alarm is repeated, in milliseconds: one may come before the call that it is to interrupt.
const REPEAT: u32 = 10;

/// Locks a file: `shared` for readers, or for one alone. EAGAIN: somebody else holds it, and we do not wait.
/// ETIMEDOUT: the time is over. EBADF: a shared lock needs a descriptor for reading, the other one for writing.
///
/// Uses SIGALRM while it waits for a limited time; its action is the default one afterwards.
pub fn take(fd: Fd, shared: bool, owner: Owner, patience: Patience) -> Result<()> {
    let kind = if shared { linux::F_RDLCK } else { linux::F_WRLCK };
    let [at_once, waiting] = if owner == Owner::Process { PROCESS } else { DESCRIPTION };
    let lock = |command| raw::file_lock(fd.0, command, kind).map(drop);
    match lock(at_once) {
        Err(Errno::ACCESS | Errno::AGAIN) => {}
        done => return done,
    }
    match patience {
        Patience::None => Err(Errno::AGAIN),
        Patience::Endless => until(|| lock(waiting), || false),
        Patience::Millis(millis) => {
            let deadline = time::boot() + u64::from(millis) * time::MILLI;
            extern "C" fn interrupt(_: i32) {}
            raw::on_signal(ALRM, interrupt);
            let before = SignalSet::blocked();
            before.without(ALRM).block();
            raw::set_alarm(millis.max(1), REPEAT);
            let done = until(|| lock(waiting), || time::boot() >= deadline);
            raw::set_alarm(0, 0);
            reset_action(ALRM);
            before.block();
            done
        }
    }
}

/// Repeats what was interrupted until it is over.
fn until(mut attempt: impl FnMut() -> Result<()>, over: impl Fn() -> bool) -> Result<()> {
    loop {
        match attempt() {
            Err(Errno::INTR) if over() => return Err(Errno::TIMEDOUT),
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}
