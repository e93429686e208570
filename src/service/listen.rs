//! Listening in fifodirs until what has come matches: what s6-ftrig-wait(8) and its relatives do. For clients.

use super::event::Subscription;
use crate::limits::FTRIG_PATTERNS;
use crate::service::wait::Quorum;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::signal::{self, SignalSet, number};
use crate::sys::time::{self, Nanos};
use crate::sys::{Errno, Fd, Result};
use crate::text::regex::{self, Regex, Search};
use core::ffi::CStr;
use heapless::Vec;

/// One fifodir, and what its events are to match.
pub struct Pattern {
    subscription: Subscription,
    regex: Regex,
    search: Search,
    matched: bool,
}

/// Where patterns live: too large for the stack.
pub type Patterns = Vec<Pattern, FTRIG_PATTERNS>;

/// How listening ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The patterns matched.
    Matched,
    /// Time is over.
    TimedOut,
    /// This signal wants to end the process: die of it when all is cleaned up.
    Signal(i32),
}

/// Signals that people and supervisors end a process with. They are taken only so that no FIFO is left behind.
const DEADLY: [i32; 4] = [number::HUP, number::INT, number::QUIT, number::TERM];

const EVENTS: u8 = 0;
const SIGNALS: u8 = 1;

/// Listens in fifodirs. Dropping it removes the FIFOs.
pub struct Listening<'a> {
    epoll: Epoll,
    signals: Fd,
    before: SignalSet,
    patterns: &'a mut Patterns,
}

impl<'a> Listening<'a> {
    /// Listens nowhere yet. Blocks some signals.
    pub fn new(patterns: &'a mut Patterns) -> Result<Listening<'a>> {
        let mut wanted = SignalSet::EMPTY;
        for signal in DEADLY.into_iter().filter(|signal| !signal::is_ignored(*signal)) {
            wanted = wanted.union(SignalSet::of(&[signal]));
        }
        let before = SignalSet::blocked();
        before.union(wanted).block();
        let listening = Listening { epoll: Epoll::new()?, signals: signal::open_signalfd(wanted)?, before, patterns };
        let token = Token { kind: SIGNALS, slot: 0, generation: 0 };
        listening.epoll.add(listening.signals, token, Flags::IN)?;
        Ok(listening)
    }

    /// The signals that were blocked before: what a child starts with.
    pub fn mask_before(&self) -> SignalSet {
        self.before
    }

    /// Listens in the fifodir `path` of `dir` too, from now on. EINVAL: a bad pattern. E2BIG: one that is too large.
    /// EMFILE: more than [`FTRIG_PATTERNS`].
    pub fn add(&mut self, dir: Fd, path: &CStr, pattern: &[u8]) -> Result<()> {
        let regex = Regex::new(pattern).map_err(|e| match e {
            regex::Error::Bad => Errno::INVAL,
            regex::Error::TooLarge => Errno::TOOBIG,
        })?;
        if self.patterns.is_full() {
            return Err(Errno::MFILE);
        }
        let mut subscription = Subscription::open(dir, path)?;
        let token = Token { kind: EVENTS, slot: self.patterns.len() as u32, generation: 0 };
        if let Err(e) = self.epoll.add(subscription.fd(), token, Flags::IN) {
            subscription.close();
            return Err(e);
        }
        let search = regex.search();
        // There is room: it was asked above.
        let _ = self.patterns.push(Pattern { subscription, regex, search, matched: false });
        Ok(())
    }

    /// Waits until all patterns have matched, or any; or until `deadline` (on the boot-time clock). A pattern is tried each
    /// time that events have come, on all that have; `seen` gets to see these. Having matched once is enough.
    pub fn wait(&mut self, quorum: Quorum, deadline: Option<Nanos>, seen: &mut dyn FnMut(&[u8])) -> Result<End> {
        let mut events = Events::new();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_sub(time::boot()));
            let n = self.epoll.wait(&mut events, left)?;
            if n == 0 && left == Some(0) {
                return Ok(End::TimedOut);
            }
            for (token, _) in events.iter().take(n) {
                if token.kind == SIGNALS {
                    if let Some(received) = signal::read_signalfd(self.signals)? {
                        return Ok(End::Signal(received.signal));
                    }
                } else if let Some(pattern) = self.patterns.get_mut(token.slot as usize) {
                    pattern.take(seen)?;
                }
                let mut matched = self.patterns.iter().map(|pattern| pattern.matched);
                if if quorum == Quorum::All { matched.all(|matched| matched) } else { matched.any(|matched| matched) } {
                    return Ok(End::Matched);
                }
            }
        }
    }
}

