//! `s6-ftrig-listen1 [-t ms] fifodir regexp prog...`: listens in a fifodir, starts prog, waits until the events match,
//! then prints all that have come. So nothing that prog sets off is missed. prog is not waited for.
//! Exit code: 1 timed out; 111 a bad regular expression, no fifodir, or prog cannot be executed.

use super::ftrig_wait::one;
use crate::applets::cli::Cli;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -t timeout ] fifodir regexp prog...";

/// Time is over, as s6's command says it.
pub const LATE: i32 = 1;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    one(cli, 3, |words| Some(words.skip(2)), LATE)
}
