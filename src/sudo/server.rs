//! The server's side, which reads what strangers send.

use super::request::{Malformed, Request, split};
use super::{FDS, Room, SERVER, say};
use crate::fdholder::wire::{self, HEADER};
use crate::limits::SUDO_REQUEST;
use crate::sys::environment::Environment;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::signal::{self, SignalSet, number};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, file, poll, process, socket};
use core::ffi::CStr;
use core::fmt;
use rustix::fs::OFlags;

/// Why nothing is done for a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A system call failed, or the deadline passed (ETIMEDOUT); what it was for.
    Unable(&'static str, Errno),
    /// The client hung up before its request was whole.
    Gone,
    /// The request takes another number of descriptors, or others came with it.
    Descriptors,
    /// It has more bytes than there is room for: so many.
    TooLong(usize),
    /// It is none.
    Malformed(Malformed),
}

impl Failure {
    /// What the client is told, if that is of use to it.
    pub fn answer(self) -> Option<Errno> {
        match self {
            Failure::TooLong(_) => Some(Errno::TOOBIG),
            Failure::Malformed(why) => why.answer(),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    /// What was wrong with the request; nothing for a system call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unable(what, _) => f.write_str(what),
            Failure::Gone => f.write_str("the client hung up before its request was whole"),
            Failure::Descriptors => f.write_str("client did not send 3 fds"),
            Failure::TooLong(length) => write!(
                f,
                "client sent a request of {length} bytes, the longest that fits has {}",
                SUDO_REQUEST - HEADER
            ),
            Failure::Malformed(why) => f.write_str(why.text()),
        }
    }
}

/// What a client asks for.
pub struct Asked {
    /// The program and its environment.
    pub request: Request<'static>,
    /// The client's standard input, output and error; close-on-exec.
    pub stdio: [Fd; FDS],
}

/// From here on a broken pipe is an errno, and the end of a child waits to be seen, whatever we have inherited. The set of
/// blocked signals before is for the child.
pub fn hold_signals() -> SignalSet {
    signal::reset_action(number::CHLD);
    SignalSet::blocked().union(SignalSet::of(&[number::CHLD, number::PIPE])).block()
}

/// Says who we are.
pub fn greet(to: Fd, deadline: Option<Nanos>) -> core::result::Result<(), Failure> {
    say(to, SERVER, deadline).map_err(|e| Failure::Unable("write banner to client", e))
}

/// Receives the request, and no byte beyond it. No descriptor is left open when it fails.
pub fn receive(from: Fd, room: &'static mut Room, deadline: Option<Nanos>) -> core::result::Result<Asked, Failure> {
    let mut stdio = [Fd::NONE; FDS];
    match receive_with(from, room, &mut stdio, deadline) {
        Ok(request) => Ok(Asked { request, stdio }),
        Err(failure) => {
            stdio.iter_mut().for_each(Fd::close);
            Err(failure)
        }
    }
}

fn receive_with(
    from: Fd,
    room: &'static mut Room,
    stdio: &mut [Fd; FDS],
    deadline: Option<Nanos>,
) -> core::result::Result<Request<'static>, Failure> {
    const READ: &str = "read message from client";
    let (mut have, mut wanted, mut fds) = (0, HEADER, 0);
    while have < wanted {
        let (bytes, places) = (room.get_mut(have..wanted), stdio.get_mut(fds..));
        match socket::receive(from, bytes.unwrap_or_default(), places.unwrap_or_default()) {
            Ok(got) => {
                (have, fds) = (have + got.bytes, fds + got.fds);
                if got.fds_lost {
                    return Err(if fds < FDS { Failure::Unable(READ, Errno::MFILE) } else { Failure::Descriptors });
                }
                if got.bytes == 0 {
                    return Err(Failure::Gone);
                }
            }
            Err(Errno::AGAIN) => poll::readable(from, deadline).map_err(|e| Failure::Unable(READ, e))?,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Err(Failure::Gone), // without having read who we are
            Err(e) => return Err(Failure::Unable(READ, e)),
        }
        if have == HEADER && wanted == HEADER {
            let (length, takes) = wire::header(room.as_slice()).unwrap_or_default();
            if takes != FDS {
                return Err(Failure::Descriptors);
            }
            wanted = HEADER.saturating_add(length);
            if wanted > room.len() {
                return Err(Failure::TooLong(length));
            }
        }
    }
    if fds != FDS {
        return Err(Failure::Descriptors);
    }
    let payload: &'static [u8] = room.get(HEADER..wanted).unwrap_or_default();
    Request::parse(payload).map_err(Failure::Malformed)
}

