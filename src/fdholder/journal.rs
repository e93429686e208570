//! What the store logs of its clients. Anybody may connect, and nobody must be able to flood the log with what is
//! refused to him: lines are [`FDHOLDER_PAUSE`] apart, and those left out are counted.

use crate::limits::FDHOLDER_PAUSE;
use crate::state::Client;
use crate::sys::time::Nanos;
use crate::warning;
use core::fmt;

/// When the last line about a client was logged, and how many were left out since.
pub struct Journal {
    logged: Option<Nanos>,
    unlogged: u32,
}

/// Who a line is about.
#[derive(Clone, Copy)]
pub struct Who {
    pid: u32,
    uid: u32,
}

impl Who {
    /// The one who is connected, or was.
    pub fn of(client: &Client) -> Who {
        Who { pid: client.pid, uid: client.uid }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client pid {} uid {}", self.pid, self.uid)
    }
}

impl Default for Journal {
    fn default() -> Journal {
        Journal::new()
    }
}

impl Journal {
    /// Nothing has been logged.
    pub const fn new() -> Journal {
        Journal { logged: None, unlogged: 0 }
    }

    /// Logs a line about a client, unless there was one a moment ago.
    pub fn tell(&mut self, now: Nanos, who: Who, what: fmt::Arguments<'_>) {
        if self.logged.is_some_and(|last| now < last.saturating_add(FDHOLDER_PAUSE)) {
            self.unlogged = self.unlogged.saturating_add(1);
            return;
        }
        if self.unlogged > 0 {
            warning!("fdholder: {} more lines like the last were left out", self.unlogged);
        }
        self.logged = Some(now);
        self.unlogged = 0;
        warning!("fdholder: {who} {what}");
    }
}
