//! `s6-instance-status [options] servicedir name`: svstat on an instance, with its options and exit codes.

use super::enter;
use crate::applets::cli::Cli;
use crate::applets::services::svstat;

/// What follows the name on a command line.
pub const USAGE: &str = "[-uwNrpgest | -o field,...] [-n] servicedir name";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    svstat::tell(cli, 2, |words| enter(cli, words, svstat::NOT_SUPERVISED))
}
