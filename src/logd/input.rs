//! What comes on standard input.
//!
//! What is in a pipe is looked at, and taken off only when it has been dealt with ([`Input::take`]): a logger that is
//! killed meanwhile leaves it to its successor. Only whole lines are dealt with. The beginning of a line stays in the pipe
//! until the rest comes, if it is short and that does not last long; then it is taken into memory. What is no pipe is read.

use crate::limits::{LOG_INPUT, LOG_LINE_MAX};
use crate::sys::tee::Peek;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, pages};
use rustix::fs::OFlags;
use rustix::net::RecvFlags;

/// The beginning of a line, what was seen of the rest and is not taken yet, and what comes new.
const ROOM: usize = LOG_LINE_MAX + 2 * LOG_INPUT + 1;

/// What it has used beyond this is given back.
const KEEP: usize = 4 * LOG_INPUT;

/// The beginning of a line that may be left in a pipe: it is copied each time when something is added to it.
const SHORT: usize = 4096;

/// How long it is left there. Whoever writes a line in pieces seldom makes a longer pause.
const SOON: Nanos = SECOND;

/// How long it is before the pipe is looked at again although nobody has told of something new; twice as long each time.
/// Who waits in the middle of a long write for a pipe that is full does not tell; and some kernels never do.
const GLANCE: Nanos = MILLI / 50;

/// What has come of a look at standard input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// Nothing new for now.
    Nothing,
    /// Something: see [`Input::bytes`].
    Bytes,
    /// The end.
    End,
}

/// Standard input, and what is known of it.
pub struct Input {
    room: &'static mut [u8],
    /// So many bytes are in memory alone.
    held: usize,
    /// What is in memory ends here; behind `held` it is in the pipe too.
    end: usize,
    /// What nobody has seen before begins here.
    fresh: usize,
    /// The first bytes of those that are held in which no line ends.
    scanned: usize,
    /// So many bytes at the beginning of what is in the pipe have been seen: no line ends in them.
    seen: usize,
    /// Since when they are all that there is, and when to look again.
    waiting: Option<(Nanos, Nanos)>,
    peek: Option<Peek>,
    /// Nobody can write to it any more, as far as is known.
    is_last: bool,
    is_socket: bool,
    is_open: bool,
}

impl Input {
    /// Standard input, whatever it is. ENOMEM.
    pub fn new() -> Result<Input> {
        Ok(Input {
            room: pages::reserve(ROOM)?,
            held: 0,
            end: 0,
            fresh: 0,
            scanned: 0,
            seen: 0,
            waiting: None,
            // Where it is no pipe the first look fails.
            peek: Peek::new(Fd::STDIN, LOG_INPUT).ok(),
            is_socket: file::about(Fd::STDIN).is_ok_and(|about| about.is_socket),
            is_last: false,
            is_open: true,
        })
    }

    /// Whether there may be more to come.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether something is known that was taken off and is not dealt with.
    pub fn holds(&self) -> bool {
        self.held > 0
    }

