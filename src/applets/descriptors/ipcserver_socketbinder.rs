//! `s6-ipcserver-socketbinder [ -d | -D ] [ -b backlog ] [ -M | -m ] [ -a perms ] [ -B ] path prog...`
//!
//! As s6's, but `-d` takes over a path only if its socket is dead: see [`bind`](crate::socket::bind).

use super::socketbinder::unix;
use crate::applets::cli::Cli;
use crate::socket::bind::Options;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -d | -D ] [ -b backlog ] [ -M | -m ] [ -a perms ] [ -B ] path prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    unix(cli, Options::S6, true)
}