/// Answers with a byte: the program has been started, or why not.
pub fn answer(to: Fd, errno: Option<Errno>, deadline: Option<Nanos>) -> Result<()> {
    // The kernel's numbers end at 133; another one has no byte that says it.
    let byte = errno.map_or(0, |e| u8::try_from(e.raw_os_error()).unwrap_or(Errno::IO.raw_os_error() as u8));
    say(to, &[byte], deadline)
}

/// Tells how the program has ended.
pub fn tell(to: Fd, wstat: u32, deadline: Option<Nanos>) -> Result<()> {
    say(to, &wstat.to_be_bytes(), deadline)
}

/// Puts the client's variables into the server's environment: a variable is taken only if the server has it, empty; of
/// several of one name the first that is not empty. E2BIG: they do not fit.
pub fn admit(environment: &mut Environment, request: &Request<'_>) -> Result<()> {
    for (name, value) in request.variables().filter(|(_, value)| !value.is_empty()) {
        let of_name = |entry: &CStr| {
            let (own, value) = split(entry.to_bytes())?;
            (own == name).then_some(value.is_empty())
        };
        let is_empty = environment.iter().find_map(of_name);
        if is_empty == Some(true) {
            environment.set(name, value)?;
        }
    }
    Ok(())
}

/// Where a standard descriptor of the program comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The client.
    Client(Fd),
    /// /dev/null.
    Null,
    /// The server: it stays what it is.
    Server,
}

/// Gives a child its standard descriptors. It makes system calls only, for a child that shares our memory.
pub fn place(stdio: [Source; FDS]) -> Result<()> {
    // All out of the way first: what we have may lie where another one belongs.
    let mut aside = [Fd::NONE; FDS];
    for ((source, aside), number) in stdio.into_iter().zip(&mut aside).zip(0..) {
        *aside = match source {
            Source::Client(fd) => fd.duplicate(FDS as i32)?,
            Source::Null => {
                let flags = if number == 0 { OFlags::RDONLY } else { OFlags::WRONLY };
                file::open(Fd::CWD, c"/dev/null", flags, 0)?.duplicate(FDS as i32)?
            }
            Source::Server => Fd::NONE,
        };
    }
    aside.into_iter().zip(0..).filter(|(fd, _)| fd.is_some()).try_for_each(|(fd, number)| fd.place(number))
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The program: its wait status.
    Program(u32),
    /// The client hung up.
    Client,
}

const SIGNALS: Token = Token { kind: 0, slot: 0, generation: 0 };
const CLIENT: Token = Token { kind: 1, slot: 0, generation: 0 };

/// Sees the end of a child, or of the client. Made before the child: what it needs may be lacking.
pub struct Watch {
    epoll: Epoll,
    signals: Fd,
}

impl Watch {
    /// Of a client that must stay (its end of `client` is looked at, nothing is read), or of the child alone. SIGCHLD must be
    /// blocked. EMFILE, ENFILE, ENOMEM: there is no place for it.
    pub fn new(client: Option<Fd>) -> Result<Watch> {
        let signals = signal::open_signalfd(SignalSet::of(&[number::CHLD]))?;
        let watch = Watch { epoll: Epoll::new()?, signals };
        watch.epoll.add(watch.signals, SIGNALS, Flags::IN)?;
        if let Some(client) = client {
            watch.epoll.add(client, CLIENT, Flags::empty())?; // it tells of a hang-up without being asked
        }
        Ok(watch)
    }

    /// Waits for the end of `pid`, a child.
    pub fn until_end(&self, pid: i32) -> Result<Ended> {
        let mut events = Events::new();
        loop {
            if let Some(death) = process::reap_ended(pid)? {
                return Ok(Ended::Program(death.wstat));
            }
            if events.iter().any(|(token, _)| *token == CLIENT) {
                return Ok(Ended::Client);
            }
            self.epoll.wait(&mut events, None)?;
            while signal::read_signalfd(self.signals)?.is_some() {}
        }
    }
}

/// Ends a program that nobody wants any more: SIGTERM, and SIGCONT in case that it was stopped.
pub fn end(pid: i32) {
    for signal in [number::TERM, number::CONT] {
        let _ = process::kill(pid, signal);
    }
}
