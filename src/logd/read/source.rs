//! One logdir or ring as a stream of lines, each with its time.

use super::feed::{Begin, Context, Feed, Fill};
use super::files::Files;
use super::line;
use super::round::Round;
use crate::limits::{LOG_LINE_MAX, LOG_READ};
use crate::sys::{Fd, Result, pages};
use crate::text::find;
use crate::text::regex::Automaton;
use crate::text::tai::Stamp;
use crate::text::zone::Zone;
use core::cell::RefCell;

/// Which lines are wanted.
pub struct Filter {
    /// Not before this.
    pub since: Option<Stamp>,
    /// Not after this.
    pub until: Option<Stamp>,
    /// With a match of this, behind the time.
    pub grep: Option<RefCell<Automaton<'static>>>,
}

impl Filter {
    /// Whether it wants all lines.
    pub fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.grep.is_none()
    }

    fn wants(&self, key: Stamp, message: &[u8]) -> bool {
        self.since.is_none_or(|since| key >= since)
            && self.until.is_none_or(|until| key <= until)
            && self.grep.as_ref().is_none_or(|grep| grep.borrow_mut().is_match(message))
    }
}

/// What a source has next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its place in time.
    pub time: Stamp,
    /// What it is.
    pub what: What,
}

/// See [`Head`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A line.
    Line {
        /// The time is its own, not that of another one near it.
        is_stamped: bool,
        /// Its text, in the buffer: from here...
        from: usize,
        /// ...to here.
        to: usize,
        /// It ends there; else [`Source::rest`] has more of it.
        is_whole: bool,
    },
    /// So many lines were overwritten before they were read.
    Lost(u64),
    /// So many bytes and lines were overwritten before the oldest that is there.
    Dropped(u64, u64),
}

/// See above.
pub struct Source {
    /// The service's number.
    pub service: u16,
    /// Which of the service's sources it is.
    pub ordinal: u16,
    /// What comes next, if that is known.
    pub head: Option<Head>,
    /// Nothing comes any more.
    pub is_done: bool,
    /// It had something when it was asked last.
    pub is_hungry: bool,
    feed: Feed,
    begin: Begin,
    /// Lines that are passed over at the beginning.
    skip: u64,
    skip_left: u64,
    buffer: &'static mut [u8],
    start: usize,
    end: usize,
    /// There is no newline before this.
    searched: usize,
    /// The time of the last line.
    last: Stamp,
    /// Nothing of the file has been read, so that there is no line before the next.
    is_fresh: bool,
    /// The line that is in the buffer is the last.
    is_ending: bool,
    /// What had to go was told, or is not to be.
    has_told: bool,
    /// The line before was not whole.
    is_inside: bool,
}

/// What [`Source::advance`] needs besides [`Context`].
#[derive(Clone, Copy)]
pub struct Taste<'a> {
    /// Which lines.
    pub filter: &'a Filter,
    /// Not before this, of this source.
    pub since: Option<Stamp>,
    /// For stamps of local time.
    pub zone: &'a Zone<'a>,
}

impl Source {
    /// The logdir or the ring in the directory `dir`. ENOMEM.
    pub fn new(dir: Fd, is_ring: bool, service: u16, ordinal: u16) -> Result<Source> {
        let feed = if is_ring { Feed::Round(Round::new(dir)) } else { Feed::Files(Files::new(dir)) };
        Ok(Source {
            service,
            ordinal,
            head: None,
            is_done: false,
            is_hungry: true,
            feed,
            begin: Begin::Oldest,
            skip: 0,
            skip_left: 0,
            buffer: pages::reserve(LOG_LINE_MAX + LOG_READ)?,
            start: 0,
            end: 0,
            searched: 0,
            last: Stamp::default(),
            is_fresh: true,
            is_ending: false,
            has_told: false,
            is_inside: false,
        })
    }

    /// The end is what is there now.
    pub fn stop_here(&mut self) -> Result<()> {
        self.feed.stop_here()
    }

    /// There is no end.
    pub fn go_on(&mut self) {
        self.feed.go_on();
    }

