//! `s6-ioconnect [-t ms] [-r fdr] [-w fdw]`: copies what comes on standard input to descriptor 7 (fdw), and what comes on
//! descriptor 6 (fdr) to standard output, until both have ended.
//!
//! The end of one is passed on and leaves the other alone: what is a socket is shut down in the direction that has ended.
//! A side that cannot be written to ends its direction. `-t`: exit 1 if nothing has happened for so many milliseconds, and
//! all that was read is written. SIGTERM does nothing, as in s6. `-0`, `-1`, `-6` and `-7` are from older versions and
//! change nothing.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::RELAYED;
use crate::sys::cell::TakeCell;
use crate::sys::poll::{self, PollFd, PollFlags};
use crate::sys::signal::{SignalSet, number};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, Result};
use crate::text::errno::Reason;
use rustix::fs::{FileType, OFlags};
use rustix::net::Shutdown;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -t timeout ] [ -r fdr ] [ -w fdw ]";

/// Of both directions.
static ROOM: TakeCell<[[u8; RELAYED]; 2]> = TakeCell::new([[0; RELAYED]; 2]);

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut limit, mut read, mut write) = (0, Fd(6), Fd(7));
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'0' | b'1' | b'6' | b'7') => {}
                Opt::Short(b't') => limit = options.number()?,
                Opt::Short(b'r') => read = options.descriptor()?,
                Opt::Short(b'w') => write = options.descriptor()?,
                _ => return Err(WrongUsage),
            }
        }
        options.operands(0)?;
        if read.0 < 3 || write.0 < 3 {
            return Err(WrongUsage);
        }
        for fd in [Fd::STDIN, write, read, Fd::STDOUT] {
            if let Err(e) = rustix::fs::fstat(fd) {
                return Ok(cli.unable(format_args!("fstat fd {}", fd.0), e));
            }
        }
        // Each end is closed by itself.
        let from = match if read == write { read.duplicate(3) } else { Ok(read) } {
            Ok(from) => from,
            Err(e) => return Ok(cli.unable(format_args!("duplicate fd {}", read.0), e)),
        };
        let Some([out, back]) = ROOM.take() else { return Ok(cli.unable("run twice", Errno::BUSY)) };
        let mut flows = [Flow::new(Fd::STDIN, write, out), Flow::new(from, Fd::STDOUT, back)];
        flows[1].from.number = read.0;
        SignalSet::blocked().union(SignalSet::of(&[number::PIPE, number::TERM])).block();
        Ok(relay(cli, &mut flows, Nanos::from(limit) * MILLI))
    })
}

/// Copies until both directions have ended; returns the exit code.
fn relay(cli: &Cli, flows: &mut [Flow; 2], limit: Nanos) -> i32 {
    loop {
        if flows.iter().all(Flow::has_ended) {
            return 0;
        }
        let idle = limit > 0 && !flows.iter().any(Flow::has_pending);
        match wait(flows, idle.then(|| time::boot() + limit)) {
            Ok(seen) => {
                for (at, [reading, writing]) in seen.into_iter().enumerate() {
                    let closed = flows.get_mut(at).is_some_and(|flow| flow.serve(cli, reading, writing));
                    if closed {
                        // One that had the file in common with another has made it blocking again.
                        flows.iter_mut().for_each(Flow::keep_nonblocking);
                    }
                }
            }
            Err(Errno::TIMEDOUT) => {
                flows.iter_mut().for_each(Flow::end);
                return 1;
            }
            Err(e) => {
                flows.iter_mut().for_each(Flow::end);
                return cli.unable("poll", e);
            }
        }
    }
}

/// What the ends of each direction report: where it reads, where it writes.
fn wait(flows: &[Flow; 2], deadline: Option<Nanos>) -> Result<[[PollFlags; 2]; 2]> {
    // An end that is not wanted now is not asked at all: it would report a hang-up for as long as it is not read.
    let wanted = flows.each_ref().map(Flow::wanted);
    let mut asked = heapless::Vec::<PollFd<'_>, 4>::new();
    for (flow, [reading, writing]) in flows.iter().zip(wanted) {
        for (end, flags) in [(&flow.from, reading), (&flow.to, writing)] {
            if let Some(flags) = flags {
                let _ = asked.push(PollFd::new(&end.fd, flags)); // there are four
            }
        }
    }
    poll::any(&mut asked, deadline)?;
    let mut answers = asked.iter().map(PollFd::revents);
    Ok(wanted.map(|flow| flow.map(|flags| flags.and_then(|_| answers.next()).unwrap_or(PollFlags::empty()))))
}

/// A descriptor that is read from or written to.
struct End {
    fd: Fd,
    /// Its number on the command line.
    number: i32,
    is_socket: bool,
    /// It was blocking, and is to be so again for others who have it.
    restore: bool,
}

