//! `s6-sudod [-0] [-1] [-2] [-d] [-t timeout] [sargv...]`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -0 ] [ -1 ] [ -2 ] [ -d ] [ -t timeout ] [ sargv... ]";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