    /// Begins, or begins again where it was begun before.
    pub fn rewind(&mut self, context: &Context<'_>) -> Result<()> {
        self.feed.begin(context, self.begin)?;
        self.skip_left = self.skip;
        (self.start, self.end, self.searched) = (0, 0, 0);
        (self.head, self.is_done, self.is_ending, self.is_inside) = (None, false, false, false);
        (self.last, self.is_fresh) = (Stamp::default(), true);
        self.has_told = self.skip > 0;
        Ok(())
    }

    /// Will begin with the last `count` lines that are wanted, and a few more where it is not known better.
    pub fn begin_at_last(&mut self, context: &Context<'_>, taste: Taste<'_>, count: u64) -> Result<()> {
        (self.begin, self.skip) = (Begin::Oldest, 0);
        self.rewind(context)?;
        let mut there = 0u64;
        // Taken out of `self` for the time of the walk.
        let mut feed = core::mem::replace(&mut self.feed, Feed::Files(Files::new(Fd::NONE)));
        let done = match &mut feed {
            Feed::Files(files) => {
                let start = files.backwards(context, |files| {
                    let room = self.buffer.get_mut(..LOG_READ).unwrap_or_default();
                    let fast = if taste.filter.is_open() { files.count(room) } else { None };
                    let lines = fast.unwrap_or_else(|| self.count_with(context, taste, files));
                    there = there.saturating_add(lines);
                    there < count
                });
                start.map(|start| self.begin = start.map_or(Begin::Oldest, Begin::At))
            }
            Feed::Round(round) if taste.filter.is_open() => {
                there = round.count();
                Ok(())
            }
            Feed::Round(_) => {
                core::mem::swap(&mut self.feed, &mut feed);
                there = self.count(context, taste);
                core::mem::swap(&mut self.feed, &mut feed);
                Ok(())
            }
        };
        self.feed = feed;
        self.skip = there.saturating_sub(count);
        done
    }

    /// How many lines one file has that are wanted.
    fn count_with(&mut self, context: &Context<'_>, taste: Taste<'_>, files: &mut Files) -> u64 {
        let borrowed = core::mem::replace(files, Files::new(Fd::NONE));
        let mine = core::mem::replace(&mut self.feed, Feed::Files(borrowed));
        (self.start, self.end, self.searched) = (0, 0, 0);
        (self.head, self.is_done, self.is_ending, self.is_inside) = (None, false, false, false);
        (self.last, self.is_fresh) = (Stamp::default(), true);
        let lines = self.count(context, taste);
        if let Feed::Files(borrowed) = core::mem::replace(&mut self.feed, mine) {
            *files = borrowed;
        }
        lines
    }

    /// How many lines there are that are wanted, to the end.
    fn count(&mut self, context: &Context<'_>, taste: Taste<'_>) -> u64 {
        let mut lines = 0;
        while self.advance(context, taste) {
            if let Some(Head { what: What::Line { is_whole, .. }, .. }) = self.head {
                lines += 1;
                if !is_whole {
                    self.rest(context, &mut |_| {});
                }
            }
            self.head = None;
        }
        lines
    }

    /// The bytes of the text of [`Source::head`].
    pub fn text(&self, from: usize, to: usize) -> &[u8] {
        self.buffer.get(from..to).unwrap_or_default()
    }

    /// Finds out what comes next. False: nothing, or nothing yet.
    pub fn advance(&mut self, context: &Context<'_>, taste: Taste<'_>) -> bool {
        while self.head.is_none() && !self.is_done {
            if let Some((to, next, is_whole)) = self.line() {
                let was_inside = core::mem::replace(&mut self.is_inside, !is_whole);
                let is_last = self.is_ending && is_whole;
                self.take(taste, to, next, is_whole, was_inside);
                self.is_done |= is_last;
                continue;
            }
            if !self.fill(context) {
                return false;
            }
        }
        self.head.is_some()
    }

    /// Where the next line's text ends, where the one after it begins, and whether it ends there.
    fn line(&mut self) -> Option<(usize, usize, bool)> {
        let fresh = self.buffer.get(self.searched..self.end)?;
        if let Some(at) = find::first(fresh, b'\n') {
            let to = self.searched + at;
            return Some((to, to + 1, true));
        }
        self.searched = self.end;
        (self.end - self.start >= LOG_LINE_MAX).then_some((self.end, self.end, false))
    }

