//! `svwait`: waits until services are in a state, s6-svwait(8).

use super::waiting::{self, Request};
use crate::applets::cli::Cli;
use crate::service::wait::Wait;

/// What follows the name on a command line.
pub const USAGE: &str = "[-u | -U | -d | -D | -r | -R] [-a | -o] [-t timeout] servicedir...";

/// `svwait [-uUdDrR] [-a | -o] [-t ms] servicedir...`. Nothing to wait for is over at once.
///
/// Exit code: the number of services that failed for good or lost their supervisor (at most 98), 99 timed out, 111.
pub fn svwait(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let request = Request::read(&mut options, true)?;
        let dirs = options.operands(0)?;
        let deadline = waiting::deadline(request.timeout);
        let wait = Wait::new(request.goal, request.quorum, false);
        Ok(match waiting::listen(cli, wait, dirs.words()) {
            Err(code) => code,
            Ok(mut watch) => waiting::outcome(cli, &mut watch, deadline),
        })
    })
}
