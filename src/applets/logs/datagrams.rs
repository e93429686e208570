//! The loop of `s6-socklog`: one datagram after the other becomes a line on standard output, and leaves its socket's queue
//! when that is written.

use crate::applets::cli::{Cli, TIMEOUT};
use crate::limits::{PIPE_PIECE, SYSLOG_LEFT, SYSLOG_SOCKETS};
use crate::sys::poll::{self, PollFd, PollFlags};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, queue, signal};
use crate::text::ip;
use crate::text::syslog;
use core::fmt::Write;
use core::net::SocketAddr;
use core::ops::Range;

/// Sockets that are served.
pub type Sockets = heapless::Vec<Socket, SYSLOG_SOCKETS>;

/// A socket that is served.
#[derive(Clone, Copy)]
pub struct Socket {
    /// Its descriptor.
    pub fd: Fd,
    /// Lines begin with who has sent them.
    pub names_senders: bool,
}

/// Datagrams of one socket before others have their turn.
const BURST: usize = 64;

const FAILED: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL).union(PollFlags::RDHUP);

/// How the serving of a datagram ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Served {
    /// It is written, or was empty.
    Done,
    /// There was none.
    Nothing,
    /// We are to end, and nothing of it is written.
    Left,
}

/// All there is to know.
pub struct Server<'c> {
    /// The command.
    pub cli: &'c Cli,
    /// A signalfd for SIGTERM.
    pub signals: Fd,
    /// The sockets.
    pub sockets: Sockets,
    /// Somebody else has the sockets too, so that they stay when we end.
    pub held: bool,
    /// For a message of one byte more than `limit`, with what [`syslog::line`] puts around it.
    pub room: &'static mut [u8],
    /// Bytes of a message that are printed.
    pub limit: usize,
    /// `<N>` stays as it is.
    pub raw: bool,
    /// How long we have when we are told to end: milliseconds; 0: no limit.
    pub linger: u32,
    /// We are told to end; until when we have to. [`Nanos::MAX`]: at any time.
    pub ending: Option<Nanos>,
}