    /// What there is to deal with, from the beginning of a line on.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.room.get_mut(..self.end).unwrap_or_default()
    }

    /// Where in [`Input::bytes`] what is new begins.
    pub fn fresh(&self) -> usize {
        self.fresh
    }

    /// So many of [`Input::bytes`] are known not to end a line.
    pub fn scanned(&self) -> usize {
        self.scanned
    }

    /// What can be read when there is something to look at.
    pub fn wanted(&self) -> &Fd {
        let news = self.peek.as_ref().filter(|_| self.waiting.is_some()).map(Peek::news);
        news.unwrap_or(&Fd::STDIN)
    }

    /// When it is to be looked at, even if nothing comes.
    pub fn deadline(&self) -> Option<Nanos> {
        self.waiting.map(|(_, again)| again)
    }

    /// Whether it can be looked at without being taken off, as far as is known.
    pub fn leaves(&self) -> bool {
        self.peek.is_some()
    }

    /// Looks at what there is: at most `most` bytes (no more than [`LOG_INPUT`]) that are new. What was there before must
    /// have been dealt with ([`Input::take`]). Does not wait if there is something, or if it is a pipe or a socket. The
    /// error is that of a read.
    pub fn look(&mut self, most: usize) -> Result<Came> {
        if let Some(peek) = &self.peek {
            let want = self.seen + most;
            let room = self.room.get_mut(self.held..).unwrap_or_default();
            let want = want.min(room.len());
            self.is_last |= self.waiting.is_some() && peek.forget_news();
            match peek.look(room.get_mut(..want).unwrap_or_default()) {
                Ok(0) => return Ok(Came::End),
                Ok(count) if count > self.seen => {
                    (self.fresh, self.end) = (self.held + self.seen, self.held + count);
                    self.waiting = None;
                    return Ok(Came::Bytes);
                }
                Ok(count) => {
                    let now = time::boot();
                    match self.waiting.map(|(since, _)| (since, now.saturating_sub(since))) {
                        _ if self.is_last || !self.may_stay(count) => self.hold_all(count)?,
                        // At once, for something may have come since news were forgotten.
                        None => self.waiting = Some((now, now)),
                        Some((_, waited)) if waited >= SOON => self.hold_all(count)?,
                        Some((since, waited)) => self.waiting = Some((since, now + waited.max(GLANCE))),
                    }
                    return Ok(Came::Nothing);
                }
                Err(Errno::AGAIN) => return Ok(Came::Nothing),
                Err(Errno::INVAL) => self.stop_looking(),
                Err(e) => return Err(e),
            }
        }
        let room = self.room.get_mut(self.held..).unwrap_or_default();
        let most = most.min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
        let read = match self.is_socket {
            true => rustix::net::recv(Fd::STDIN, room, RecvFlags::DONTWAIT).map(|(count, _)| count),
            false => rustix::io::read(Fd::STDIN, room),
        };
        match read {
            Ok(0) => Ok(Came::End),
            Ok(count) => {
                self.fresh = self.held;
                self.held += count;
                self.end = self.held;
                Ok(Came::Bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Came::Nothing),
            Err(e) => Err(e),
        }
    }

    fn stop_looking(&mut self) {
        if let Some(mut peek) = self.peek.take() {
            peek.close();
        }
        (self.seen, self.waiting) = (0, None);
    }

    /// Whether the beginning of a line, so many bytes, may stay in the pipe.
    fn may_stay(&self, count: usize) -> bool {
        self.held == 0 && count <= SHORT && self.peek.as_ref().is_some_and(|peek| peek.news().is_some())
    }

    /// Takes the beginning of a line, so many bytes that are in memory behind what is held, off the pipe.
    fn hold_all(&mut self, count: usize) -> Result<()> {
        self.end = self.held + count;
        let more = self.room.get_mut(self.held..self.end).unwrap_or_default();
        if let Some(peek) = &self.peek {
            if !more.is_empty() {
                peek.take(more)?;
            }
        }
        (self.held, self.scanned, self.seen) = (self.end, self.end, 0);
        self.waiting = None;
        Ok(())
    }

    /// The first `count` of [`Input::bytes`], whole lines, have been dealt with. The rest is the beginning of a line, if
    /// not `more`: then it holds lines too, for which there was no room. The error is that of a read.
    pub fn take(&mut self, count: usize, more: bool) -> Result<()> {
        if self.peek.is_none() {
            self.room.copy_within(count..self.end, 0);
            self.end -= count;
            self.held = self.end;
            self.scanned = if more { 0 } else { self.end };
            self.give_back(count + self.end);
            return Ok(());
        }
        if count == 0 && !more && !self.may_stay(self.end) {
            return self.hold_all(self.end - self.held);
        }
        let (used, last) = (self.end, count.max(self.held));
        if count > 0 || !more {
            let done = self.room.get_mut(self.held..last).unwrap_or_default();
            if let Some(peek) = &self.peek {
                peek.take(done)?;
            }
            self.held = 0;
        }
        self.seen = if more { 0 } else { used - last };
        (self.end, self.scanned) = (self.held, self.held);
        self.give_back(used);
        Ok(())
    }

    /// Gives back memory that a long line has used.
    fn give_back(&mut self, used: usize) {
        if used > KEEP && self.end <= KEEP {
            pages::release(self.room.get_mut(KEEP..used).unwrap_or_default());
        }
    }

    /// Takes the beginning of a line that was seen into memory, as if it had been read when it came.
    pub fn hold_seen(&mut self) -> Result<()> {
        let count = core::mem::take(&mut self.seen);
        self.waiting = None;
        if count == 0 {
            return Ok(());
        }
        let room = self.room.get_mut(self.held..self.held + count).unwrap_or_default();
        self.end = self.held + file::read_full(Fd::STDIN, room)?;
        (self.held, self.scanned) = (self.end, self.end);
        Ok(())
    }

    /// Ends it: nothing more is read, and whoever writes to it learns that.
    pub fn close(&mut self) {
        self.stop_looking();
        if self.is_open {
            self.is_open = false;
            // What is opened next is not to become standard input.
            match file::open(Fd::CWD, c"/dev/null", OFlags::RDONLY, 0) {
                Ok(mut null) => {
                    let _ = null.place(0);
                    null.close();
                }
                Err(_) => Fd(0).close(),
            }
        }
    }
}
