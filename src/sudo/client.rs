//! The client's side.

use super::{SERVER, hear};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, poll, socket};

/// Why the server did not do what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It hung up before it had said anything: it lets nobody in, or not us.
    NotAdmitted,
    /// Whoever is there speaks of something else.
    Banner,
    /// It hung up; during what.
    Gone(&'static str),
    /// A system call failed, or the deadline passed (ETIMEDOUT); during what.
    Unable(&'static str, Errno),
    /// It could not start the program.
    Answered(Errno),
}

type Result<T> = core::result::Result<T, Failure>;

fn failed(what: &'static str, why: Errno) -> Failure {
    if why == Errno::PIPE { Failure::Gone(what) } else { Failure::Unable(what, why) }
}

/// Reads who the server says it is.
pub fn greeted(from: Fd, deadline: Option<Nanos>) -> Result<()> {
    let mut banner = [0; SERVER.len()];
    match hear(from, &mut banner, deadline) {
        Ok(()) if banner == *SERVER => Ok(()),
        Ok(()) => Err(Failure::Banner),
        // A server that lets us in only to hang up at once may be so quick that our end is reset.
        Err((Errno::PIPE | Errno::CONNRESET, 0)) => Err(Failure::NotAdmitted),
        Err((Errno::PIPE, read)) if banner.get(..read) != SERVER.get(..read) => Err(Failure::Banner),
        Err((why, _)) => Err(failed("read banner from server", why)),
    }
}

/// Sends the request, with our standard descriptors.
pub fn ask(from: Fd, to: Fd, message: &[u8], deadline: Option<Nanos>) -> Result<()> {
    const WHAT: &str = "send args to server";
    let mut fds = &[Fd::STDIN, Fd::STDOUT, Fd::STDERR][..];
    let mut rest = message;
    while !rest.is_empty() {
        match socket::send(to, rest, fds) {
            Ok(n) => {
                rest = rest.get(n..).unwrap_or_default();
                fds = &[];
            }
            Err(Errno::AGAIN) => poll::writable(to, deadline).map_err(|e| failed(WHAT, e))?,
            Err(Errno::INTR) => {}
            // It may have said why before it hung up.
            Err(e @ (Errno::PIPE | Errno::CONNRESET)) => {
                return match confirmed(from, deadline) {
                    Err(answered @ Failure::Answered(_)) => Err(answered),
                    _ => Err(failed(WHAT, e)),
                };
            }
            Err(e) => return Err(failed(WHAT, e)),
        }
    }
    Ok(())
}

/// Waits until the program has been started.
pub fn confirmed(from: Fd, deadline: Option<Nanos>) -> Result<()> {
    let mut byte = [0];
    hear(from, &mut byte, deadline).map_err(|(why, _)| failed("get confirmation from server", why))?;
    match byte {
        [0] => Ok(()),
        [errno] => Err(Failure::Answered(Errno::from_raw_os_error(errno.into()))),
    }
}

/// Waits until the program has ended; its wait status, as the server tells it.
pub fn ended(from: Fd, deadline: Option<Nanos>) -> Result<u32> {
    let mut status = [0; 4];
    hear(from, &mut status, deadline).map_err(|(why, _)| failed("get exit status from server", why))?;
    Ok(u32::from_be_bytes(status))
}
