//! Children that have ended: waitid(2).

use super::{Errno, Result, raw};
use linux_raw_sys::general as linux;

/// Of any child, of one: idtype_t.
const P_ALL: u32 = 0;
const P_PID: u32 = 1;

/// A child that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Death {
    /// Its pid.
    pub pid: i32,
    /// How, in wait(2)'s encoding: exit code << 8, or signal, | 0x80 if it dumped core.
    pub wstat: u32,
}

impl Death {
    /// The exit code with which a program passes this on: the child's own, or 128 and the number of the signal.
    pub fn exit_code(self) -> i32 {
        match self.wstat & 0x7f {
            0 => (self.wstat >> 8 & 0xff) as i32,
            signal => 128 + signal as i32,
        }
    }
}

/// A child that has ended, without reaping it: the same one is seen again until [`reap`]. `None`: none has ended (or
/// there is no child).
pub fn peek_death() -> Option<Death> {
    wait_with(P_ALL, 0, linux::WEXITED | linux::WNOHANG | linux::WNOWAIT).ok().flatten()
}

/// Whether there is any child at all, ended or not.
pub fn has_children() -> bool {
    wait_with(P_ALL, 0, linux::WEXITED | linux::WNOHANG | linux::WNOWAIT) != Err(Errno::CHILD)
}

/// Whether this is a child of ours, be it that it has ended already.
pub fn is_child(pid: i32) -> bool {
    pid > 0 && wait_with(P_PID, pid, linux::WEXITED | linux::WNOHANG | linux::WNOWAIT).is_ok()
}

/// Reaps a child that [`peek_death`] showed.
pub fn reap(pid: i32) {
    let _ = wait_with(P_PID, pid, linux::WEXITED | linux::WNOHANG);
}

/// Reaps `pid`, a child, if it has ended. ECHILD: it is no child of ours.
pub fn reap_ended(pid: i32) -> Result<Option<Death>> {
    wait_with(P_PID, pid, linux::WEXITED | linux::WNOHANG)
}

/// Reaps a child that has ended, whichever. `None`: none has. ECHILD: there is no child.
pub fn reap_any() -> Result<Option<Death>> {
    wait_with(P_ALL, 0, linux::WEXITED | linux::WNOHANG)
}

/// Waits until `pid`, a child, has ended, and reaps it. Blocks: not for PID 1's loop.
pub fn wait_for(pid: i32) -> Result<Death> {
    loop {
        match wait_with(P_PID, pid, linux::WEXITED) {
            Ok(Some(death)) => return Ok(death),
            Ok(None) | Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

fn wait_with(idtype: u32, id: i32, options: u32) -> Result<Option<Death>> {
    let mut info = [0i32; 32];
    raw::waitid(idtype, id, &mut info, options)?;
    // siginfo_t: signo, errno, code, then (aligned to a pointer) pid, uid, status.
    let at = if cfg!(target_pointer_width = "64") { 4 } else { 3 };
    let (code, pid, status) = (info[2] as u32, info[at], info[at + 2] as u32);
    if pid == 0 {
        return Ok(None);
    }
    let wstat = match code {
        linux::CLD_EXITED => (status & 0xff) << 8,
        linux::CLD_DUMPED => status | 0x80,
        _ => status,
    };
    Ok(Some(Death { pid, wstat }))
}
