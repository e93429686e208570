//! `s6-tcpserver ...`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -q | -Q | -v ] [ -d | -D ] [ -1 ] [ -c maxconn ] [ -C localmaxconn ] [ -b backlog ] [ -G gidlist ] [ -g gid ] [ -u uid ] [ -U ] ip port prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
