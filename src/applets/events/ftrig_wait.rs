//! `s6-ftrig-wait [-t ms] fifodir regexp`: waits until the events in a fifodir match, then prints all that have come.
//! Exit code: 99 timed out, 111 a bad regular expression or no fifodir.

use super::ftrig::{self, Request};
use crate::applets::cli::{Cli, Opt, TIMEOUT, WrongUsage};
use crate::service::wait::Quorum;
use crate::sys::args::Args;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -t timeout ] fifodir regexp";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    one(cli, 2, |_| None, TIMEOUT)
}

/// What this command and `ftrig-listen1` share: one fifodir, one pattern, perhaps a program.
pub fn one(cli: &Cli, min: usize, program: impl FnOnce(Args) -> Option<Args>, late: i32) -> i32 {
    cli.with_usage(|| {
        let mut timeout = 0;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b't') | Opt::Long(b"timeout") => timeout = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(min)?;
        let pair = words.get(0).zip(words.get(1));
        let request = Request { program: program(words), quorum: Quorum::All, timeout, print: true, late };
        Ok(ftrig::run(cli, pair.into_iter(), &request))
    })
}
