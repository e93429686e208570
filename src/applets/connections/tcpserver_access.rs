//! `s6-tcpserver-access ...`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -W | -w ] [ -D | -d ] [ -H ] [ -h ] [ -R | -r ] [ -P | -p ] [ -l localname ] [ -B banner ] [ -t timeout ] [ -i rulesdir | -x rulesfile ] prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