impl Server<'_> {
    /// Serves until it is told to end; returns the exit code.
    pub fn run(mut self) -> i32 {
        let code = self.until_told().and_then(|()| if self.held { Ok(()) } else { self.rest() });
        code.map_or_else(|code| code, |()| 0)
    }

    /// Errors are exit codes; what is wrong has been said.
    fn until_told(&mut self) -> Result<(), i32> {
        while self.ending.is_none() {
            let mut asked = heapless::Vec::<PollFd<'_>, { SYSLOG_SOCKETS + 1 }>::new();
            for socket in &self.sockets {
                let _ = asked.push(PollFd::new(&socket.fd, PollFlags::IN | PollFlags::RDHUP)); // as many as there are
            }
            let _ = asked.push(PollFd::new(&self.signals, PollFlags::IN));
            poll::any(&mut asked, None).map_err(|e| self.cli.unable("poll", e))?;
            let seen: heapless::Vec<PollFlags, { SYSLOG_SOCKETS + 1 }> = asked.iter().map(PollFd::revents).collect();
            drop(asked);
            if seen.last().is_some_and(|signals| !signals.is_empty()) {
                self.take_signal();
            }
            for (at, flags) in seen.into_iter().enumerate().filter(|(_, flags)| !flags.is_empty()) {
                let socket = self.sockets.get(at).copied();
                if let Some(socket) = socket.filter(|_| self.ending.is_none()) {
                    self.burst(socket, flags.intersects(FAILED))?;
                }
            }
        }
        Ok(())
    }

    /// Serves some datagrams of a socket.
    fn burst(&mut self, socket: Socket, failed: bool) -> Result<(), i32> {
        for count in 0..BURST {
            match self.serve(socket)? {
                Served::Done if self.ending.is_none() => {}
                // One that was shut down can be read for ever, it says, and has nothing.
                Served::Nothing if count == 0 && failed => return Err(self.cli.fail("trouble with socket")),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Prints what is in the queues: they end with us.
    fn rest(&mut self) -> Result<(), i32> {
        let mut left = SYSLOG_LEFT;
        for socket in self.sockets.clone() {
            while left > 0 && self.serve(socket)? == Served::Done {
                left -= 1;
            }
        }
        Ok(())
    }

    fn serve(&mut self, socket: Socket) -> Result<Served, i32> {
        let message = self.room.get_mut(syslog::FRONT..=syslog::FRONT + self.limit).unwrap_or_default();
        let first = match queue::look(socket.fd, message) {
            Ok(first) => first,
            // The latter tell of something that was sent, not of something that came.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => {
                return Ok(Served::Nothing);
            }
            Err(e) => return Err(self.cli.unable("recv", e)),
        };
        if first.bytes > 0 {
            let from = sender(first.from.filter(|_| socket.names_senders));
            let cut = first.bytes > self.limit;
            let line = syslog::line(self.room, first.bytes, self.raw, cut, from.as_bytes()).unwrap_or_default();
            if !self.write(line)? {
                return Ok(Served::Left);
            }
        }
        match queue::drop_first(socket.fd) {
            Ok(()) | Err(Errno::AGAIN) => Ok(Served::Done),
            Err(e) => Err(self.cli.unable("recv", e)),
        }
    }

    /// Writes a line. False: we are to end, nothing of it is written, and it may stay where it is.
    fn write(&mut self, line: Range<usize>) -> Result<bool, i32> {
        let Range { start, end } = line;
        let mut at = start;
        while at < end {
            if !self.can_write()? {
                if self.held && at == start {
                    return Ok(false);
                }
                continue;
            }
            // What can be written to takes so much without waiting.
            let piece = self.room.get(at..end.min(at + PIPE_PIECE)).unwrap_or_default();
            match rustix::io::write(Fd::STDOUT, piece) {
                Ok(written) => at += written,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(self.cli.unable("write to stdout", e)),
            }
        }
        Ok(true)
    }

    /// Waits until standard output can be written to. False: it cannot, and we have been told to end meanwhile.
    fn can_write(&mut self) -> Result<bool, i32> {
        let failed = |e| if e == Errno::TIMEDOUT { TIMEOUT } else { self.cli.unable("poll", e) };
        if let Some(deadline) = self.ending {
            let deadline = Some(deadline).filter(|deadline| *deadline != Nanos::MAX);
            return poll::writable(Fd::STDOUT, deadline).map(|()| true).map_err(failed);
        }
        let stdout = Fd::STDOUT;
        let mut asked = [PollFd::new(&stdout, PollFlags::OUT), PollFd::new(&self.signals, PollFlags::IN)];
        poll::any(&mut asked, None).map_err(failed)?;
        let [output, signals] = asked.map(|fd| !fd.revents().is_empty());
        if signals {
            self.take_signal();
        }
        Ok(output)
    }

    fn take_signal(&mut self) {
        if let Ok(Some(_)) = signal::read_signalfd(self.signals) {
            let limit = Nanos::from(self.linger) * MILLI;
            self.ending = Some(if limit == 0 { Nanos::MAX } else { time::boot().saturating_add(limit) });
        }
    }
}

/// `ADDRESS_PORT: `, or nothing. IPv4 over IPv6 is IPv4.
fn sender(from: Option<SocketAddr>) -> heapless::String<64> {
    let mut text = heapless::String::new();
    if let Some(from) = from {
        let _ = write!(text, "{}_{}: ", ip::Shown(from.ip().to_canonical()), from.port()); // 49 bytes at most
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_and_a_port() {
        let shown = |text: &str| sender(text.parse().ok()).to_string();
        assert_eq!(shown("1.2.3.4:514"), "1.2.3.4_514: ");
        assert_eq!(shown("[fe80::1]:7"), "fe80::1_7: ");
        assert_eq!(shown("[::ffff:1.2.3.4]:7"), "1.2.3.4_7: ");
        let longest = shown("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
        assert_eq!(longest, "1111:2222:3333:4444:5555:6666:7777:8888_65535: ");
        assert_eq!(sender(None), "");
    }
}
