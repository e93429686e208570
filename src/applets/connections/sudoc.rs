//! `s6-sudoc [-e] [-t timeoutconn] [-T timeoutrun] [args...]`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -e ] [ -t timeoutconn ] [ -T timeoutrun ] [ args... ]";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
