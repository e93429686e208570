//! `s6-cleanfifodir fifodir`: removes the FIFOs of listeners that are gone.

use crate::applets::cli::{Cli, WrongUsage};
use crate::limits::FIFODIR_ENTRIES;
use crate::service::event::{self, Notified};
use crate::sys::signal::{SignalSet, number};
use crate::sys::{Errno, Fd};
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "fifodir";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    sweep(cli, 1, "clean up fifodir at", |path, _| event::clean(Fd::CWD, path))
}

/// What this command and `ftrig-notify` share: the words, and what becomes of their listeners.
pub fn sweep(cli: &Cli, words: usize, what: &str, body: impl Fn(&CStr, &[u8]) -> Result<Notified, Errno>) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(words)?;
        let path = words.get(0).unwrap_or_default();
        let name = Printable(path.to_bytes());
        // A listener that goes away while it is told is none of our death.
        SignalSet::of(&[number::PIPE]).block();
        Ok(match body(path, words.get(1).unwrap_or_default().to_bytes()) {
            Ok(notified) => {
                if notified.cut {
                    cli.warn(format_args!("{name} has more than {FIFODIR_ENTRIES} entries: the rest is left alone"));
                }
                0
            }
            Err(e) => cli.unable(format_args!("{what} {name}"), e),
        })
    })
}