    /// Makes what is in the buffer before `to` the head, if it is wanted.
    fn take(&mut self, taste: Taste<'_>, to: usize, next: usize, is_whole: bool, was_inside: bool) {
        let from = self.start;
        (self.start, self.searched) = (next, next);
        if was_inside {
            // The rest of a line of which nobody wanted the beginning.
            return;
        }
        let bytes = self.buffer.get(from..to).unwrap_or_default();
        let (own, len) = line::time(bytes, taste.zone, self.last);
        let time = match own {
            Some(time) => time,
            None if self.is_fresh => self.nearest(taste),
            None => self.last,
        };
        (self.last, self.is_fresh) = (time, false);
        let is_wanted = taste.since.is_none_or(|since| time >= since);
        if !is_wanted || !taste.filter.wants(time, self.text(from + len, to)) {
            return;
        }
        if self.skip_left > 0 {
            self.skip_left -= 1;
            return;
        }
        let what = What::Line { is_stamped: own.is_some(), from: from + len, to, is_whole };
        self.head = Some(Head { time, what });
    }

    /// The time of lines at the beginning of a file that have none: that of the first that has one, else the file's.
    fn nearest(&self, taste: Taste<'_>) -> Stamp {
        let mut rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        while let Some(end) = find::first(rest, b'\n') {
            let (line, behind) = rest.split_at(end + 1);
            if let (Some(time), _) = line::time(line, taste.zone, self.last) {
                return time;
            }
            rest = behind;
        }
        self.feed.base()
    }

    /// Gets more bytes. False: there are none, or none yet.
    fn fill(&mut self, context: &Context<'_>) -> bool {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            let used = self.end;
            self.end -= self.start;
            (self.start, self.searched) = (0, self.end);
            if used > 2 * LOG_READ && self.end <= LOG_READ {
                // Of a long line.
                pages::release(self.buffer.get_mut(2 * LOG_READ..).unwrap_or_default());
            }
        }
        let most = (self.end + LOG_READ).min(self.buffer.len());
        let Some(room) = self.buffer.get_mut(self.end..most) else { return false };
        if self.is_ending {
            let n = self.feed.fill_beyond(room);
            self.end += n;
            if n == 0 {
                self.close_line();
            }
            return true;
        }
        match self.feed.fill(context, room) {
            Fill::Bytes(n) => self.end += n,
            Fill::File => {
                self.is_fresh = true;
                self.tell();
            }
            Fill::Boundary => self.close_line(),
            Fill::Limit if self.end > self.start => self.is_ending = true,
            Fill::Lost(lines) => {
                // What there is of a line belongs to those.
                (self.start, self.end, self.searched, self.is_inside) = (0, 0, 0, false);
                self.skip_left = self.skip_left.saturating_sub(lines);
                self.head = Some(Head { time: self.last, what: What::Lost(lines) });
            }
            Fill::Idle => return false,
            Fill::Limit | Fill::End => {
                self.close_line();
                if self.end == self.start {
                    self.is_done = true;
                }
            }
        }
        true
    }

    /// What there is of a line is all of it.
    fn close_line(&mut self) {
        if self.end > self.start || self.is_inside {
            if let Some(byte) = self.buffer.get_mut(self.end) {
                *byte = b'\n';
                self.searched = self.end;
                self.end += 1;
            }
        }
    }

    /// Before the first line of a ring: what had to go.
    fn tell(&mut self) {
        let told = core::mem::replace(&mut self.has_told, true);
        if let (Feed::Round(round), false) = (&mut self.feed, told) {
            let (bytes, lines) = round.dropped();
            if lines > 0 {
                self.head = Some(Head { time: Stamp::default(), what: What::Dropped(bytes, lines) });
            }
        }
    }

    /// Calls `put` with what is left of a line that was not whole.
    pub fn rest(&mut self, context: &Context<'_>, put: &mut dyn FnMut(&[u8])) {
        while self.is_inside {
            let fresh = self.buffer.get(self.start..self.end).unwrap_or_default();
            let end = find::first(fresh, b'\n');
            put(fresh.get(..end.unwrap_or(fresh.len())).unwrap_or_default());
            self.start = end.map_or(self.end, |at| self.start + at + 1);
            self.searched = self.start;
            self.is_inside = end.is_none();
            // One that is being written, by somebody who never writes half a line at a time, ends soon, or never.
            if self.is_inside && (self.is_done || !self.fill(context)) {
                self.is_inside = false;
            }
        }
    }
}
