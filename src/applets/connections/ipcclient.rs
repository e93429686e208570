//! `s6-ipcclient [-q | -Q | -v] [-p bindpath] [-l localname] path prog...`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -q | -Q | -v ] [ -p bindpath ] [ -l localname ] path prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
