//! Waiting for more lines.

use crate::sys::poll::{self, PollFd, PollFlags};
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Fd, file};
use core::ffi::CStr;
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

/// How often a ring is looked at, which nobody tells of.
const RING: Nanos = 200 * MILLI;
/// How often logdirs are looked at of which the kernel would not tell.
const FALLBACK: Nanos = 500 * MILLI;
/// How often it is looked for new ones.
const SEARCH: Nanos = 2 * SECOND;

/// What is waited for.
pub struct Watch {
    inotify: Fd,
    /// The kernel does not tell of all of them.
    is_partial: bool,
    has_rings: bool,
    next_search: Nanos,
}

impl Watch {
    /// Nothing.
    pub fn new() -> Watch {
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_or(Fd::NONE, Fd::from_owned);
        Watch { inotify, is_partial: !inotify.is_some(), has_rings: false, next_search: time::boot() + SEARCH }
    }

    /// A source in the directory `path` as well.
    pub fn add(&mut self, path: &CStr, is_ring: bool) {
        if is_ring {
            self.has_rings = true;
            return;
        }
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        if add_watch(self.inotify, path, flags).is_err() {
            self.is_partial = true;
        }
    }

    /// Waits until there may be more. False: nobody reads what is shown any more.
    pub fn wait(&mut self) -> bool {
        let mut deadline = self.next_search;
        for (applies, interval) in [(self.has_rings, RING), (self.is_partial, FALLBACK)] {
            if applies {
                deadline = deadline.min(time::boot() + interval);
            }
        }
        let (inotify, stdout) = (self.inotify, Fd::STDOUT);
        let mut asked = [PollFd::new(&stdout, PollFlags::empty()), PollFd::new(&inotify, PollFlags::IN)];
        let count = if inotify.is_some() { 2 } else { 1 };
        let _ = poll::any(asked.get_mut(..count).unwrap_or_default(), Some(deadline));
        let is_gone = asked.first().is_some_and(|asked| asked.revents().intersects(PollFlags::ERR | PollFlags::NVAL));
        // What has happened is found out by looking.
        let mut buf = [0; 4096];
        while inotify.is_some() && file::read_some(inotify, &mut buf).is_ok_and(|n| n > 0) {}
        !is_gone
    }

    /// Whether it is time to look for new ones.
    pub fn is_to_search(&mut self) -> bool {
        let now = time::boot();
        let is_due = now >= self.next_search;
        if is_due {
            self.next_search = now + SEARCH;
        }
        is_due
    }
}
