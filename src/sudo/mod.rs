//! A program run by somebody else, for whoever may connect to him: the conversation of sudoc and sudod, both sides, as s6
//! has it.
//!
//! The server says [`SERVER`]. The client sends one message ([`request`]) with its standard descriptors. The server answers
//! with a byte, 0 or why it could not start the program; when that has ended, with its wait status in four bytes,
//! big-endian. A client that hangs up earlier does not want it any more.

pub mod client;
pub mod request;
pub mod server;

use crate::limits::SUDO_REQUEST;
use crate::sys::cell::TakeCell;
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, file, poll};

/// What a server says first.
pub const SERVER: &[u8; 15] = b"s6-sudo b v1.0\n";
/// What a request begins with.
pub const CLIENT: &[u8; 15] = b"s6-sudo a v1.0\n";

/// Descriptors that come with a request: the client's standard input, output and error.
pub const FDS: usize = 3;

/// Where the one request of a process is put together, or received.
pub type Room = [u8; SUDO_REQUEST];

static ROOM: TakeCell<Room> = TakeCell::new([0; SUDO_REQUEST]);

/// The place for the one request that a process makes or receives. `None`: it was given away.
pub fn room() -> Option<&'static mut Room> {
    ROOM.take()
}

/// Writes a few bytes, which pipes and sockets take as a whole. ETIMEDOUT: they did not until `deadline`. The caller must
/// have SIGPIPE blocked or ignored.
fn say(fd: Fd, bytes: &[u8], deadline: Option<Nanos>) -> Result<()> {
    loop {
        poll::writable(fd, deadline)?;
        match file::write_all(fd, bytes) {
            Err(Errno::AGAIN) => {}
            done => return done,
        }
    }
}

/// Reads until `bytes` is full. ETIMEDOUT: it was not until `deadline`. EPIPE: the other side hung up, after so many bytes.
fn hear(fd: Fd, bytes: &mut [u8], deadline: Option<Nanos>) -> core::result::Result<(), (Errno, usize)> {
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match poll::readable(fd, deadline).and_then(|()| file::read_some(fd, rest)) {
            Ok(0) => return Err((Errno::PIPE, at)),
            Ok(n) => at += n,
            Err(Errno::AGAIN) => {}
            Err(e) => return Err((e, at)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
