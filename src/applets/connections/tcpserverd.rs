//! `s6-tcpserverd [-v verbosity] [-1] [-c maxconn] [-C localmaxconn] prog...`: see [`superserver`](crate::superserver).

use crate::applets::cli::Cli;
use crate::superserver::{self, Kind};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -1 ] [ -c maxconn ] [ -C localmaxconn ] prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    superserver::run(cli, Kind::Tcp)
}
