//! `s6-ftrig-listen [-a | -o] [-t ms] fifodir1 regexp1 ... "" prog...`: as `ftrig-listen1`, in several fifodirs, until the
//! events in all of them (`-a`, the default) or in one (`-o`) match; prints nothing. The pairs are an execline block: an
//! empty word ends them, and one space in front of each word is taken off.

use super::ftrig::{self, Request};
use super::ftrig_listen1::LATE;
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::service::wait::Quorum;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -a | -o ] [ -t timeout ] fifodir1 regexp1 ... \"\" prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut quorum, mut timeout) = (Quorum::All, 0);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'a') | Opt::Long(b"and") => quorum = Quorum::All,
                Opt::Short(b'o') | Opt::Long(b"or") => quorum = Quorum::Any,
                Opt::Short(b't') | Opt::Long(b"timeout") => timeout = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(4)?;
        let end = words.iter().position(<[u8]>::is_empty).ok_or(WrongUsage)?;
        let program = words.skip(end + 1);
        if end == 0 || end % 2 != 0 || program.is_empty() {
            return Err(WrongUsage);
        }
        let word = move |i| words.get(i).map(unquoted).unwrap_or_default();
        let pairs = (0..end).step_by(2).map(move |i| (word(i), word(i + 1)));
        let request = Request { program: Some(program), quorum, timeout, print: false, late: LATE };
        Ok(ftrig::run(cli, pairs, &request))
    })
}

/// A word of a block, without the space that execline puts in front.
fn unquoted(word: &'static CStr) -> &'static CStr {
    let stripped = word.to_bytes_with_nul().strip_prefix(b" ");
    stripped.and_then(|bytes| CStr::from_bytes_with_nul(bytes).ok()).unwrap_or(word)
}
