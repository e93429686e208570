//! `s6-tcpserverd [-v verbosity] [-1] [-c maxconn] [-C localmaxconn] prog...`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -1 ] [ -c maxconn ] [ -C localmaxconn ] prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
