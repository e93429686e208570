//! `s6-ioconnect [-t ms] [-r fdr] [-w fdw]`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -t timeout ] [ -r fdr ] [ -w fdw ]";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