impl End {
    fn new(fd: Fd) -> End {
        let is_socket =
            rustix::fs::fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
        let mut end = End { fd, number: fd.0, is_socket, restore: false };
        end.set_nonblocking();
        end
    }

    fn is_open(&self) -> bool {
        self.fd.is_some()
    }

    /// This cannot fail for what is open.
    fn set_nonblocking(&mut self) {
        let blocking = rustix::fs::fcntl_getfl(self.fd).is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK));
        if blocking && self.fd.set_nonblocking(true).is_ok() {
            self.restore = true;
        }
    }

    /// Others may have it too: so a socket is told that this direction is over, and all is as it was before.
    fn close(&mut self, direction: Shutdown) {
        if self.is_open() {
            if self.is_socket {
                let _ = rustix::net::shutdown(self.fd, direction);
            }
            if self.restore {
                let _ = self.fd.set_nonblocking(false);
            }
            self.fd.close();
        }
    }
}

/// One direction. What has been read and not been written lies between `start` and `end` of `room`.
struct Flow {
    from: End,
    to: End,
    room: &'static mut [u8; RELAYED],
    start: usize,
    end: usize,
}

impl Flow {
    fn new(from: Fd, to: Fd, room: &'static mut [u8; RELAYED]) -> Flow {
        Flow { from: End::new(from), to: End::new(to), room, start: 0, end: 0 }
    }

    fn has_ended(&self) -> bool {
        !self.from.is_open() && !self.to.is_open()
    }

    fn has_pending(&self) -> bool {
        self.start < self.end
    }

    /// What to ask its ends for. Where nothing is to be written it is still of interest whether that could be done.
    fn wanted(&self) -> [Option<PollFlags>; 2] {
        let reading = self.from.is_open() && self.end - self.start < RELAYED;
        let writing = if self.has_pending() { PollFlags::OUT } else { PollFlags::empty() };
        [reading.then_some(PollFlags::IN), self.to.is_open().then_some(writing)]
    }

    /// Does what its ends are ready for. Answers whether one was closed.
    fn serve(&mut self, cli: &Cli, reading: PollFlags, writing: PollFlags) -> bool {
        let failed = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        let before = [self.from.is_open(), self.to.is_open()];
        if self.has_pending() {
            if writing.intersects(failed | PollFlags::OUT) {
                self.write(cli, writing.intersects(failed));
            }
        } else if writing.intersects(failed) {
            self.end();
        }
        if self.from.is_open() && reading.intersects(failed | PollFlags::IN) {
            self.read(cli, reading.contains(PollFlags::IN));
        }
        before != [self.from.is_open(), self.to.is_open()]
    }

    /// Reads what there is, and writes what can be written of it. There is room.
    fn read(&mut self, cli: &Cli, readable: bool) {
        self.room.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        match rustix::io::read(self.from.fd, self.room.get_mut(self.end..).unwrap_or_default()) {
            Ok(0) => self.from.close(Shutdown::Read),
            Ok(more) => self.end += more,
            // One that reports a failure and then has nothing to say would do so for ever.
            Err(Errno::AGAIN | Errno::INTR) if readable => return,
            Err(Errno::AGAIN | Errno::INTR) => self.from.close(Shutdown::Read),
            Err(e) => {
                cli.warn(format_args!("unable to read from fd {}: {}", self.from.number, Reason(e)));
                self.from.close(Shutdown::Read);
            }
        }
        if self.has_pending() {
            self.write(cli, false);
        } else if !self.from.is_open() {
            self.to.close(Shutdown::Write);
        }
    }

    /// Writes what can be written of what there is. `failed`: nothing can be, if it is not written now.
    fn write(&mut self, cli: &Cli, failed: bool) {
        match rustix::io::write(self.to.fd, self.room.get(self.start..self.end).unwrap_or_default()) {
            Ok(written) if written > 0 => self.start += written,
            Err(Errno::AGAIN | Errno::INTR) if !failed => return,
            done => {
                let reason = done.err().unwrap_or(Errno::IO);
                cli.warn(format_args!("unable to write to fd {}: {}", self.to.number, Reason(reason)));
                return self.end();
            }
        }
        if !self.has_pending() && !self.from.is_open() {
            self.to.close(Shutdown::Write);
        }
    }

    /// Ends it, whatever is pending.
    fn end(&mut self) {
        self.from.close(Shutdown::Read);
        self.to.close(Shutdown::Write);
        (self.start, self.end) = (0, 0);
    }

    fn keep_nonblocking(&mut self) {
        for end in [&mut self.from, &mut self.to] {
            if end.is_open() {
                end.set_nonblocking();
            }
        }
    }
}
