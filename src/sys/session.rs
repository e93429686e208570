//! Sessions, process groups and the terminal that belongs to them: setsid(2), setpgid(2), tcsetpgrp(3).

use super::signal::SignalSet;
use super::{Fd, Result, file};
use rustix::fs::OFlags;
use rustix::process::{Pid, getpid, setpgid};

/// Makes this process the leader of a new session, without a controlling terminal. EPERM: it leads a process group.
pub fn new_session() -> Result<()> {
    rustix::process::setsid().map(drop)
}

/// Makes this process the leader of a new process group. EPERM: it leads a session.
pub fn new_group() -> Result<Pid> {
    let own = getpid();
    setpgid(None, None).map(|()| own)
}

/// Opens the controlling terminal. ENXIO: there is none.
pub fn terminal() -> Result<Fd> {
    file::open(Fd::CWD, c"/dev/tty", OFlags::RDWR, 0)
}

/// Makes `group` the foreground process group of `terminal`. A process of another group is stopped when it asks for
/// that (SIGTTOU), unless it grabs.
pub fn set_foreground(terminal: Fd, group: Pid, grab: bool) -> Result<()> {
    if !grab {
        return rustix::termios::tcsetpgrp(terminal, group);
    }
    let before = SignalSet::ALL.block();
    let done = rustix::termios::tcsetpgrp(terminal, group);
    before.block();
    done
}
