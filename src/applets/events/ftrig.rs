//! What `ftrig-wait`, `ftrig-listen1` and `ftrig-listen` share: listen, perhaps start a program, wait, say what came.
//!
//! A pattern is an extended regular expression ([`regex`](crate::text::regex)) and is tried on all events that have come
//! so far, each time that some have.

use crate::applets::cli::{Cli, print, spawn_after};
use crate::limits::FTRIG_KEPT;
use crate::service::listen::{End, Listening, Patterns};
use crate::service::wait::Quorum;
use crate::sys::args::Args;
use crate::sys::cell::TakeCell;
use crate::sys::signal::SignalSet;
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, process};
use crate::text::quote::Printable;
use core::ffi::CStr;
use heapless::Vec;

/// What is asked for.
pub struct Request {
    /// A program to be started when everything listens; it is not waited for.
    pub program: Option<Args>,
    /// How many of the patterns must match.
    pub quorum: Quorum,
    /// Milliseconds; 0 for ever.
    pub timeout: u32,
    /// Whether what came is printed.
    pub print: bool,
    /// Exit code when time is over.
    pub late: i32,
}

/// The last events that have come, and the newline behind them.
struct Kept {
    events: Vec<u8, { FTRIG_KEPT + 1 }>,
    lost: bool,
}

impl Kept {
    fn add(&mut self, come: &[u8]) {
        let over = (self.events.len() + come.len()).saturating_sub(FTRIG_KEPT);
        if over > 0 {
            self.lost = true;
            let len = self.events.len();
            let over = over.min(len);
            self.events.copy_within(over.., 0);
            self.events.truncate(len - over);
        }
        let _ = self.events.extend_from_slice(come);
    }
}

/// Does it, for pairs of a fifodir and a pattern; returns the exit code.
pub fn run(cli: &Cli, pairs: impl Iterator<Item = (&'static CStr, &'static CStr)>, request: &Request) -> i32 {
    static PATTERNS: TakeCell<Patterns> = TakeCell::new(Vec::new());
    static KEPT: TakeCell<Kept> = TakeCell::new(Kept { events: Vec::new(), lost: false });
    let deadline = (request.timeout != 0).then(|| time::boot() + u64::from(request.timeout) * MILLI);
    let (Some(patterns), Some(kept)) = (PATTERNS.take(), KEPT.take()) else {
        return cli.unable("listen twice", Errno::BUSY);
    };
    let end = match listen(cli, pairs, request, patterns, deadline, kept) {
        Ok(end) => end,
        Err(code) => return code,
    };
    match end {
        End::TimedOut => {
            cli.refuse("timed out");
            request.late
        }
        End::Signal(signal) => {
            SignalSet::EMPTY.block();
            let _ = process::kill(process::pid(), signal);
            128 + signal
        }
        End::Matched if request.print => {
            if kept.lost {
                cli.warn(format_args!("only the last {FTRIG_KEPT} events are shown"));
            }
            let _ = kept.events.push(b'\n');
            print(cli, &kept.events)
        }
        End::Matched => 0,
    }
}

/// Errors are exit codes; what went wrong has been said. When it returns nothing is left in the fifodirs.
fn listen(
    cli: &Cli,
    pairs: impl Iterator<Item = (&'static CStr, &'static CStr)>,
    request: &Request,
    patterns: &mut Patterns,
    deadline: Option<Nanos>,
    kept: &mut Kept,
) -> Result<End, i32> {
    let failed = |e| cli.unable("wait for events", e);
    let mut listening = Listening::new(patterns).map_err(failed)?;
    for (path, pattern) in pairs {
        let pattern = pattern.to_bytes();
        listening.add(Fd::CWD, path, pattern).map_err(|e| {
            let (path, pattern) = (Printable(path.to_bytes()), Printable(pattern));
            cli.unable(format_args!("subscribe to {path} with regexp {pattern}"), e)
        })?;
    }
    if let Some(words) = request.program {
        let mask = listening.mask_before();
        let started = spawn_after(cli, words, &mut || {
            mask.block();
            Ok(())
        });
        started.map_err(|e| {
            let name = words.get(0).unwrap_or_default();
            cli.unable(format_args!("spawn {}", Printable(name.to_bytes())), e)
        })?;
    }
    listening.wait(request.quorum, deadline, &mut |come| kept.add(come)).map_err(failed)
}
