//! `s6-connlimit prog...`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