impl Pattern {
    fn take(&mut self, seen: &mut dyn FnMut(&[u8])) -> Result<()> {
        // A message comes in one piece: this is the most that the kernel writes as one.
        let mut buf = [0; 4096];
        if let Some(n) = self.subscription.read(&mut buf)? {
            let come = buf.get(..n).unwrap_or_default();
            seen(come);
            self.matched |= self.regex.go_on(&mut self.search, come);
        }
        Ok(())
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.patterns.iter_mut().for_each(|pattern| pattern.subscription.close());
        self.patterns.clear();
        self.signals.close();
        self.epoll.fd().close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::event::{self, Access};
    use crate::service::scratch::Scratch;

    fn fifodir() -> Scratch {
        let scratch = Scratch::new();
        assert_eq!(event::make(scratch.fd, c"event", Access::Public), Ok(true));
        scratch
    }

    fn notify(scratch: &Scratch, events: &[u8]) {
        assert_eq!(event::notify(scratch.fd, c"event", events).unwrap().lost, 0);
    }

    fn ends(listening: &mut Listening<'_>, quorum: Quorum) -> (End, Vec<u8, 64>) {
        let mut all = Vec::new();
        let end = listening.wait(quorum, Some(0), &mut |come| all.extend_from_slice(come).unwrap()).unwrap();
        (end, all)
    }

    #[test]
    fn what_came_in_pieces_matches_as_a_whole() {
        let scratch = fifodir();
        let mut patterns = Box::new(Patterns::new());
        let mut listening = Listening::new(&mut patterns).unwrap();
        listening.add(scratch.fd, c"event", b"^su+$").unwrap();
        notify(&scratch, b"s");
        assert_eq!(ends(&mut listening, Quorum::All), (End::TimedOut, Vec::from_slice(b"s").unwrap()));
        notify(&scratch, b"uu");
        assert_eq!(ends(&mut listening, Quorum::All), (End::Matched, Vec::from_slice(b"uu").unwrap()));
    }

    #[test]
    fn all_or_any_must_match() {
        let (one, two) = (fifodir(), fifodir());
        let mut patterns = Box::new(Patterns::new());
        let mut listening = Listening::new(&mut patterns).unwrap();
        listening.add(one.fd, c"event", b"a").unwrap();
        listening.add(two.fd, c"event", b"a").unwrap();
        notify(&one, b"a");
        assert_eq!(ends(&mut listening, Quorum::All).0, End::TimedOut);
        notify(&one, b"b");
        assert_eq!(ends(&mut listening, Quorum::Any).0, End::Matched);
        notify(&two, b"a");
        assert_eq!(ends(&mut listening, Quorum::All).0, End::Matched);
        drop(listening);
        assert_eq!(one.names("event"), [] as [&str; 0]);
    }

    #[test]
    fn what_cannot_be_listened_to_leaves_nothing() {
        let scratch = fifodir();
        let mut patterns = Box::new(Patterns::new());
        let mut listening = Listening::new(&mut patterns).unwrap();
        assert_eq!(listening.add(scratch.fd, c"none", b"a"), Err(Errno::NOENT));
        assert_eq!(listening.add(scratch.fd, c"event", b"("), Err(Errno::INVAL));
        assert_eq!(listening.add(scratch.fd, c"event", b"a{9999}"), Err(Errno::TOOBIG));
        for _ in 0..FTRIG_PATTERNS {
            listening.add(scratch.fd, c"event", b"a").unwrap();
        }
        assert_eq!(listening.add(scratch.fd, c"event", b"a"), Err(Errno::MFILE));
        drop(listening);
        assert_eq!(scratch.names("event"), [] as [&str; 0]);
    }
}
