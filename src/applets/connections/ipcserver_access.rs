//! `s6-ipcserver-access [-v verbosity] [-e | -E] [-l localname] [-i rulesdir | -x rulesfile] prog...`

use crate::applets::cli::{Cli, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -e | -E ] [ -l localname ] [ -i rulesdir | -x rulesfile ] prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| Err(WrongUsage))
}
