//! A daemon that clients kill while they use it: its process, and what its supervisor says of it.

use core::ffi::CStr;
use core::fmt::Write;
use linchpin::log::Line;
use linchpin::service::{client, status};
use linchpin::sys::signal::number as sig;
use linchpin::sys::time::{self, MILLI, Nanos};
use linchpin::sys::{Fd, file, poll, process};
use linchpin::text::CPath;

/// A supervised daemon. Nothing about it takes longer than `patience`.
pub struct Victim {
    service: Fd,
    patience: Nanos,
}

impl Victim {
    /// The daemon of this service directory.
    pub fn of(service: &CStr, patience: Nanos) -> Result<Victim, &'static str> {
        let service = file::open_dir(Fd::CWD, service).map_err(|_| "cannot open the service directory")?;
        Ok(Victim { service, patience })
    }

    /// Its pid, as its supervisor tells it; 0 if it is dead.
    fn pid(&self) -> Result<i32, &'static str> {
        status::read(self.service).map(|status| status.pid).map_err(|_| "cannot read the service's status")
    }

    /// Stops it, so that it takes nothing from its sockets any more. Answers its pid.
    pub fn stop(&self) -> Result<i32, &'static str> {
        let pid = self.pid()?;
        process::kill(pid, sig::STOP).map_err(|_| "cannot stop the daemon")?;
        let deadline = time::boot() + self.patience;
        while state(pid) != Some(b'T') {
            if time::boot() > deadline {
                return Err("the daemon does not stop");
            }
            poll::until(time::boot() + MILLI);
        }
        Ok(pid)
    }

    /// Kills it, and calls `meanwhile` again and again until the supervisor says that it is dead. Then it orders the next
    /// one up, which skips the second between two starts.
    pub fn replace(
        &self,
        pid: i32,
        mut meanwhile: impl FnMut() -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        process::kill(pid, sig::KILL).map_err(|_| "cannot kill the daemon")?;
        let deadline = time::boot() + self.patience;
        loop {
            meanwhile()?;
            match self.pid()? {
                0 => {
                    return client::command_supervisor(self.service, b"u").map_err(|_| "cannot order the service up");
                }
                now if now != pid => return Ok(()), // it had been up for a second: no order is needed
                _ if time::boot() > deadline => return Err("the supervisor does not see that the daemon is dead"),
                _ => {}
            }
        }
    }
}

/// The state letter of /proc/PID/stat, which follows the name in parentheses.
fn state(pid: i32) -> Option<u8> {
    let mut path = Line::<32>::new();
    let _ = write!(path, "/proc/{pid}/stat");
    let path = CPath::<40>::of(&[path.finish("").as_bytes()]);
    let mut bytes = [0; 256];
    let text = file::read(Fd::CWD, path.get()?, &mut bytes).ok()?;
    let at = text.iter().rposition(|b| *b == b')')?;
    text.get(at + 2).copied()
}
