//! Processes that are not our children, yet: becoming the parent of orphans, seeing the end of anybody.

use super::{Errno, Fd, Result};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open, set_child_subreaper};

/// Makes this process the parent of all its descendants that lose theirs: prctl(2) PR_SET_CHILD_SUBREAPER. It stays so
/// across exec.
pub fn adopt_orphans() -> Result<()> {
    set_child_subreaper(Some(getpid()))
}

/// Takes that back: those who lose theirs from now on are the business of somebody above us.
pub fn leave_orphans() -> Result<()> {
    set_child_subreaper(None)
}

/// A close-on-exec descriptor of a process, which can be read when the process has ended: pidfd_open(2). ESRCH: there is
/// none. ENOSYS: a kernel before 5.3.
pub fn watch(pid: i32) -> Result<Fd> {
    let pid = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 0).ok_or(Errno::SRCH)?;
    pidfd_open(pid, PidfdFlags::empty()).map(Fd::from_owned)
}
