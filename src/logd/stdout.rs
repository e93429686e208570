//! Standard output, for the lines that actions pass on: they wait in memory while it takes no more.

use super::dir::{Pending, Report};
use crate::sys::poll::PollFlags;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::errno::Reason;
use rustix::fs::{FileType, OFlags};
use rustix::net::SendFlags;

/// How it is written to without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// It is our own open file, does not block anyway, or was told not to.
    File,
    /// A socket, which is told each time.
    Socket,
}

/// See above.
pub struct Stdout {
    fd: Fd,
    kind: Kind,
    /// It was told not to block, and others may have it too: they get it back as it was.
    restore: bool,
    /// It took no more, the last time.
    is_full: bool,
    pending: Option<Pending>,
}

impl Stdout {
    /// Where there is none, or nobody needs it.
    pub fn none() -> Stdout {
        Stdout { fd: Fd::NONE, kind: Kind::File, restore: false, is_full: false, pending: None }
    }

    /// The one that we have. Whoever shares its open file sees as little of us as can be: O_NONBLOCK is set only where there is
    /// no other way. ENOMEM.
    pub fn new() -> Result<Stdout> {
        let mut stdout = Stdout { fd: Fd::STDOUT, pending: Some(Pending::new()?), ..Stdout::none() };
        let stat = rustix::fs::fstat(Fd::STDOUT)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let blocks = rustix::fs::fcntl_getfl(Fd::STDOUT).is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK));
        match kind {
            FileType::Socket => stdout.kind = Kind::Socket,
            FileType::Fifo if blocks => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK;
                match file::open(Fd::CWD, c"/proc/self/fd/1", flags, 0) {
                    Ok(own) => stdout.fd = own,
                    Err(_) => stdout.stop_blocking(),
                }
            }
            FileType::CharacterDevice if blocks => stdout.stop_blocking(),
            _ => {}
        }
        Ok(stdout)
    }

    fn stop_blocking(&mut self) {
        self.restore = self.fd.set_nonblocking(true).is_ok();
    }

    /// Bytes that can still be pushed. (Any number, where they go nowhere.)
    pub fn room(&self) -> usize {
        self.pending.as_ref().map_or(usize::MAX, Pending::room)
    }

    /// Whether everything is written.
    pub fn is_idle(&self) -> bool {
        self.pending.as_ref().is_none_or(|pending| pending.waiting().is_empty())
    }

    /// What to wait for, if there is something to wait for.
    pub fn wanted(&self) -> Option<(&Fd, PollFlags)> {
        (self.is_full && !self.is_idle()).then_some((&self.fd, PollFlags::OUT))
    }

    /// Adds bytes, for which there is [`Stdout::room`].
    pub fn push(&mut self, pieces: &[&[u8]]) {
        if let Some(pending) = &mut self.pending {
            for piece in pieces {
                pending.push(piece);
            }
        }
    }

    /// Writes what can be written. After an error, which is said, it is closed: what is pushed goes nowhere.
    pub fn flush(&mut self, report: &Report<'_>) {
        let Some(pending) = &mut self.pending else { return };
        self.is_full = false;
        let why = loop {
            let waiting = pending.waiting();
            if waiting.is_empty() {
                return;
            }
            let done = match self.kind {
                Kind::Socket => rustix::net::send(self.fd, waiting, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
                Kind::File => rustix::io::write(self.fd, waiting),
            };
            match done {
                Ok(count) if count > 0 => pending.written(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.is_full = true;
                    return;
                }
                Ok(_) => break Errno::IO,
                Err(e) => break e,
            }
        };
        let why = Reason(why);
        report.cli.warn(format_args!("unable to write to stdout, closing the stream - error was: {why}"));
        self.close();
    }

    /// Nothing goes there any more; whoever reads it learns that.
    fn close(&mut self) {
        self.end();
        if self.fd != Fd::STDOUT {
            self.fd.close();
        }
        self.pending = None;
        // What is opened next is not to become standard output.
        match file::open(Fd::CWD, c"/dev/null", OFlags::WRONLY, 0) {
            Ok(mut null) => {
                let _ = null.place(1);
                null.close();
            }
            Err(_) => Fd(1).close(),
        }
    }

    /// The logger is about to end: what others share with us is as it was before.
    pub fn end(&mut self) {
        if core::mem::take(&mut self.restore) {
            let _ = self.fd.set_nonblocking(false);
        }
    }
}
